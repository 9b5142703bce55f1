"""Loss-threshold attacks: a record the model fits well is called a member; one threshold, or one a class.

Source: Yeom, Giacomelli, Fredrikson, Jha, "Privacy Risk in Machine Learning" (arXiv 1709.01604v5), Adversary 2.
One threshold a class: Song, Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models"
(arXiv 2003.10595v2), section 3.2.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np

from leaq.attacks.base import Context, Ingredient, MembershipAttack, Tells
from leaq.attacks.decisions import halves_of
from leaq.stats.roc import best_threshold
from leaq.types import Bools, Flag, Floats, Ints

FEWEST_OF_A_CLASS = 10
"""Members, and non-members, of a class in one half of the records below which the class takes the common threshold."""


class Threshold(MembershipAttack):
    """Call a member what the model fits well: the simplest attack there is.

    Direction: smaller is safer; an advantage near 0 means that this attack found nothing. Range: advantage in
    [-1, 1], AUC in [0, 1]. Do not trust when it is quiet: stronger attacks exist.

    per : one threshold for the whole model, or one a class: a gain where classes differ in difficulty, a little lost
        to the noise of more thresholds where they do not. A class with fewer than 10 known members or non-members
        takes the threshold of all classes (flag "small-classes").

    Examples
    --------
    >>> import numpy as np
    >>> from leaq.types import LossTable
    >>> rng = np.random.default_rng(0)
    >>> table = LossTable.from_losses(rng.exponential(0.2, 500), rng.exponential(1.0, 500))
    >>> result = Threshold()(table)
    >>> 0.3 < result.advantage.low < 0.535 < result.advantage.high  # exponentials: best possible is 0.535
    True
    """

    name: ClassVar[str] = "threshold"
    place: ClassVar[int] = 1
    source: ClassVar[str] = "arXiv 1709.01604v5; by class: arXiv 2003.10595v2"
    examples: ClassVar[tuple[str, ...]] = ("threshold", "threshold(per=label)")

    per: Literal["model", "label"] = "model"

    @property
    def needs(self) -> tuple[Ingredient, ...]:
        return ("classes",) if self.per == "label" else ()

    @property
    def tells(self) -> Tells:
        """Memberships of other records, for one threshold or for those of the classes."""
        return "threshold" if self.per == "model" else "scores"

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return negative losses, (t, n); by class less the class's threshold on the other half of the records."""
        losses = -context.table.released[list(targets)]
        return losses if self.per == "model" else self._by_class(context, targets)[0]

    def flags(self, context: Context) -> tuple[Flag, ...]:
        """Say how many class thresholds rest on too few records."""
        if self.per == "model":
            return ()
        small = self._by_class(context, context.chosen)[1]
        if not small:
            return ()
        total = 2 * len(context.chosen) * len(np.unique(np.asarray(context.table.targets)))
        text = f"{small} of {total} class thresholds rest on too few records; the common one is used there."
        return (Flag("small-classes", text),)

    def _by_class(self, context: Context, targets: Sequence[int]) -> tuple[Floats, int]:
        table = context.table
        labels = np.unique(np.asarray(table.targets), return_inverse=True)[1]
        scores = np.empty((len(targets), len(labels)))
        small = 0
        for row, target in enumerate(targets):
            half = halves_of(table.groups, seed=context.resampling.seed, target=row)
            scores[row], few = classwise_scores(-table.released[target], table.members[target], labels, half)
            small += few
        return scores, small

    def knows(self, context: Context) -> str:
        learns = "takes the threshold" if self.per == "model" else "learns a threshold a class"
        return (
            "sees the quantized model's losses; is told which of its other records are members, and "
            f"{learns} from them; no shadow models"
        )

    def title(self) -> str:
        return "loss-threshold attack" + ("" if self.per == "model" else ", one threshold a class")

    def short(self) -> str:
        return "Loss threshold" + ("" if self.per == "model" else ", by class")

    def explain(self) -> str:
        return "Calls a member what the model fits well."


def classwise_scores(scores: Floats, members: Bools, labels: Ints, half: Bools) -> tuple[Floats, int]:
    """Shift each class by its best threshold on the other half of the records; return also how many were too small.

    After the shift 0 is every class's threshold, so that one ROC curve holds for all classes.
    """
    shifted = np.empty(len(scores))
    small = 0
    for known, judged in ((half, ~half), (~half, half)):
        common = _finite_threshold(scores[known], members[known])
        for label in np.unique(labels[judged]):
            here = known & (labels == label)
            few = min(int(members[here].sum()), int((~members[here]).sum())) < FEWEST_OF_A_CLASS
            small += few
            limit = common if few else _finite_threshold(scores[here], members[here])
            mine = judged & (labels == label)
            shifted[mine] = scores[mine] - limit
    return shifted, small


def _finite_threshold(scores: Floats, members: Bools) -> float:
    """Return the best threshold, or the largest score where accusing nobody is best."""
    found = best_threshold(scores, members)
    return float(scores.max()) if np.isinf(found) else found
