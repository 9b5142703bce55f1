"""Outputs of models into a `LossTable`: one target, or several with holes."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from leaq.lazy import Tensor
from leaq.models.losses import per_record, signals_of
from leaq.models.several import joint_margin, mean_entry_losses, task_outputs
from leaq.types import Bools, Floats, LossTable, Samples
from leaq.types.arrays import trained_on
from leaq.types.tasks import Layout, TaskSpec


@dataclass(frozen=True)
class Judge:
    """What a record's loss is, and the tables of models on these records.

    Attributes
    ----------
    samples : members and non-members alike.
    layout : of several targets; None of a single one.
    scale : (t,) unit of each target's errors, one for all models: the spread of a value over the whole pool, 1 of
        classes.

    Examples
    --------
    >>> import torch
    >>> samples = Samples(np.zeros((2, 1)), np.array([0.0, 4.0]), "regression")
    >>> Judge(samples).losses(torch.tensor([[1.0], [1.0]])).tolist()
    [0.25, 2.25]
    """

    samples: Samples
    layout: Layout | None = field(init=False)
    scale: Floats = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "layout", Layout.of(self.samples.tasks))
        object.__setattr__(self, "scale", spreads(self.samples))

    def targets(self, like: "Tensor | None" = None) -> "Tensor":
        """Return the targets as a tensor, where `like` lies."""
        import torch

        return torch.tensor(self.samples.targets, device=None if like is None else like.device)

    def losses(self, outputs: "Tensor", targets: "Tensor | None" = None) -> "Tensor":
        """Return each record's loss (..., n) float64 of outputs (..., n, k); of several targets the mean of its own.

        `targets` are those of some records, where `outputs` are of these alone.
        """
        y = self.targets(outputs) if targets is None else targets
        if self.layout is None:
            return per_record(outputs, y, self.samples.task, scale=float(self.scale[0]))
        import torch

        return mean_entry_losses(outputs, y, self.layout, torch.tensor(self.scale))

    def table(self, outputs: "Tensor", members: Bools, *, losses: Floats | None = None, **words: Any) -> LossTable:
        """Return the table of released models.

        Parameters
        ----------
        outputs : (s, n, k) of the released candidates.
        members : (s, n).
        losses : (s, c, n) of all candidates, where there are more than the released ones.
        words : further fields of `LossTable`: quantizer, strategy, game.
        """
        if self.layout is not None:
            return self._joint(self.layout, outputs, members, losses, **words)
        samples = self.samples
        scores = signals_of(outputs, self.targets(outputs), samples.task, scale=float(self.scale[0]))
        found = self.losses(outputs).cpu().numpy()[:, None] if losses is None else losses
        return LossTable(
            losses=found,
            members=members,
            task=samples.task,
            n_train=trained_on(members),
            scores=scores.cpu().numpy(),
            outputs=outputs.double().cpu().numpy(),
            targets=samples.targets,
            ids=samples.ids,
            groups=samples.groups,
            score_kind="margin" if samples.task == "classification" else "residual",
            flags=samples.flags,
            **words,
        )

    def _joint(
        self, layout: Layout, outputs: "Tensor", members: Bools, losses: Floats | None, **words: Any
    ) -> LossTable:
        """Return the joint table, with one of each task over the records that have its label."""
        samples, parts = self.samples, {}
        released = self.losses(outputs)
        for at, (values, task) in enumerate(samples.each_target):
            rows = np.flatnonzero(~np.isnan(values))
            if not len(rows):  # of a finished model, whose outputs are what they are
                continue
            own = task_outputs(outputs[:, rows], layout, at)
            alone = Judge(_alone(samples.take(rows), task, values[rows]))
            parts[task.name] = alone.table(own, members[:, rows], **{**words, "strategy": "released"})
        return LossTable(
            losses=released.cpu().numpy()[:, None] if losses is None else losses,
            members=members,
            task=samples.task,
            n_train=trained_on(members),
            scores=joint_margin(released).cpu().numpy(),
            outputs=self._standard(layout, outputs),
            ids=samples.ids,
            groups=samples.groups,
            flags=samples.flags,
            by_task=parts,
            **words,
        )

    def _standard(self, layout: Layout, outputs: "Tensor") -> Floats:
        """Return outputs (s, n, k) in units that compare: logits less their mean, values over their spread."""
        found = outputs.double().cpu().numpy().copy()
        for at in layout.several:
            found[..., layout.columns(at)] -= found[..., layout.columns(at)].mean(-1, keepdims=True)
        for at in layout.values:
            found[..., layout.columns(at)] /= self.scale[at]
        return found


def _alone(samples: Samples, task: TaskSpec, values: Floats) -> Samples:
    """Return records with the labels of one task, which all of them have, as their target."""
    return replace(
        samples,
        targets=values.astype(np.int64) if task.kind == "classification" else values,
        task=task.kind,
        classes=task.classes,
        unit=task.unit,
        tasks=(),
        flags=(),
    )


def spreads(samples: Samples) -> Floats:
    """Return the unit of each target's errors, (t,): the spread of values over all records that have one, 1 of classes.

    Examples
    --------
    >>> spreads(Samples(np.zeros((2, 1)), np.array([0.0, 4.0]), "regression")).tolist()
    [2.0]
    """
    told = [(values, task.kind == "regression" and not np.isnan(values).all()) for values, task in samples.each_target]
    return np.array([float(np.nanstd(values)) or 1.0 if varies else 1.0 for values, varies in told])
