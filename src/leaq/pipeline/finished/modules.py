"""Audit of a finished model: no training, no shadow models; what is missing for a number is named.

members, nonmembers -> checks -> quantize the weights -> evaluate -> LossTable -> rows -> CellResult

Where a recorder kept checkpoints of the training, they tell which members this one run exposes most.
"""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from leaq.attacks.base import Ingredient
from leaq.attacks.compared import with_comparison
from leaq.attacks.registry import parse_attacks
from leaq.data.membership import FEWEST
from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows, some
from leaq.measures.one_run import baselines, record_risk
from leaq.measures.shift import shift, shift_doubt
from leaq.models import checkpoints_of, unwrap
from leaq.models.boxes import BlackBox
from leaq.models.programs import Running
from leaq.models.roles import parameter_doubts, roles_of
from leaq.pipeline.cell import IN_MEMORY, AuditConfig
from leaq.pipeline.finished.candidates import candidates_of, fitted_to, moves_of, released_of
from leaq.pipeline.finished.case import Case
from leaq.pipeline.finished.evaluating import ModelEvaluator, make_room
from leaq.pipeline.finished.records import Records, nearly_equal, overlap_of, refuse_other_columns
from leaq.pipeline.finished.running import checksums_of, is_weightless, refuse_written
from leaq.pipeline.finished.shipped import Opened, open_shipped, weigh
from leaq.pipeline.measuring import describe_tasks
from leaq.pipeline.rows import How, Released, row
from leaq.quantizers import Identity, Scheme
from leaq.quantizers.files.recognised import recipe_flag, recipe_of
from leaq.results import CellResult, QuantizerRow
from leaq.system.environment import describe_environment, peak_memory
from leaq.system.memory import large_blocks_returned
from leaq.types import LAYER_ROLES, Checkpoints, Estimate, Flag, Floats, LossTable, NotComputed, Progress, silent
from leaq.types.later import is_later

NO_WEIGHTS = NotComputed("Quantizers and r need weights, and this model shows none; it was measured as it runs.")
ONE_CANDIDATE = NotComputed("r needs a quantizer that can be applied again; a shipped model is one candidate.")
ELSEWHERE = 0.01
"""Difference of a loss, beside the spread of all, that arithmetic in another order does not make."""


WEAK = Flag(
    "weak-attacker",
    "The numbers are those of a weak attacker: there are no shadow models without the recipe that trained this model. "
    "In our trial under sign the loss threshold found 0.06 and the combined attack with shadow models 0.55. To know, "
    "name the records as the source, this model as released, and the recipe.",
)


TRAINING_MODE = Flag(
    "training-mode", "The model came in training mode; it was audited in evaluation mode (no dropout) and put back."
)


def audit_case(case: Case, *, progress: Progress = silent) -> CellResult:
    """Tell what a finished model gives away under every quantizer, from members and held-out records alone.

    The model, any torch module, is used in evaluation mode and left exactly as it was.

    Returns
    -------
    One row a quantizer; `not_computed` says what the other measures would need.
    """
    started = time.perf_counter()
    model, config = unwrap(case.model), case.config
    members, nonmembers = case.members, case.nonmembers
    flags = [TRAINING_MODE] if getattr(model, "training", False) else []
    flags += [*parameter_doubts(model), *_record_doubts(members, nonmembers, config)]
    flags += _recorded_part(model, case.checkpoints)
    compared = _compared(members, nonmembers, config)
    if isinstance(compared, Estimate):
        flags += shift_doubt(compared)
    if isinstance(compared, Estimate) and case.extra is None:  # texts have no targets of their own
        targets = _compared_targets(members, nonmembers, config)
        flags += shift_doubt(targets, "targets") if isinstance(targets, Estimate) else ()
    with large_blocks_returned(any(map(is_later, model.parameters()))):
        evaluator = ModelEvaluator.build(
            model, members, nonmembers, loss=case.loss, n_train=config.n_train, lent=case.lent
        )
        # Logits of a language model are large: its candidates run one after another.
        evaluator.model.vectorised = case.extra is None
        rows, run = _rows(evaluator, case, progress), told_by(evaluator, case.checkpoints)
    if run.missing is not None:
        rows = tuple(replace(one, measures={**one.measures, "run_risk": run.missing}) for one in rows)
    metric = next((key for key in ("roc_auc", "r2", "skill") if isinstance(rows[0].metrics.get(key), Estimate)), "loss")
    result = CellResult(
        config={**config.to_dict(), "loss": evaluator.loss.name},
        data={**_describe(evaluator, config.source, model, compared), **run.described},
        rows=rows,
        primary_metric=metric,
        primary_attack="threshold",
        environment=describe_environment(),
        timings={"total_seconds": time.perf_counter() - started, "peak_memory_bytes": float(peak_memory())},
        private=run.private,
        flags=(WEAK, *flags, *evaluator.loss.flags),
    )
    return with_comparison(result)


