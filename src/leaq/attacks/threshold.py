"""Loss-threshold attacks: a record the model fits well is called a member; one threshold, or one a class.

Source: Yeom, Giacomelli, Fredrikson, Jha, "Privacy Risk in Machine Learning" (arXiv 1709.01604v5), Adversary 2.
One threshold a class: Song, Mittal, "Systematic Evaluation of Privacy Risks of Machine Learning Models"
(arXiv 2003.10595v2), section 3.2.
"""

from collections.abc import Sequence

import numpy as np

from leaq.attacks.decisions import halves_of
from leaq.attacks.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.errors import InvalidInput
from leaq.stats.roc import best_threshold
from leaq.types import AttackResult, Bools, Flag, Floats, Ints, LossTable

__all__ = ["classwise_scores", "threshold", "threshold_classwise"]

ATTACKER = (
    "sees the quantized model's losses; is told which of its other records are members, and takes the threshold from "
    "them; no shadow models"
)
FEWEST_OF_A_CLASS = 10
"""Members, and non-members, of a class in one half of the records below which the class takes the common threshold."""


def threshold(
    table: LossTable, *, targets: Sequence[int] | None = None, protocol: Protocol | None = None
) -> AttackResult:
    """Tell how well a bare loss threshold separates members from non-members.

    Direction: smaller is safer; an advantage near 0 means that this attack, the simplest there is, found nothing.
    Range: advantage in [-1, 1], AUC in [0, 1]. Do not trust when it is quiet: stronger attacks exist.

    Parameters
    ----------
    table : losses of t target models; the released candidate is attacked.
    targets : which models are attacked, all by default.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> table = LossTable.from_losses(rng.exponential(0.2, 500), rng.exponential(1.0, 500))
    >>> result = threshold(table)
    >>> 0.3 < result.advantage.low < 0.535 < result.advantage.high  # exponentials: best possible is 0.535
    True
    """
    chosen = chosen_targets(table, targets)
    scores = -table.released[chosen]
    attack = Attack("threshold", ATTACKER, labelled=True)
    return attack_result(
        attack,
        table,
        scores,
        targets=chosen,
        protocol=protocol or Protocol(),
        scores_from=lambda models, _: -table.released[list(models)],  # no shadows: the same whichever there are
    )


def threshold_classwise(
    table: LossTable, *, targets: Sequence[int] | None = None, protocol: Protocol | None = None
) -> AttackResult:
    """Tell how well loss thresholds, one a class, separate members from non-members.

    Direction, range: as `threshold`. It gains where classes differ in difficulty, and loses a little to the noise of
    more thresholds where they do not. A class with fewer than 10 known members or non-members takes the threshold of
    all classes (flag "small-classes").

    Raises
    ------
    InvalidInput
        If the records have no classes.
    """
    if table.task != "classification" or table.targets is None:
        raise InvalidInput("threshold-classwise: needs a classification with targets. Use threshold.")
    protocol = protocol or Protocol()
    chosen = chosen_targets(table, targets)
    labels = np.unique(np.asarray(table.targets), return_inverse=True)[1]
    scores = np.empty((len(chosen), len(labels)))
    small = 0
    for row, target in enumerate(chosen):
        half = halves_of(table.groups, seed=protocol.seed, target=row)
        scores[row], few = classwise_scores(-table.released[target], table.members[target], labels, half)
        small += few
    flags: tuple[Flag, ...] = ()
    if small:
        total = 2 * len(chosen) * (int(labels.max()) + 1)
        text = f"{small} of {total} class thresholds rest on too few records; the common one is used there."
        flags = (Flag("small-classes", text),)
    attack = Attack("threshold-classwise", ATTACKER, flags=flags, told=True)
    return attack_result(attack, table, scores, targets=chosen, protocol=protocol)


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
