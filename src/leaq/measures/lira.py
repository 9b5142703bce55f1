"""Likelihood-ratio attack (LiRA), with every other model as a shadow, quantized the same way or not.

For a target and a record, the other models split into those that trained on the record and those that did not.
Two Gaussians are fitted to their signals; the score is the log-likelihood ratio of the target's own signal.

Source: Carlini, Chien, Nasr, Song, Terzis, Tramer, "Membership Inference Attacks From First Principles"
(arXiv 2112.03570v2), Algorithm 1 (online) and section VI-C (global variance for few shadows).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.measures.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.types import AttackResult, Bools, Floats, LossTable

__all__ = ["lira", "lira_scores"]

ADAPTIVE = "sees the quantized model's outputs; knows the pool, the training rule and the quantizer; {s} shadow models"
NON_ADAPTIVE = (
    "sees the quantized model's outputs; knows the pool and the training rule, not the quantizer; "
    "{s} full-precision shadow models"
)
FEWEST_SHADOWS = 4


def lira(
    table: LossTable,
    *,
    variance: Literal["fixed", "per_record"] = "fixed",
    targets: Sequence[int] | None = None,
    shadows: LossTable | None = None,
    protocol: Protocol | None = None,
) -> AttackResult:
    """Tell how well an attacker with shadow models separates members from non-members.

    Direction: smaller is safer. Range: advantage in [-1, 1]. The advantage is a lower bound on the leak of the game
    named in the result. Do not trust a quiet result from few shadows: with fewer than about 16 the Gaussians are
    poor. Regression uses the signed residual: a model that trained on a record has its residual near 0, the others
    on one side of it, and the Gaussian pair sees both the shift and the narrowing that a squared error blurs.

    Parameters
    ----------
    table : scores (s, n) of models released under one quantizer.
    variance : one variance for all records (better for few shadows), or one a record.
    targets : attacked models; every other model of the table is their shadow.
    shadows : another table of the same models, index by index, to take shadow signals from. The full-precision one
        gives the non-adaptive attack; None (the default) the adaptive one.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.
    """
    protocol = protocol or Protocol()
    chosen = chosen_targets(table, targets)
    source = table if shadows is None else shadows
    signals, shadow_signals = _signals(table), _signals(source)
    if shadow_signals.shape != signals.shape or not np.array_equal(source.members, table.members):
        raise InvalidInput("lira: shadows must hold the same models and records as the table, in the same order.")
    scores = np.stack(
        [
            lira_scores(signals[t], np.delete(shadow_signals, t, 0), np.delete(table.members, t, 0), variance)
            for t in chosen
        ]
    )
    name, words = ("lira-online", ADAPTIVE) if shadows is None else ("lira-nonadaptive", NON_ADAPTIVE)
    return attack_result(
        Attack(name, words.format(s=len(signals) - 1), risk=_effect_size(signals, table.members)),
        table,
        scores,
        targets=chosen,
        protocol=protocol,
    )


def lira_scores(
    target: Floats, shadows: Floats, members: Bools, variance: Literal["fixed", "per_record"] = "fixed"
) -> Floats:
    """Return the log-likelihood ratio of each record being a member, (n,).

    Parameters
    ----------
    target : (n,) signals of the attacked model.
    shadows : (s, n) signals of the shadow models.
    members : (s, n), True where the shadow trained on the record.
    """
    if len(shadows) < FEWEST_SHADOWS:
        raise NotEnoughEvidence(
            f"LiRA needs at least {FEWEST_SHADOWS} shadow models. Found {len(shadows)}. Add --replicates."
        )
    inside, outside = members.sum(0), (~members).sum(0)
    for count, word in ((inside, "in"), (outside, "out of")):
        if (count == 0).any():
            rows = np.flatnonzero(count == 0)
            raise NotEnoughEvidence(
                f"LiRA needs every record in some shadows and out of others. {first_rows(rows.tolist())} "
                f"are {word} none of {len(shadows)} shadows. Train on paired halves of the pool."
            )
    mean_in, var_in = _gaussian(shadows, members, variance)
    mean_out, var_out = _gaussian(shadows, ~members, variance)
    ratio: Floats = _log_normal(target, mean_in, var_in) - _log_normal(target, mean_out, var_out)
    return ratio


def _gaussian(shadows: Floats, mask: Bools, variance: str) -> tuple[Floats, Floats]:
    """Mean (n,) and variance ((n,) or (1,)) of the signals under `mask`."""
    count = mask.sum(0)
    mean = (shadows * mask).sum(0) / count
    squares = (((shadows - mean) * mask) ** 2).sum(0)
    if variance == "per_record" and (count >= 2).all():
        spread = squares / (count - 1)
    else:
        spread = np.array([squares.sum() / max(1, (count - 1).clip(0).sum())])
    # The smallest positive spread a float64 ratio survives; equal signals are then separated by any difference.
    return mean, np.maximum(spread, 1e-12)


def _log_normal(x: Floats, mean: Floats, variance: Floats) -> Floats:
    density: Floats = -0.5 * np.log(variance) - (x - mean) ** 2 / (2 * variance)
    return density


def _signals(table: LossTable) -> Floats:
    if table.scores is None:
        raise InvalidInput("lira: the table must hold scores (margins or residuals). Found losses only.")
    if table.task == "regression" and table.score_kind == "margin":
        raise InvalidInput("lira: a regression has no classification margin. Use score_kind='residual'.")
    if not np.isfinite(table.scores).all():
        raise InvalidInput("lira: scores must be finite. Found NaN or infinite ones.")
    return table.scores


def _effect_size(signals: Floats, members: Bools) -> Floats:
    """Per-record exposure (n,): (mean_in - mean_out) / pooled spread; residuals count by magnitude."""
    inside, outside = members.sum(0).clip(1), (~members).sum(0).clip(1)
    mean_in = (signals * members).sum(0) / inside
    mean_out = (signals * ~members).sum(0) / outside
    squares = (((signals - mean_in) * members) ** 2).sum(0) + (((signals - mean_out) * ~members) ** 2).sum(0)
    spread = np.sqrt(np.maximum(squares / max(1, len(signals) - 2), 1e-12))
    size: Floats = np.abs(mean_in - mean_out) / spread
    return size