def _rows(evaluator: ModelEvaluator, case: Case, progress: Progress) -> tuple[QuantizerRow, ...]:
    """Full precision, every quantizer, every shipped model."""
    config, recorded = case.config, case.checkpoints
    if evaluator.weightless:
        return _box_rows(evaluator, case)
    released = released_of(evaluator.model.module, recorded, lent=case.lent)
    marks, in_file = checksums_of(released.params.items()), any(map(is_later, released.params.values()))
    schemes: list[Scheme] = list(dict.fromkeys((Identity(), *config.schemes)))
    total = len(schemes) + len(case.shipped)
    rows: list[QuantizerRow] = []
    features = features_of(evaluator)
    reference: LossTable | None = None
    room = partial(make_room, evaluator.model.module)
    for scheme in schemes:
        room()
        fitted, doubts = fitted_to(
            scheme, released, evaluator, given=case.calibration, seed=config.seed, along=recorded is not None
        )
        room()
        moves = moves_of(fitted, released, recorded, config=config)  # before there is a second copy of the weights
        room()
        quantized = fitted.held(released) if in_file else fitted(released)
        table = evaluator.table(quantized, quantizer=scheme.spec())
        attacks = case.extra(evaluator, table) if case.extra else {}
        room()
        found, more = candidates_of(evaluator, quantized, table, moves)
        del quantized  # of a large model there is no room for two
        room()
        names, size = (scheme.spec(), scheme.label()), fitted.size(released)
        one = Released(names, table, size, reference, candidates=found, flags=(*doubts, *more))
        made = row(one, how_finished(config, table, features))
        rows.append(replace(made, attacks={**made.attacks, **attacks}))
        reference = reference or table
        progress("quantizers", len(rows), total)
    refuse_written(released.params.items(), marks)
    for name, shipped in case.shipped.items():
        rows.append(_shipped_row(evaluator, name, shipped, reference, case=case))
        progress("quantizers", len(rows), total)
    return tuple(rows)


def _box_rows(evaluator: ModelEvaluator, case: Case) -> tuple[QuantizerRow, ...]:
    """Measure what shows no weights as it runs, and what is shipped beside it."""
    if case.checkpoints is not None:
        refuse_unseen(evaluator.model.module)
    opened = open_shipped(evaluator.model.module, evaluator.model.module, name="the model")
    table = evaluator.table_of(opened.module, quantizer="none")
    run = [flag for flag in table.flags if flag not in evaluator.flags]
    one = Released(
        ("none", "as it runs"), table, weigh(opened, evaluator.model.module), candidates=NO_WEIGHTS,
        flags=(*opened.flags, *run),
    )  # fmt: skip
    rows = [row(one, how_finished(case.config, table, features_of(evaluator)))]
    rows += [_shipped_row(evaluator, name, given, table, case=case) for name, given in case.shipped.items()]
    return tuple(rows)


def features_of(evaluator: ModelEvaluator) -> Floats | None:
    """Return the inputs (n, d) of all records, where they are arrays of one width."""
    parts = [records.features for records in (evaluator.members, evaluator.nonmembers)]
    if any(part is None for part in parts) or len({part.shape[1] for part in parts if part is not None}) != 1:
        return None
    return np.concatenate([part for part in parts if part is not None])


def _shipped_row(
    evaluator: ModelEvaluator, name: str, shipped: Any, reference: LossTable | None, *, case: Case
) -> QuantizerRow:
    """Measure a model quantized elsewhere, as it runs, against its full-precision original."""
    original = evaluator.model.module
    opened = open_shipped(shipped, original, name=name)
    table = evaluator.table_of(opened.module, quantizer=name)
    attacks = case.extra(evaluator, table) if case.extra else {}
    run = [flag for flag in table.flags if flag not in evaluator.flags]
    recipe = recipe_of(opened.module, original, opened.stored, opened.folded) if opened.read else None
    recipe = recipe and recipe.with_activations(opened.activations)
    made = [recipe_flag(recipe)] if recipe is not None else []
    one = Released(
        (f"shipped({name})", name), table, weigh(opened, original), reference, candidates=ONE_CANDIDATE,
        flags=(*opened.flags, *_other_program(evaluator, opened, table, reference), *run, *made),
    )  # fmt: skip
    found = row(one, how_finished(case.config, table, features_of(evaluator)))
    return replace(found, attacks={**found.attacks, **attacks})


