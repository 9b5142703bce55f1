"""The public functions, `leaq.audit`, `leaq.protect` and others: one call each."""

from typing import TYPE_CHECKING

from leaq.lazy import found_in

if TYPE_CHECKING:
    from leaq.api.functions import audit, evaluate, quantize, report, run
    from leaq.api.protecting import protect

__all__ = ["audit", "evaluate", "protect", "quantize", "report", "run"]

__getattr__ = found_in(__name__, {**dict.fromkeys(__all__, "leaq.api.functions"), "protect": "leaq.api.protecting"})
