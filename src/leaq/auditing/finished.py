"""Audit of a finished model: no training, no shadow models; what is missing for a number is named.

    members, nonmembers -> checks -> quantize the weights -> evaluate -> LossTable -> rows -> CellResult
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from leaq.auditing.candidates import candidates_of, released_of
from leaq.auditing.config import Beside, ModelAuditConfig
from leaq.auditing.evaluating import Bench
from leaq.auditing.losses import LossFunction
from leaq.auditing.records import Records, overlap_of, read_records
from leaq.auditing.rows import measure_model
from leaq.auditing.shipped import open_shipped, weigh
from leaq.environment import describe_environment, peak_memory
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.measures.shift import shift, shift_doubt
from leaq.models import unwrap
from leaq.models.roles import parameter_doubts
from leaq.quantizers import Identity, Scheme, parse_list
from leaq.results import CellResult, QuantizerRow
from leaq.types import Checkpoints, Estimate, Flag, LossTable, NotComputed, Progress, silent

__all__ = ["audit_model", "audit_records"]

FEWEST = 20
"""Members, and non-members, without which no attack number means anything."""


def audit_model(
    model: nn.Module,
    members: Any,
    nonmembers: Any,
    *,
    config: ModelAuditConfig | None = None,
    loss: str | LossFunction = "auto",
    beside: Beside | None = None,
    progress: Progress = silent,
) -> CellResult:
    """Tell what a finished model gives away under every quantizer, from members and held-out records alone.

    Parameters
    ----------
    model : any torch module; it is used in evaluation mode and left exactly as it was.
    members, nonmembers : records that did and did not train it: arrays, tensors, loaders or data sets.
    loss : "auto", a named loss, or a function of (outputs, targets) that returns one value per record.
    beside : further ingredients: recorded checkpoints, models quantized elsewhere.

    Returns
    -------
    One row a quantizer; `not_computed` says what the other measures would need.
    """
    config, beside = config or ModelAuditConfig(), beside or Beside()
    inside, outside = (
        read_records(data, name=name, columns=config.columns, target=config.target)
        for name, data in (("members", members), ("nonmembers", nonmembers))
    )
    return audit_records(model, inside, outside, config=config, loss=loss, beside=beside, progress=progress)


def audit_records(
    model: nn.Module,
    members: Records,
    nonmembers: Records,
    *,
    config: ModelAuditConfig,
    loss: str | LossFunction,
    beside: Beside,
    progress: Progress = silent,
) -> CellResult:
    """Audit a finished model on records that were already read."""
    started = time.perf_counter()
    model = unwrap(model)
    flags = (*_mode_doubt(model), *parameter_doubts(model), *_record_doubts(members, nonmembers, config))
    compared = _compared(members, nonmembers, config)
    if isinstance(compared, Estimate):
        flags = (*flags, *shift_doubt(compared))
    bench = Bench.build(model, members, nonmembers, loss=loss, n_train=config.n_train)
    released = released_of(model, beside.checkpoints)
    rows = _rows(bench, released, config, beside, progress)
    return CellResult(
        config={**config.to_dict(), "kind": "model", "loss": bench.loss.name},
        data=_describe(bench, model, compared),
        rows=rows,
        primary_metric=_primary(rows[0]),
        primary_attack="threshold",
        environment=describe_environment(),
        timings={"total_seconds": time.perf_counter() - started, "peak_memory_bytes": float(peak_memory())},
        flags=flags,
    )


def _rows(
    bench: Bench, released: Checkpoints, config: ModelAuditConfig, beside: Beside, progress: Progress
) -> tuple[QuantizerRow, ...]:
    """Full precision, every quantizer, every shipped model."""
    schemes: list[Scheme] = list(dict.fromkeys((Identity(), *parse_list(",".join(config.quantizers or ("none",))))))
    total = len(schemes) + len(beside.shipped)
    rows: list[QuantizerRow] = []
    reference: LossTable | None = None
    for scheme in schemes:
        quantized = scheme(released)
        table = bench.table(quantized, quantizer=scheme.spec())
        found = candidates_of(bench, scheme, released, beside.checkpoints, config=config)
        names, size = (scheme.spec(), scheme.label()), scheme.size(released)
        rows.append(measure_model(names, table, reference, candidates=found, size=size, config=config))
        reference = reference or table
        progress("quantizers", len(rows), total)
    for name, shipped in beside.shipped.items():
        rows.append(_shipped_row(bench, name, shipped, reference, config=config))
        progress("quantizers", len(rows), total)
    return tuple(rows)


def _shipped_row(
    bench: Bench, name: str, shipped: nn.Module | str | Path, reference: LossTable | None, *, config: ModelAuditConfig
) -> QuantizerRow:
    """Measure a model quantized elsewhere, as it runs, against its full-precision original."""
    opened = open_shipped(shipped, bench.model.module, name=name)
    table = bench.table_of(opened.module, quantizer=name)
    row = measure_model(
        (f"shipped({name})", name),
        table,
        reference,
        candidates=NotComputed("r needs a quantizer that can be applied again; a shipped model is one candidate."),
        size=weigh(opened, bench.model.module),
        config=config,
    )
    return replace(row, flags=(*row.flags, *opened.flags))


def _primary(row: QuantizerRow) -> str:
    return next((name for name in ("roc_auc", "r2") if isinstance(row.metrics.get(name), Estimate)), "loss")


def _mode_doubt(model: nn.Module) -> tuple[Flag, ...]:
    if not model.training:
        return ()
    text = "The model came in training mode; it was audited in evaluation mode (no dropout) and put back."
    return (Flag("training-mode", text),)


def _record_doubts(members: Records, nonmembers: Records, config: ModelAuditConfig) -> tuple[Flag, ...]:
    """Refuse too few records and overlaps; flag what was assumed."""
    flags = []
    for name, records in (("members", members), ("nonmembers", nonmembers)):
        if len(records) < FEWEST:
            raise NotEnoughEvidence(f"{name}: an audit needs at least {FEWEST} records. Found {len(records)}.")
    rows = overlap_of(members, nonmembers)
    if rows is None:
        text = "Inputs are no arrays: whether a record is both member and non-member was not checked."
        flags.append(Flag("overlap-unchecked", text))
    elif len(rows):
        where = first_rows(rows.tolist())
        if config.overlap == "refuse":
            raise InvalidInput(
                f"A record must be a member or a non-member. Of the nonmembers, {where}, counted from 0, have the "
                "inputs of a member. Remove them, or keep records that are only alike with overlap='keep'."
            )
        flags.append(Flag("overlap", f"Of the non-members, {where} have the inputs of a member; attacks look quieter."))
    if config.n_train is None:
        text = f"The model is taken to be trained on the {len(members)} members given; say n_train=... if it was more."
        flags.append(Flag("n-train-assumed", text))
    return tuple(flags)


def _compared(members: Records, nonmembers: Records, config: ModelAuditConfig) -> Estimate | NotComputed:
    if members.features is None or nonmembers.features is None:
        return NotComputed("Comparing members with non-members needs inputs that are arrays of numbers.")
    if members.features.shape[1] != nonmembers.features.shape[1]:
        return NotComputed("Members and non-members have inputs of different width.")
    options: Mapping[str, Any] = {"level": config.level, "seed": config.seed, "draws": config.draws}
    return shift(np.asarray(members.features), np.asarray(nonmembers.features), **options)


def _describe(bench: Bench, model: nn.Module, compared: Estimate | NotComputed) -> dict[str, Any]:
    """Return aggregates of model and records, fit to be shown to anybody."""
    n, inside = len(bench.mask), len(bench.members)
    described: dict[str, Any] = {
        "name": type(model).__name__,
        "task": bench.task,
        "n": n,
        "n_train": bench.n_train,
        "members": inside,
        "nonmembers": n - inside,
        "features": 0 if bench.members.features is None else int(bench.members.features.shape[1]),
        "duplicates": n - len(np.unique(bench.groups)),
        "game": "iid",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    if isinstance(compared, Estimate):
        described["shift_auc"] = {"value": compared.value, "low": compared.low, "high": compared.high}
    if bench.task == "classification" and bench.standard and bench.targets is not None:
        counts = np.bincount(bench.targets)
        described["classes"] = {str(code): int(count) for code, count in enumerate(counts)}
    elif bench.task == "regression":
        described["unit"] = ""
        described["target_sd"] = bench.scale
    return described