def _other_program(
    evaluator: ModelEvaluator, opened: Opened, table: LossTable, reference: LossTable | None
) -> tuple[Flag, ...]:
    """Say where a model has the original's weights, or its own are known, and other losses than a network with them.

    It then does something else around them.
    """
    codes = {flag.code for flag in opened.flags}
    if reference is None or "integer-activations" in codes:
        return ()
    most = ELSEWHERE
    if "not-quantized" not in codes:
        most *= 10  # what runtimes compute in short floats makes a few hundredths
        if not opened.read or not isinstance(opened.module, BlackBox | Running):
            return ()
        try:
            reference = evaluator.table(checkpoints_of(opened.module, copied=False))
        except InvalidInput:  # of normalisation that was folded into a layer nothing is left: no outputs
            return ()
    ours, theirs = reference.losses[0, -1], table.losses[0, -1]
    off = float(np.abs(theirs - ours).max())
    if ours.shape != theirs.shape or off <= most * float(ours.std()):
        return ()
    text = (
        f"Losses of {table.quantizer} are up to {off:.2g} off those of the original's network with its weights: it "
        "does something else around them, such as scaling its inputs or ordering its outputs in another way. Give both "
        "the records they are made for."
    )
    return (Flag("other-program", text),)


def _recorded_part(model: nn.Module, recorded: Checkpoints | None) -> tuple[Flag, ...]:
    """Say that quantizers act on recorded weights alone, where not all were recorded."""
    if recorded is None:
        return ()
    count = recorded.batch[-1]
    steps = [each[:, : count - 1] for each in recorded.params.values()]  # the last may be what was released
    if count > 2 and all(torch.equal(each, each[:, :1].expand_as(each)) for each in steps):
        text = (
            f"The first {count - 1} recorded checkpoints are equal: what the recorder watched did not train, as when "
            "a trainer works on a copy of the model. They say nothing of the training."
        )
        return (Flag("unchanged-recording", text),)
    rest = [name for name, role in roles_of(model).items() if role in LAYER_ROLES and name not in recorded.params]
    if not rest:
        return ()
    text = (
        f"Not recorded, and so left in full precision by every quantizer: {some(rest)} (what did not train). Sizes "
        "count what was recorded."
    )
    return (Flag("recorded-part", text),)


def _record_doubts(members: Records, nonmembers: Records, config: AuditConfig) -> tuple[Flag, ...]:
    """Refuse too few records and overlaps; flag what was assumed."""
    flags = []
    refuse_other_columns(members, nonmembers)
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
    elif len(rows := nearly_equal(members, nonmembers)):
        text = f"Of the non-members, {first_rows(rows.tolist())} have the inputs of a member but for rounding"
        flags.append(Flag("overlap", f"{text} (saved with fewer digits); attacks look quieter."))
    if config.n_train is None:
        text = f"The model is taken to be trained on the {len(members)} members given; name n_train if it was more."
        flags.append(Flag("n-train-assumed", text))
    return tuple(flags)


def _compared(members: Records, nonmembers: Records, config: AuditConfig) -> Estimate | NotComputed:
    if members.features is None or nonmembers.features is None:
        return NotComputed("Comparing members with non-members needs inputs that are arrays of numbers.")
    if members.features.shape[1] != nonmembers.features.shape[1]:
        return NotComputed("Members and non-members have inputs of different width.")
    return shift(np.asarray(members.features), np.asarray(nonmembers.features), **config.resampling)


def _compared_targets(members: Records, nonmembers: Records, config: AuditConfig) -> Estimate | NotComputed:
    """Compare targets alone: of members of one class an attack tells the class, whatever the inputs look like."""
    batches = [batch for records in (members, nonmembers) for batch in records.batches]
    if len({batch.targets.shape[1:].numel() for batch in batches}) > 1:  # classes here, a share of each class there
        return NotComputed("Members and non-members have targets of different width.")
    targets = [np.asarray(records.targets, dtype=np.float64) for records in (members, nonmembers)]
    holes = min(map(np.nanmin, targets)) - 1  # a missing label is a value of its own
    inside, outside = (np.where(np.isnan(one), holes, one).reshape(len(one), -1) for one in targets)
    return shift(inside, outside, **config.resampling)


