"""Studies: audits that are kept in a run folder, resumed after an interruption, and never computed twice."""

from leaq.study.single import audit_into
from leaq.study.store import Store

__all__ = ["Store", "audit_into"]
