"""Audit of a finished model: losses of members and held-out records, nothing trained."""

from dataclasses import replace
from pathlib import Path

from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.files import USED, case_of
from leaq.pipeline.finished.modules import audit_case
from leaq.pipeline.subjects import Given
from leaq.results import CellResult
from leaq.types import Progress, silent

__all__ = ["audit_finished"]


def audit_finished(config: AuditConfig, *, given: Given | None = None, progress: Progress = silent) -> CellResult:
    """Audit a torch module, a scikit-learn network, a program or a language model; see `leaq.audit`.

    Parameters
    ----------
    config : its source is the model's file, and it names members, non-members and what else there is.
    given : what of these is in memory.

    Raises
    ------
    InvalidInput
        If members or non-members are missing, or an option is named that belongs to models which are trained.
    """
    given = given or Given()
    case = case_of(config, given)
    if case.tokenizer is None:
        found = audit_case(case, progress=progress)
    else:
        from leaq.pipeline.finished.language import audit_language

        found = audit_language(case, progress=progress)
    used = {name: value for name, value in config.to_dict().items() if name in USED}
    data = found.data if given.finished else {**found.data, "name": Path(config.source).stem}
    flags = (*found.flags, *case.flags)
    return replace(found, data=data, config={**used, "kind": "model", "loss": found.config["loss"]}, flags=flags)
