"""Difficulty calibration: how much better a model fits a record than models that never saw it do.

Source: Watson, Guo, Cormode, Sablayrolles, "On the Importance of Difficulty Calibration in Membership Inference
Attacks" (arXiv 2111.08440v2), equation 1, with the loss as the score and the shadows that did not train on the record
as reference models.
"""

from collections.abc import Sequence

import numpy as np

from leaq.attacks.rescoring import of_models, rescoring
from leaq.attacks.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.attacks.shadows import Shadows, number_of_shadows, signal
from leaq.types import AttackResult, Floats, LossTable

__all__ = ["calibrated", "calibrated_scores"]

ATTACKER = (
    "sees the quantized model's losses; knows the pool, the training rule and the quantizer; {s} shadow models, those "
    "that did not train on a record as its references"
)


def calibrated(
    table: LossTable, *, targets: Sequence[int] | None = None, protocol: Protocol | None = None
) -> AttackResult:
    """Tell how well the loss, less the mean loss of models that did not train on the record, finds members.

    Direction: smaller is safer. Range: advantage in [-1, 1]. The same score for classification (cross-entropy) and
    regression (squared error). Do not trust when it is quiet: it knows a record's difficulty but not its spread, which
    LiRA does.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is out of none of a target's shadows.
    """
    chosen = chosen_targets(table, targets)
    shadows = number_of_shadows(Shadows(table.released, table.members), chosen)
    attack = Attack("calibrated", ATTACKER.format(s=shadows))
    scores = calibrated_scores(table, targets=chosen)
    scores_from = rescoring(lambda models, who: calibrated_scores(of_models(table, models), targets=who))
    return attack_result(
        attack, table, scores, targets=chosen, protocol=protocol or Protocol(), scores_from=scores_from
    )


def calibrated_scores(table: LossTable, *, targets: Sequence[int] | None = None) -> Floats:
    """Return reference loss minus own loss, (t, n): higher = more likely a member."""
    chosen = chosen_targets(table, targets)
    signals = signal(table, "loss", attack="calibrated")
    shadows = Shadows(signals, table.members)
    return np.stack([signals[t] - shadows.of(t, attack="calibrated", sides="out").mean_out for t in chosen])
