"""Audit of a finished model: losses of members and held-out records, nothing trained."""

from dataclasses import fields
from pathlib import Path
from typing import Any

from torch import nn

from leaq.auditing.config import Beside, ModelAuditConfig
from leaq.auditing.finished import Job, audit_model
from leaq.errors import InvalidInput, UnsupportedModel
from leaq.evaluation.losses import LossFunction
from leaq.models.boxes import box_of, open_box
from leaq.models.sklearn import from_sklearn, is_sklearn
from leaq.results import CellResult
from leaq.types import silent

__all__ = ["Beside", "Job", "ModelAuditConfig", "audit_finished", "audit_model"]


def audit_finished(
    model: Any, members: Any, nonmembers: Any, *, loss: str | LossFunction = "auto", **options: Any
) -> CellResult:
    """Audit a torch module, a scikit-learn network or a causal language model; see `leaq.audit`."""
    progress = options.pop("progress", silent)
    if not callable(progress):
        raise InvalidInput(
            f"progress must be a function of (step, done, total). Found {type(progress).__name__}. Leave it out."
        )
    beside = Beside(**{item.name: options.pop(item.name) for item in fields(Beside) if item.name in options})
    config = ModelAuditConfig(**options)
    if is_sklearn(model):
        converted = from_sklearn(model)
        model = converted.module
        members, nonmembers = converted.records(members, "members"), converted.records(nonmembers, "nonmembers")
    if isinstance(model, str | Path):
        model = _program_in(Path(model))
    if not isinstance(model, nn.Module):
        box = box_of(model)
        if box is None:
            raise UnsupportedModel(
                "A finished model must be a torch module, a scikit-learn estimator with weights, or something that can "
                f"be called. Found {type(model).__name__}. To train models on a table, name the data set or the file."
            )
        model = box
    if beside.tokenizer is not None:
        from leaq.auditing.language import audit_language

        return audit_language(model, members, nonmembers, config=config, beside=beside, progress=progress)
    return audit_model(model, members, nonmembers, job=Job(config, loss, beside), progress=progress)


def _program_in(path: Path) -> nn.Module:
    """Open a file that runs by itself, as `leaq audit` does."""
    if not path.exists():
        raise InvalidInput(
            f"audit: members and nonmembers belong to a finished model. Found {str(path)!r}, which is no file. For a "
            "data set leave them out."
        )
    program = None if path.is_dir() else open_box(path)
    if program is None:
        raise InvalidInput(
            f"audit: members and nonmembers belong to a finished model, and {path.name} does not say how it runs. "
            "Give the module with these weights in it; for a table of records leave members and nonmembers out."
        )
    return program
