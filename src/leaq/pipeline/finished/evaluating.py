"""Losses of a finished model's candidates on members and non-members: any module, any per-record loss, streamed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput
from leaq.evaluation.batches import Batch, cut, mapped, move, to_device
from leaq.evaluation.losses import Loss, LossFunction, checked, choose_loss, refuse_batch_dependence
from leaq.evaluation.outputs import last_operation
from leaq.evaluation.repeating import refuse_random
from leaq.evaluation.tables import Evaluator, Run, at_once, candidates
from leaq.models import ModuleModel
from leaq.models.causal import TokenLoss, refuse_lookahead
from leaq.models.losses import signals_of
from leaq.models.tables import Judge
from leaq.pipeline.finished.foreign import BY_RECORD, depends_on_batch, in_form_of, runner
from leaq.pipeline.finished.records import Records, groups_of
from leaq.pipeline.finished.running import (
    device_of,
    each,
    first_of_several,
    head,
    is_weightless,
    rows_of,
    run_alone,
    run_first,
    run_plain,
    weighs_much,
    widest,
)  # fmt: skip
from leaq.system.memory import give_back_memory
from leaq.types import Bools, Checkpoints, Flag, Floats, Ints, LossTable, Progress, Samples, Task, silent
from leaq.types.tasks import MULTITASK

TOGETHER = 32
"""Candidates that one vectorised call evaluates."""
FIRST = 32
"""Records that a large model runs on at first, beside a copy of its weights."""
WIDEST_OUTPUT = 4096
"""Outputs a record beyond which they are not kept (a language model's logits)."""


@dataclass(frozen=True)
class ModelEvaluator:
    """Evaluates candidates of one model: its architecture, the records, the loss.

    Attributes
    ----------
    members_mask : (n,) True for the records given as members; they come first.
    standard : whether outputs and targets are of a kind that task metrics and attack signals are defined for.
    """

    model: ModuleModel
    members: Records
    nonmembers: Records
    loss: Loss
    task: Task
    scale: float
    n_train: int
    standard: bool
    flags: tuple[Flag, ...] = ()
    groups: Ints = field(default_factory=lambda: np.empty(0, np.int64))
    labels: npt.NDArray[Any] | None = None
    """Targets (n,) that metrics and signals read: class codes or values; None where there is not one a record."""
    judge: Judge | None = None
    """What makes the tables of several targets, the joint one and one of each; None of a single target."""

    @classmethod
    def build(
        cls,
        module: nn.Module,
        members: Records,
        nonmembers: Records,
        *,
        loss: str | LossFunction = "auto",
        n_train: int | None = None,
        lent: bool = False,
    ) -> Self:
        """Choose the loss by the first records, and check that it is one of records.

        Parameters
        ----------
        lent : as of `run_first`.

        Raises
        ------
        InvalidInput
            If the loss is a mean, depends on the batch, or a label has no output.
        """
        model = ModuleModel(module)
        members, nonmembers, outputs = run_first(
            model, members, nonmembers, rows=FIRST if weighs_much(module) else None, lent=lent
        )
        make_room(module)
        first = cut(members.batches[0], len(outputs))[0]
        doubts = refuse_random(partial(run_plain, model, first), outputs)
        make_room(module)
        values = _targets(members, nonmembers, own=not isinstance(loss, str))
        few = Batch(head(first.inputs), first.targets[:1], 1)
        if members.features is not None:
            run_alone(model, first, few)
        # A loss of one's own reads outputs as they are.
        last = last_operation(lambda: run_plain(model, few, grad=True)) if isinstance(loss, str) else ""
        chosen = choose_loss(loss, outputs.cpu(), values, last=last, names=members.names or nonmembers.names)
        chosen = replace(chosen, flags=(*chosen.flags, *first_of_several(lambda: run_plain(model, few), model.module)))
        make_room(module)
        members, nonmembers = (records.changed(targets=chosen.targets) for records in (members, nonmembers))
        rows = max(1, at_once(model.module) // widest(lambda: run_plain(model, few), model.module))
        members, nonmembers = members.cut(rows), nonmembers.cut(rows)
        told, judge = chosen.targets(values), None
        task, labels = _meaning(chosen, outputs, told)
        if chosen.layout is not None:
            several = told.double().cpu().numpy()  # inputs play no part
            judge = Judge(Samples(np.zeros((len(several), 1)), several, MULTITASK, tasks=chosen.layout.tasks))
        evaluator = cls(
            model, members, nonmembers, chosen, task, chosen.scale[0], n_train or len(members), labels is not None,
            (*chosen.flags, *doubts), groups_of(members, nonmembers), labels, judge,
        )  # fmt: skip
        first = cut(members.batches[0], len(outputs))[0]
        evaluator._check_loss(first, outputs[: first.n], first.targets)
        if isinstance(loss, TokenLoss):
            refuse_lookahead(lambda inputs: run_plain(model, replace(few, inputs=inputs)), few.inputs)
        return evaluator

    @property
    def weightless(self) -> bool:
        """Whether the model shows no weights that could be quantized: a black box, or one of packed integers."""
        return is_weightless(self.model.module)

    @property
    def mask(self) -> Bools:
        """Which records are members, (n,)."""
        mask: Bools = np.arange(len(self.members) + len(self.nonmembers)) < len(self.members)
        return mask

    def table(
        self,
        checkpoints: Checkpoints,
        *,
        quantizer: str = "none",
        strategy: str | None = None,
        progress: Progress = silent,
    ) -> LossTable:
        """Return the losses of the candidates, batch (1, c) or (1,); the last one is the released model."""
        make_room(self.model.module)
        forward, flat, (_, c) = candidates(self.model, checkpoints)
        named = strategy or ("trajectory" if c > 1 else "released")
        return self._table(flat, forward, quantizer=quantizer, strategy=named, progress=progress)

    def table_of(self, module: nn.Module, *, quantizer: str) -> LossTable:
        """Return the losses of another module as it runs, for example a model quantized elsewhere.

        What scales its activations by the whole batch (dynamic quantization) is run record by record, and flagged.

        Raises
        ------
        UnsupportedModel
            If it cannot run on these records, or is random; the message holds what it said.
        InvalidInput
            If its outputs are not as many as the original's, or not finite.
        """
        first = max((*self.members.batches, *self.nonmembers.batches), key=lambda batch: batch.n > 1)
        there = move(first, device_of(self.model.module)).inputs
        name = "The model" if quantizer == "none" else quantizer
        run, flags = runner(module, name=name)
        as_it_is = partial(run, there)
        flags = (*flags, *refuse_random(as_it_is, rows_of(as_it_is(), first.n), what=name))
        if not self.weightless and self.loss.kind != "own":
            run, said = in_form_of(run, there, run_plain(self.model, first), loss=self.loss, name=name)
            flags = (*flags, *said)
        seen = first.n > 1 and self.members.features is not None
        apart = seen and depends_on_batch(run, first, there, name=name)

        def forward(_: Mapping[str, Tensor], inputs: Any) -> Tensor:
            return (torch.cat([run(one) for one in each(inputs)]) if apart else run(inputs)).unsqueeze(0)

        evaluator = replace(self, flags=(*self.flags, *flags, *([BY_RECORD] if apart else [])))
        return evaluator._table(
            {"": torch.zeros(1)}, forward, quantizer=quantizer, strategy="released", progress=silent
        )

    def _table(
        self, flat: Mapping[str, Tensor], forward: Run, *, quantizer: str, strategy: str, progress: Progress
    ) -> LossTable:
        c, device = len(next(iter(flat.values()))), device_of(self.model.module)
        batches = (*self.members.batches, *self.nonmembers.batches)
        move = partial(to_device, device=device)
        evaluator = Evaluator(
            lambda part, inputs: forward(part, mapped(inputs, move)),
            self._judge,
            TOGETHER if self.model.vectorised else 1,
            self._kept,
        )
        losses, released = evaluator(flat, batches, batch=(1, c), quantizer=quantizer, progress=progress)
        outputs = self._joined(released)
        if self.judge is not None and outputs is not None:
            strategy = strategy if c > 1 else "released"
            words = {"game": "iid", "quantizer": quantizer, "strategy": strategy}
            joint = self.judge.table(outputs[None], self.mask[None], losses=losses, **words)
            parts = joint.by_task.items()
            by_task = {name: replace(part, groups=self.groups[joint.rows_of(name)]) for name, part in parts}
            return replace(joint, n_train=self.n_train, groups=self.groups, flags=self.flags, by_task=by_task)
        scores = None
        if outputs is not None and self.labels is not None:
            scores = signals_of(outputs, torch.from_numpy(self.labels), self.task, scale=self.scale)
        return replace(
            self.table_like(losses[0], quantizer, strategy),
            scores=None if scores is None else scores.numpy()[None],
            outputs=None if outputs is None else outputs.numpy()[None],
        )

    def table_like(self, losses: Floats, quantizer: str, strategy: str) -> LossTable:
        """Return the table of losses (c, n) that were come by elsewhere, without outputs."""
        return LossTable(
            losses=losses[None],
            members=self.mask[None],
            task=self.task if self.task != MULTITASK else "regression",  # outputs too wide to tell tasks apart
            game="iid",
            n_train=self.n_train,
            targets=self.labels,
            groups=self.groups,
            quantizer=quantizer,
            strategy=strategy if len(losses) > 1 else "released",
            score_kind="margin" if self.task == "classification" else "residual",
            flags=self.flags,
        )

    @property
    def outside(self) -> Self:
        """The same evaluator with the non-members alone."""
        inside, kept = len(self.members), replace(self.members, batches=())
        labels = None if self.labels is None else self.labels[inside:]
        return replace(self, members=kept, groups=self.groups[inside:], labels=labels, judge=None)

    def judge_of(self, batch: Batch) -> Callable[[Tensor], Tensor]:
        """Return what turns outputs on a batch into one loss a record, through which gradients flow."""
        there = batch.targets.to(device_of(self.model.module))
        return lambda outputs: self.loss.function(rows_of(outputs, batch.n), there).reshape(batch.n)

    def _judge(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Losses (m, n) of outputs (m, n, ...), each candidate's checked to be one value a record."""
        there, n = targets.to(outputs.device), len(targets)
        return torch.stack([checked(self.loss.function(rows_of(one, n), there), n, self.loss.name) for one in outputs])

    def _kept(self, outputs: Tensor) -> Tensor | None:
        """Return the released candidate's outputs (1, n, k) in float64, None where they are too wide to be kept."""
        if outputs[0, 0].numel() > WIDEST_OUTPUT:
            return None
        flat = self.loss.predictions(outputs[0]).reshape(outputs.shape[1], -1)
        return flat.double().unsqueeze(0)

    def _joined(self, released: list[Tensor | None]) -> Tensor | None:
        """Return the outputs (n, k) of all batches, None where some were not kept or they are no such table."""
        held = [part[0] for part in released if part is not None]
        if len(held) < len(released) or len({part.shape[1] for part in held}) != 1:
            return None
        joined = torch.cat(held)
        return joined if len(joined) == len(self.mask) else None

    def _check_loss(self, first: Batch, outputs: Tensor, targets: Tensor) -> None:
        """Refuse means, and losses or models that look at other records of the batch."""
        values = checked(self.loss.function(outputs, targets.to(outputs.device)), first.n, self.loss.name)
        if first.n < 2 or self.members.features is None:
            return
        one = Batch(head(first.inputs), first.targets[:1], 1)
        # What runs without showing its weights may scale by the batch; it is then run record by record.
        single = outputs[:1] if self.weightless else run_alone(self.model, first, one)
        alone = self.loss.function(single, one.targets.to(outputs.device))
        refuse_batch_dependence(values[:1].cpu(), checked(alone, 1, self.loss.name).cpu(), self.loss.name)


def make_room(module: nn.Module) -> None:
    """Hand back what the last run of a large model left, before the next needs as much."""
    if weighs_much(module):
        give_back_memory()


def _targets(members: Records, nonmembers: Records, *, own: bool) -> Tensor:
    """Return the targets (n, ...) of all records; of the first batch alone where a user's own loss takes any shape."""
    parts = [batch.targets.cpu() for records in (members, nonmembers) for batch in records.batches]
    if len({part.shape[1:] for part in parts}) == 1:
        return torch.cat(parts)
    if own:
        return parts[0]
    shapes = ", ".join(str(tuple(shape)) for shape in sorted({part.shape[1:] for part in parts})[:3])
    raise InvalidInput(
        f"Targets must have one shape for every record. Found {shapes}. Give a function of (outputs, targets) that "
        "returns one value per record."
    )


def _meaning(loss: Loss, outputs: Tensor, targets: Tensor) -> tuple[Task, npt.NDArray[Any] | None]:
    """Return what outputs are, and the targets (n,) that task metrics read, None where none are defined."""
    if loss.kind != "own":
        labels = loss.labels(targets)
        return loss.task, None if labels is None else labels.numpy()
    whole = not targets.is_floating_point() and targets.ndim == 1
    if whole and outputs.ndim == 2 and targets.min() >= 0 and 1 < outputs.shape[1] > targets.max():
        return "classification", targets.long().numpy()
    return "regression", None
