"""What attacks compare between models: signals (s, n), put on one scale so that no model as a whole stands out.

Quantizing moves all outputs of one model together: an offset of every class, a common stretch. Who compares raw
signals takes that move for noise, although the attacker sees it: he has the model's outputs on the whole pool and can
take out what they have in common without knowing a single membership. So signals are normalised over the pool, model
by model:

    margins         less their mean within each class (shrunk to the mean over all classes where a class is small),
                    divided by the standard deviation that is left
    residuals       of standardised predictions: the target in standard deviations of the pool, minus the prediction
                    less its mean over the pool, divided by its standard deviation over the pool
    white-box       each statistic as a margin

Raw signals are what the published attacks compare; ``normalise=False`` gives them. Where models do not move as a whole,
as in full precision, they can say more: a model that fits its members exactly leaves residuals of 0, which dividing by
a spread of its own blurs. The combined attack weighs both.
"""

from collections.abc import Sequence
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput
from leaq.types import Floats, LossTable, Task

Kind = Literal["auto", "magnitude", "loss"]
"""``auto`` is the log-odds of the true class, or the signed residual; ``magnitude`` the same for a classifier and the
negative absolute residual; ``loss`` the negative loss."""
PRIOR = 5.0
"""Records' worth of trust in the mean over all classes when a class's own is estimated. A class of c records so keeps
5 / (c + 5) of its offset, and a class of a few keeps most of its signal, which is next to equal to its mean. What is
kept costs nothing that shows: with 0, 1 or 5 attacks differed by at most 0.007 on four data sets of 2 to 30 classes."""
TINY = 1e-12


def normalised(table: LossTable) -> Floats:
    """Return the released models' margins or residuals with each model's common move taken out, (s, n).

    Examples
    --------
    >>> import numpy as np
    >>> from leaq.types import LossTable
    >>> margins = np.array([[0.0, 1.0, 2.0], [10.0, 12.0, 14.0]])
    >>> members = np.array([[True, False, True], [False, True, False]])
    >>> table = LossTable(-margins[:, None], members, "classification", "pool", 2, scores=margins)
    >>> normalised(table).round(2).tolist()
    [[-1.22, 0.0, 1.22], [-1.22, 0.0, 1.22]]
    """
    if table.by_task:
        return _joint(table)
    scores = present(table.scores, "scores (margins or residuals)")
    if table.task == "classification":
        return centred_by_class(scores, table.targets)
    if table.targets is None:
        return centred_by_class(scores, None)  # the residual still shows the common offset, not the stretch
    target = np.asarray(table.targets, dtype=np.float64)
    spread = float(target.std())
    standard: Floats = (target - target.mean()) / (spread if spread > 0 else 1.0)
    return standard - centred_by_class(standard - scores, None)


def _joint(table: LossTable) -> Floats:
    """Return one signal of several targets (s, n): each task's own, higher in members, added up over a record's labels.

    Divided by the root of their number, so that the noise of records with few and with many labels is alike.
    """
    total, count = np.zeros(table.members.shape), np.zeros(table.members.shape[1])
    for name, part in table.by_task.items():
        rows = table.rows_of(name)
        *_, last = with_square(normalised(part), part.task)
        total[:, rows] += -last if part.task == "regression" else last
        count[rows] += 1
    return centred_by_class(total / np.sqrt(np.maximum(count, 1)), None)


def centred_by_class(values: Floats, classes: npt.NDArray[np.generic] | None) -> Floats:
    """Return values (s, n) less each model's mean within each class, divided by the model's remaining spread."""
    overall = values.mean(1, keepdims=True)
    centred = values - overall
    if classes is not None:
        for label in np.unique(classes):
            rows = np.asarray(classes) == label
            count = int(rows.sum())
            centred[:, rows] -= centred[:, rows].mean(1, keepdims=True) * count / (count + PRIOR)
    spread = centred.std(1, keepdims=True)
    # A model that says the same of every record has no signal: it stays at 0 instead of blowing up rounding.
    rounding = TINY * np.maximum(1.0, np.abs(values).max(1, keepdims=True))
    return np.where(spread > rounding, centred / np.maximum(spread, rounding), 0.0)


def with_square(signed: Floats, task: Task) -> tuple[Floats, ...]:
    """Return a margin alone; a residual (s, n) with the logarithm of its square, which sees it narrow."""
    if task != "regression":
        return (signed,)
    square = signed**2
    return signed, centred_by_class(np.log(square + 1e-6 * np.maximum(square.mean(1, keepdims=True), TINY)), None)


def together(releases: "Sequence[Signals]") -> tuple[Floats, ...]:
    """Return the output signals of the mean of several releases of the same models: what random rounding spares.

    Each release is normalised first, so that none counts more for its scale.
    """
    return with_square(np.mean([one.of("auto") for one in releases], axis=0), releases[0].table.task)


class Signals:
    """The signals of one table, each computed once.

    Parameters
    ----------
    table : released models under one quantizer.
    """

    def __init__(self, table: LossTable) -> None:
        self.table = table

    def of(self, kind: Kind, *, normalise: bool = True) -> Floats:
        """Return one signal (s, n): larger for members, except the signed residual, which is nearer 0.

        Raises
        ------
        InvalidInput
            If the table lacks it, or it is of the other task.
        """
        if kind == "loss":
            return -self.table.released
        wanted = "residual" if self.table.task == "regression" else "margin"
        if self.table.score_kind != wanted:
            raise InvalidInput(
                f"Signals: a {self.table.task} needs score_kind={wanted!r}. Found {self.table.score_kind!r}."
            )
        values = self._normalised if normalise else present(self.table.scores, "scores (margins or residuals)")
        return -np.abs(values) if kind == "magnitude" and self.table.task == "regression" else values

    @cached_property
    def outputs(self) -> tuple[Floats, ...]:
        """What the outputs alone give, normalised and then raw: the margin; or the residual and its log square."""
        return tuple(signal for one in self.signed for signal in with_square(one, self.table.task))

    @cached_property
    def signed(self) -> tuple[Floats, ...]:
        """The margin or the residual, normalised and raw."""
        return self.of("auto"), self.of("auto", normalise=False)

    @cached_property
    def _normalised(self) -> Floats:
        return normalised(self.table)

    @cached_property
    def gradients(self) -> tuple[Floats, ...]:
        """What the released weights add, normalised: see `LossTable.whitebox`. Empty where the table has none."""
        if self.table.whitebox is None:
            return ()
        found = present(self.table.whitebox, "white-box statistics (evaluation.with_whitebox adds them)")
        classes = self.table.targets if self.table.task == "classification" else None
        return tuple(centred_by_class(found[:, :, w], classes) for w in range(found.shape[2]))


def present(values: Floats | None, what: str) -> Floats:
    """Return values, or refuse by name what is missing."""
    if values is None:
        raise InvalidInput(f"Signals: the table must hold {what}. Found losses only.")
    return values
