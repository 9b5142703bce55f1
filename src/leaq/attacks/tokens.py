"""Attacks on language models from token losses: against a reference model, whole or by windows, and Min-K%.

Sources: Watson, Guo, Cormode, Sablayrolles, "On the Importance of Difficulty Calibration in Membership Inference
Attacks" (arXiv 2111.08440v2), section 3; Shi et al., "Detecting Pretraining Data from Large Language Models"
(arXiv 2310.16789v3), section 3 (Min-K% Prob); Zhang et al., "Min-K%++: Improved Baseline for Detecting Pre-Training
Data from Large Language Models" (arXiv 2404.02936), section 4; Chen et al., "Window-based Membership Inference Attacks
Against Fine-tuned Large Language Models" (arXiv 2601.02751), section 4.1.
"""

from collections.abc import Sequence

import numpy as np

from leaq.attacks.scoring import Attack, Resampling, attack_result
from leaq.errors import InvalidInput
from leaq.types import AttackResult, Floats, LossTable

TOLD = "is told which other texts are members, and takes the threshold from them"
REFERENCE = f"sees the quantized model's losses, and those of a reference model that has not seen the members; {TOLD}"
WINDOWED = f"sees the probability of every token under the quantized and under a reference model; {TOLD}"
NORMALISED = f"sees the quantized model's probabilities of all tokens at every position; {TOLD}"
LOWEST = f"sees the quantized model's probability of every token; {TOLD}"


def against_reference(table: LossTable, reference: LossTable, *, resampling: Resampling | None = None) -> AttackResult:
    """Tell how well members are found by how much better the model does than a reference model.

    A text that is easy for everybody has a low loss without having been trained on; the difference takes that out.
    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust when the reference has seen the members
    or is of quite another kind: the difference then says little.

    Parameters
    ----------
    table, reference : losses of the audited and of the reference model on the same records.
    """
    if table.released.shape != reference.released.shape:
        raise InvalidInput(
            f"against_reference: both models must be evaluated on the same records. Found {table.released.shape} and "
            f"{reference.released.shape}."
        )
    scores = reference.released - table.released
    targets = range(len(scores))
    return attack_result(
        Attack("reference", REFERENCE, labelled=True),
        table,
        scores,
        targets=targets,
        resampling=resampling or Resampling(),
    )


WINDOWS = tuple(round(2 * (40 / 2) ** (k / 9)) for k in range(10))
"""Lengths of the windows: ten from 2 to 40 tokens, geometrically spaced, as published."""


def by_windows(
    table: LossTable, own: Sequence[Floats], other: Sequence[Floats], *, resampling: Resampling | None = None
) -> AttackResult:
    """Tell how well members are found by how many short stretches the model knows better than a reference model.

    Every window of a text votes, with no regard to by how much: a few tokens of enormous difference cannot outvote the
    many small ones that training on a text leaves behind. Meant for a fine-tuned model against its base (WBC).
    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust when the reference has seen the members.

    Parameters
    ----------
    table : losses of the audited model, one model.
    own, other : n arrays, log-probabilities of the same tokens under the audited and the reference model.
    """
    lengths = [len(a) for a in own], [len(b) for b in other]
    if lengths[0] != lengths[1] or len(own) != table.released.shape[1]:
        raise InvalidInput(
            f"by_windows: both models must be evaluated on the same tokens of all {table.released.shape[1]} texts. "
            f"Found {len(own)} and {len(other)} texts, {sum(lengths[0])} and {sum(lengths[1])} tokens."
        )
    scores = np.array([[windowed(a - b) for a, b in zip(own, other, strict=True)]])
    return attack_result(
        Attack("wbc", WINDOWED, labelled=True), table, scores, targets=range(1), resampling=resampling or Resampling()
    )


def windowed(gain: Floats) -> float:
    """Return the share of windows whose summed gain in log-probability (t,) is positive, averaged over their lengths.

    Lengths beyond the text are left out; a text shorter than all is one window.

    Examples
    --------
    >>> windowed(np.ones(50)), windowed(-np.ones(50))
    (1.0, 0.0)
    """
    sums = np.concatenate([[0.0], np.cumsum(gain)])
    lengths = [length for length in WINDOWS if length <= len(gain)] or [len(gain)]
    return float(np.mean([(sums[length:] - sums[:-length] > 0).mean() for length in lengths]))


def min_k(
    table: LossTable, lowest: Floats, *, normalised: bool = False, resampling: Resampling | None = None
) -> AttackResult:
    """Tell how well members are found by their least likely tokens: a text seen in training has few surprising ones.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust a quiet result on short texts: 20 % of a
    few tokens is one token.

    Parameters
    ----------
    lowest : (s, n) mean log-probability of each record's least likely 20 % of tokens.
    normalised : whether those are in standard deviations from the mean log-probability that the model expects at
        their position (Min-K%++), so that a token is not surprising where any would be.
    """
    if lowest.shape != table.released.shape:
        raise InvalidInput(f"min_k: needs one value a record, {table.released.shape}. Found {lowest.shape}.")
    attack = Attack("min-k++", NORMALISED, labelled=True) if normalised else Attack("min-k", LOWEST, labelled=True)
    return attack_result(attack, table, lowest, targets=range(len(lowest)), resampling=resampling or Resampling())
