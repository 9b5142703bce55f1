"""Studies: audits that are kept in a run folder, resumed after an interruption, and never computed twice."""

from leaq.study.events import Event
from leaq.study.grid import Study
from leaq.study.runner import Rules
from leaq.study.running import run_study
from leaq.study.single import audit_into
from leaq.study.store import Store

__all__ = ["Event", "Rules", "Store", "Study", "audit_into", "run_study"]
