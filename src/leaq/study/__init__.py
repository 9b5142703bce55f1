"""Studies: audits that are kept in a run folder, resumed after an interruption, and never computed twice."""

from typing import TYPE_CHECKING

from leaq.lazy import found_in

if TYPE_CHECKING:
    from leaq.study.events import Event
    from leaq.study.grid import Study
    from leaq.study.runner import Rules
    from leaq.study.running import audit_into, run_study
    from leaq.study.store import Store

__all__ = ["Event", "Rules", "Store", "Study", "audit_into", "run_study"]

# A kept run is read and shown without what runs one.
__getattr__ = found_in(
    __name__,
    {
        "Event": "leaq.study.events",
        "Study": "leaq.study.grid",
        "Rules": "leaq.study.runner",
        "run_study": "leaq.study.running",
        "audit_into": "leaq.study.running",
        "Store": "leaq.study.store",
    },
)
