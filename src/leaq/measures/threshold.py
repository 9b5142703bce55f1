"""Loss-threshold attack: a record the model fits well is called a member.

Source: Yeom, Giacomelli, Fredrikson, Jha, "Privacy Risk in Machine Learning" (arXiv 1709.01604v5), Adversary 2.
"""

from collections.abc import Sequence

from leaq.measures.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.types import AttackResult, LossTable

__all__ = ["threshold"]

ATTACKER = "sees the quantized model's losses; knows nothing else; the threshold comes from other labelled records"


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
    return attack_result(Attack("threshold", ATTACKER), table, scores, targets=chosen, protocol=protocol or Protocol())
