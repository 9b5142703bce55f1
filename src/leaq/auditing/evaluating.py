"""Losses of a finished model's candidates on members and non-members: any module, any per-record loss, streamed."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from leaq.auditing.records import Batch, Records, described, groups_of, move
from leaq.errors import InvalidInput, LeaqError, UnsupportedModel
from leaq.evaluation.losses import Loss, LossFunction, checked, choose_loss, refuse_batch_dependence
from leaq.evaluation.outputs import last_operation
from leaq.losses import margin, residual
from leaq.models import ModuleModel, evaluating
from leaq.models.calling import call, full_precision
from leaq.models.roles import tensors_of
from leaq.types import Bools, Checkpoints, Flag, Floats, Ints, LossTable, Progress, Task, silent

__all__ = ["Bench"]

TOGETHER = 32
"""Candidates that one vectorised call evaluates."""
WIDEST_OUTPUT = 4096
"""Outputs a record beyond which they are not kept (a language model's logits)."""

ALONE = 16
"""Records of a batch that are run by themselves too, to see whether their outputs change."""
BY_RECORD = Flag(
    "run-by-record",
    "Outputs of this model change with the other records of a batch (activations scaled by the batch), so that every "
    "record was run by itself.",
)
REPEATS = 32
"""Runs on the first batch of a model that draws random numbers, before its outputs count as fixed."""

Forward = Callable[[Mapping[str, Tensor], Any], Tensor]
"""Stacked weights (m, ...) and one batch's inputs -> outputs (m, n, ...)."""


@dataclass(frozen=True)
class Bench:
    """Where candidates of one model are put: its architecture, the records, the loss.

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

    @classmethod
    def build(
        cls,
        module: nn.Module,
        members: Records,
        nonmembers: Records,
        *,
        loss: str | LossFunction = "auto",
        n_train: int | None = None,
    ) -> Self:
        """Choose the loss by the first records, and check that it is one of records.

        Raises
        ------
        InvalidInput
            If the loss is a mean, depends on the batch, or a label has no output.
        """
        model = ModuleModel(module)
        members, nonmembers, outputs = runnable(model, members, nonmembers)
        refuse_random(model, members.batches, outputs)
        values = _targets(members, nonmembers, own=not isinstance(loss, str))
        few = Batch(_head(members.batches[0].inputs, members.batches[0].n), members.batches[0].targets[:1], 1)
        chosen = choose_loss(loss, outputs.cpu(), values, last=last_operation(lambda: _plain(model, few, grad=True)))
        members, nonmembers = (records.changed(targets=chosen.targets) for records in (members, nonmembers))
        task, labels = _meaning(chosen, outputs, chosen.targets(values))
        bench = cls(
            model, members, nonmembers, chosen, task, chosen.scale[0], n_train or len(members), labels is not None,
            chosen.flags, groups_of(members, nonmembers), labels,
        )  # fmt: skip
        bench._check_loss(members.batches[0], outputs, members.batches[0].targets)
        return bench

    @property
    def weightless(self) -> bool:
        """Whether the model shows no weights that could be quantized: a black box, or one of packed integers."""
        return next(tensors_of(self.model.module), None) is None

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
        params = checkpoints.params if len(checkpoints.batch) == 2 else checkpoints.at((slice(None), None)).params
        flat = {name: tensor.flatten(0, 1) for name, tensor in params.items()}
        c = len(next(iter(flat.values())))

        def forward(part: Mapping[str, Tensor], inputs: Any) -> Tensor:
            return self.model.forward(part, inputs, activation_bits=checkpoints.activation_bits)

        named = strategy or ("trajectory" if c > 1 else "released")
        return self._table(flat, forward, quantizer=quantizer, strategy=named, progress=progress)

    def table_of(self, module: nn.Module, *, quantizer: str) -> LossTable:
        """Return the losses of another module as it runs, for example a model quantized elsewhere.

        What scales its activations by the whole batch (dynamic quantization) is run record by record, and flagged.

        Raises
        ------
        UnsupportedModel
            If it cannot run on these records; the message holds what it said.
        """
        other = ModuleModel(module)

        def run(inputs: Any) -> Tensor:
            try:
                with torch.no_grad(), evaluating(other.module):
                    return call(other.module, {}, inputs)
            except LeaqError:
                raise
            except Exception as err:  # whatever other people's kernels raise
                reason = (str(err).strip().splitlines() or ["no reason given"])[0][:200]
                raise UnsupportedModel(
                    f"{quantizer}: a shipped model must run on the records as they are. It failed with "
                    f"{type(err).__name__}: {reason}. Leave it out, or give it as it runs for you."
                ) from err

        apart = self._depends_on_batch(run)

        def forward(_: Mapping[str, Tensor], inputs: Any) -> Tensor:
            return (torch.cat([run(one) for one in _each(inputs)]) if apart else run(inputs)).unsqueeze(0)

        bench = self if not apart else self.flagged(BY_RECORD)
        return bench._table({"": torch.zeros(1)}, forward, quantizer=quantizer, strategy="released", progress=silent)

    def _depends_on_batch(self, run: Callable[[Any], Tensor]) -> bool:
        """Whether the outputs for some records of a batch change with the others; False where there are no others."""
        first = next((batch for batch in (*self.members.batches, *self.nonmembers.batches) if batch.n > 1), None)
        if first is None or self.members.features is None or not isinstance(_head(first.inputs, 1), type(first.inputs)):
            return False
        there = move(first, _device(self.model.module)).inputs
        few = min(first.n, ALONE)
        together = run(there)[:few].double()
        alone = torch.cat([run(one) for one in islice(_each(there), few)]).double()
        return not torch.allclose(together, alone, rtol=1e-3, atol=1e-4 * float(together.abs().max()))

    def _table(
        self, flat: Mapping[str, Tensor], forward: Forward, *, quantizer: str, strategy: str, progress: Progress
    ) -> LossTable:
        c = len(next(iter(flat.values())))
        device = _device(self.model.module)
        losses: list[Floats] = []
        released: list[Tensor] = []
        batches = (*self.members.batches, *self.nonmembers.batches)
        for done, batch in enumerate(batches, start=1):
            there = move(batch, device)
            column, last = self._batch(flat, forward, there, quantizer=quantizer)
            losses.append(column)
            released.append(last)
            progress("evaluating", done, len(batches))
        outputs = self._kept(released)
        scores = self._signals(outputs)
        return LossTable(
            losses=np.concatenate(losses, axis=1)[None],
            members=self.mask[None],
            task=self.task,
            game="iid",
            n_train=self.n_train,
            scores=None if scores is None else scores.numpy()[None],
            outputs=None if outputs is None else outputs.numpy()[None],
            targets=self.labels,
            groups=self.groups,
            quantizer=quantizer,
            strategy=strategy if c > 1 else "released",
            score_kind="margin" if self.task == "classification" else "residual",
            flags=self.flags,
        )

    def _batch(
        self, flat: Mapping[str, Tensor], forward: Forward, batch: Batch, *, quantizer: str
    ) -> tuple[Floats, Tensor]:
        """Losses (c, n) of all candidates on one batch, and the outputs of the last."""
        c = len(next(iter(flat.values())))
        rows = []
        last = torch.empty(0)
        step = TOGETHER if self.model.vectorised else 1
        for start in range(0, c, step):
            outputs = forward({name: tensor[start : start + step] for name, tensor in flat.items()}, batch.inputs)
            for i, one in enumerate(outputs):
                if not torch.isfinite(one).all():
                    raise InvalidInput(
                        f"Outputs must be finite. Candidate {start + i} under {quantizer} gives NaN or infinite ones. "
                        "Leave this quantizer out, or the checkpoint."
                    )
                rows.append(checked(self.loss.function(one, batch.targets), batch.n, self.loss.name).cpu().numpy())
            last = outputs[-1]
        return np.stack(rows), last.cpu()

    def _kept(self, released: list[Tensor]) -> Tensor | None:
        """Return the released candidate's outputs as (n, k) float64, None where they are too wide or no such table."""
        flat = [
            self.loss.predictions(part).reshape(len(part), -1) for part in released if part[0].numel() <= WIDEST_OUTPUT
        ]
        if len(flat) != len(released):
            return None
        if len({part.shape[1] for part in flat}) != 1:
            return None
        joined = torch.cat(flat).double()
        return joined if len(joined) == len(self.mask) else None

    def _signals(self, outputs: Tensor | None) -> Tensor | None:
        if outputs is None or self.labels is None:
            return None
        y = torch.from_numpy(self.labels)
        return margin(outputs, y) if self.task == "classification" else residual(outputs, y, scale=self.scale)

    def _check_loss(self, first: Batch, outputs: Tensor, targets: Tensor) -> None:
        """Refuse means, and losses or models that look at other records of the batch."""
        values = checked(self.loss.function(outputs, targets.to(outputs.device)), first.n, self.loss.name)
        if first.n < 2 or self.members.features is None:
            return
        one = Batch(_head(first.inputs, first.n), first.targets[:1], 1)
        # What runs without showing its weights may scale by the batch; it is then run record by record.
        single = outputs[:1] if self.weightless else _plain(self.model, one)
        alone = self.loss.function(single, one.targets.to(outputs.device))
        refuse_batch_dependence(values[:1].cpu(), checked(alone, 1, self.loss.name).cpu(), self.loss.name)

    def flagged(self, *flags: Flag) -> Self:
        """Return the same bench whose tables carry further flags."""
        return replace(self, flags=(*self.flags, *flags))


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


def runnable(model: ModuleModel, members: Records, nonmembers: Records) -> tuple[Records, Records, Tensor]:
    """Return the records in numbers the model takes, and its outputs (n, ...) on the first of them.

    Numbers stay as they are if the model runs on them; else they get the type of its weights (64-bit or whole numbers
    for a 32-bit model).

    Raises
    ------
    InvalidInput
        With the model's own error, if it runs on neither.
    """
    first = members.batches[0]
    try:
        return members, nonmembers, _plain(model, first)
    except LeaqError:
        raise
    except Exception as err:  # whatever the user's code raises
        dtype = next((t.dtype for t in model.module.parameters() if t.is_floating_point()), torch.float32)
        dtype = torch.float64 if dtype == torch.float64 else torch.float32

        def cast(value: Any) -> Any:
            return value.to(dtype) if isinstance(value, Tensor) else value

        try:
            recast = [records.changed(inputs=cast) for records in (members, nonmembers)]
            return recast[0], recast[1], _plain(model, recast[0].batches[0])
        except Exception:
            reason = str(err).strip().splitlines()[0] if str(err).strip() else "no message"
            raise InvalidInput(
                f"The model must run on the records given. On the first {first.n} members ({described(first.inputs)}) "
                f"it raised {type(err).__name__}: {reason}. Give inputs as its forward method takes them."
            ) from err


def _plain(model: ModuleModel, batch: Batch, *, grad: bool = False) -> Tensor:
    """Return the outputs (n, ...) of the module as it is, in evaluation mode and at least 32 bits."""
    module = model.module
    inputs = full_precision(move(batch, _device(module)).inputs)
    with torch.set_grad_enabled(grad), evaluating(module):
        return call(module, model.own, _with_gradients(inputs) if grad else inputs)


def refuse_random(model: ModuleModel, batches: Sequence[Batch], once: Tensor) -> None:
    """Refuse a model that gives other outputs for the same inputs in evaluation mode.

    Parameters
    ----------
    once : its outputs on the first batch.

    Raises
    ------
    UnsupportedModel
        If two runs differ. Where a run draws random numbers, it is repeated, so that equal ones are no luck.
    """
    state = torch.get_rng_state()
    try:
        repeats, done = 1, 0
        while done < repeats:
            again = _plain(model, batches[0])
            if not torch.allclose(once, again, rtol=1e-4, atol=1e-5 * float(once.abs().max()), equal_nan=True):
                raise UnsupportedModel(
                    "The model must give the same outputs for the same inputs in evaluation mode. This one is random "
                    f"in evaluation mode: two runs on the same {batches[0].n} records differ by up to "
                    f"{float((once - again).abs().max()):.3g}. Give functional dropout training=self.training, and "
                    "draw no noise in forward outside of training."
                )
            done += 1
            if not torch.equal(torch.get_rng_state(), state):
                repeats = REPEATS
    finally:
        torch.set_rng_state(state)


def _device(module: nn.Module) -> torch.device:
    return next((tensor.device for tensor in module.parameters()), torch.device("cpu"))


def _head(inputs: Any, n: int) -> Any:
    """Return the inputs of the first record."""
    if isinstance(inputs, Mapping):
        return {key: _head(value, n) for key, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_head(value, n) for value in inputs)
    return inputs[:1] if isinstance(inputs, Tensor) else inputs


def _each(inputs: Any) -> Iterator[Any]:
    """Yield the inputs of one record after the other."""
    if isinstance(inputs, Mapping):
        columns = [list(_each(value)) for value in inputs.values()]
        yield from (dict(zip(inputs, row, strict=True)) for row in zip(*columns, strict=True))
    elif isinstance(inputs, tuple):
        yield from zip(*(list(_each(value)) for value in inputs), strict=True)
    else:
        yield from (inputs[i : i + 1] for i in range(len(inputs)))


def _with_gradients(inputs: Any) -> Any:
    """Return copies of the inputs that ask for gradients, so that frozen models show what they compute, too."""
    if isinstance(inputs, Mapping):
        return {key: _with_gradients(value) for key, value in inputs.items()}
    if isinstance(inputs, tuple):
        return tuple(_with_gradients(value) for value in inputs)
    if isinstance(inputs, Tensor) and inputs.is_floating_point():
        return inputs.detach().clone().requires_grad_()
    return inputs


def _meaning(loss: Loss, outputs: Tensor, targets: Tensor) -> tuple[Task, npt.NDArray[Any] | None]:
    """Return what outputs are, and the targets (n,) that task metrics read, None where none are defined."""
    if loss.kind != "own":
        labels = loss.labels(targets)
        return loss.task, None if labels is None else labels.numpy()
    whole = not targets.is_floating_point() and targets.ndim == 1
    if whole and outputs.ndim == 2 and targets.min() >= 0 and 1 < outputs.shape[1] > targets.max():
        return "classification", targets.long().numpy()
    return "regression", None