def _describe(
    evaluator: ModelEvaluator, source: str, model: nn.Module, compared: Estimate | NotComputed
) -> dict[str, Any]:
    """Return aggregates of model and records, fit to be shown to anybody."""
    n, inside = len(evaluator.mask), len(evaluator.members)
    described: dict[str, Any] = {
        "name": source.removesuffix(IN_MEMORY) if source.endswith(IN_MEMORY) else Path(source).stem,
        "task": evaluator.task,
        "n": n,
        "n_train": evaluator.n_train,
        "members": inside,
        "nonmembers": n - inside,
        "features": 0 if evaluator.members.features is None else int(evaluator.members.features.shape[1]),
        "duplicates": n - len(np.unique(evaluator.groups)),
        "game": "iid",
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
    }
    if isinstance(compared, Estimate):
        described["shift_auc"] = {"value": compared.value, "low": compared.low, "high": compared.high}
    if evaluator.judge is not None:
        described["tasks"] = describe_tasks(evaluator.judge.samples)
    elif evaluator.task == "classification" and evaluator.labels is not None:
        counts = np.bincount(evaluator.labels)
        described["classes"] = {str(code): int(count) for code, count in enumerate(counts)}
    elif evaluator.task == "regression":
        described["unit"] = ""
        described["target_sd"] = evaluator.scale
    return described


NO_SHADOWS = (
    "Needs shadow models: several models trained by the same rule on other records. "
    "leaq.audit with the table of records, recipe=... and released=this model trains them."
)
NO_FEATURES = "Needs inputs that are arrays of numbers, and outputs that are classes or values."
NO_REPLICATES = (
    "Needs a few replicates in full precision, each trained by the same rule on half of the records, so that every "
    "record is in some and out of others (leaq.attacks.forecast). "
    "leaq audit --effort forecast with a table of records instead of a model trains them."
)


def how_finished(config: AuditConfig, table: LossTable, features: Floats | None) -> How:
    """Return how every number is made: the attacks of a standard audit, and those that need no shadow models."""
    lacking: dict[Ingredient, str] = {"shadows": NO_SHADOWS}
    if features is None or table.scores is None:
        lacking["features"] = NO_FEATURES
    attacks = parse_attacks(["default", "threshold(per=label)", "quantile"])
    return How(config.resampling, attacks, "threshold", features=features, lacking=lacking, no_replicates=NO_REPLICATES)


NO_ARRAYS = "Risk from one run needs inputs that are arrays of one width, and one target a record."


@dataclass(frozen=True)
class Run:
    """What a recording adds to an audit.

    Attributes
    ----------
    checkpoints : how many were recorded; 0 without a recording.
    private : by row number of the members: "run_risk", and "run_baselines" by the name of each.
    missing : why there is no risk, where there is none.
    """

    checkpoints: int = 0
    private: dict[str, object] = field(default_factory=dict)
    missing: NotComputed | None = None

    @property
    def described(self) -> dict[str, int]:
        """Return what anybody may know of it."""
        return {"recorded": self.checkpoints} if self.checkpoints else {}


def refuse_unseen(module: nn.Module) -> None:
    """Refuse a recording of a model that shows no weights, with `InvalidInput`."""
    if is_weightless(module):
        raise InvalidInput("A recording belongs to a model whose weights are seen. Found one without. Leave it out.")


def told_by(evaluator: ModelEvaluator, recorded: Checkpoints | None) -> Run:
    """Return what a recorded run tells of its members: how exposed each is expected to be, or why that is not told."""
    if recorded is None or len(recorded.batch) != 2:
        return Run()
    features, members, count = evaluator.members.features, len(evaluator.members), recorded.batch[1]
    if features is None or evaluator.labels is None:
        return Run(count, missing=NotComputed(NO_ARRAYS))
    try:
        losses = evaluator.table(recorded).losses[0, :, :members]
        inputs, labels = np.asarray(features, dtype=np.float64), np.asarray(evaluator.labels)[:members]
        risk = record_risk(losses, inputs, labels, evaluator.task).tolist()
    except NotEnoughEvidence as err:
        return Run(count, missing=NotComputed(str(err)))
    beside = {name: values.tolist() for name, values in baselines(losses).items()}
    return Run(count, {"run_risk": risk, "run_baselines": beside})
