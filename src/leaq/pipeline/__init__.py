"""One cell front to back; `leaq.pipeline.flow` shows the data flow, everything else here is a step of it."""

from typing import TYPE_CHECKING

from leaq.lazy import found_in
from leaq.pipeline.cell import AuditConfig

if TYPE_CHECKING:
    from leaq.pipeline.flow import audit, audit_samples, chunk, collect, loss_tables

__all__ = ["AuditConfig", "audit", "audit_samples", "chunk", "collect", "loss_tables"]

__getattr__ = found_in(
    __name__, dict.fromkeys(("audit", "audit_samples", "chunk", "collect", "loss_tables"), "leaq.pipeline.flow")
)
