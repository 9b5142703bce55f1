"""Likelihood-ratio attack (LiRA), with every other model as a shadow, quantized the same way or not.

For a target and a record, the shadows split into those that trained on the record and those that did not. Gaussians
are fitted to their signals. Online, the score is the log-likelihood ratio of the target's own signal; offline, only
the shadows that did not train on the record are used, and the score is how far the target's signal lies above theirs.

Source: Carlini, Chien, Nasr, Song, Terzis, Tramer, "Membership Inference Attacks From First Principles"
(arXiv 2112.03570v2), Algorithm 1 (online), equation 4 (offline) and section VI-C (global variance for few shadows).
"""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from leaq.attacks.rescoring import of_models, rescoring
from leaq.attacks.risk import effect_size
from leaq.attacks.scoring import Attack, Protocol, attack_result, chosen_targets
from leaq.attacks.shadows import InOut, Shadows, Signal, number_of_shadows, same_models, signal
from leaq.errors import InvalidInput
from leaq.types import AttackResult, Bools, Floats, LossTable

__all__ = ["lira", "lira_scores", "online_scores"]

Variance = Literal["fixed", "per_record"]
ADAPTIVE = "sees the quantized model's outputs; knows the pool, the training rule and the quantizer; {s} shadow models"
NON_ADAPTIVE = (
    "sees the quantized model's outputs; knows the pool and the training rule, not the quantizer; "
    "{s} full-precision shadow models"
)


def lira(
    table: LossTable,
    *,
    mode: Literal["online", "offline"] = "online",
    variance: Variance = "fixed",
    targets: Sequence[int] | None = None,
    shadows: LossTable | None = None,
    protocol: Protocol | None = None,
) -> AttackResult:
    """Tell how well an attacker with shadow models separates members from non-members.

    Direction: smaller is safer. Range: advantage in [-1, 1]. The advantage is a lower bound on the leak of the game
    named in the result. Do not trust a quiet result from few shadows: with fewer than about 16 the Gaussians are
    poor.

    Regression: online uses the signed residual. A model that trained on a record has its residual near 0, the others
    on one side of it, and the Gaussian pair sees both the shift and the narrowing that a squared error blurs. Offline
    has one Gaussian and needs a signal with a direction: the negative absolute residual.

    Parameters
    ----------
    table : scores (s, n) of models released under one quantizer.
    mode : "online" needs shadows that trained on the record, "offline" only others (cheaper for an attacker).
    variance : one variance for all records (better for few shadows), or one a record.
    targets : attacked models; every other model of the table is their shadow, except exact complements.
    shadows : another table of the same models, index by index, to take shadow signals from. The full-precision one
        gives the non-adaptive attack; None (the default) the adaptive one.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.
    """
    chosen = chosen_targets(table, targets)
    scores = lira_scores(table, mode=mode, variance=variance, targets=chosen, shadows=shadows)
    source = table if shadows is None else shadows
    who = number_of_shadows(Shadows(source.losses[:, -1], table.members), chosen)
    name = f"lira-{mode}" if shadows is None else f"lira-nonadaptive{'-offline' if mode == 'offline' else ''}"
    attack = Attack(
        name + ("-per-record" if variance == "per_record" else ""),
        (ADAPTIVE if shadows is None else NON_ADAPTIVE).format(s=who),
        risk=effect_size(_signals(table, "online"), table.members),
    )
    scores_from = rescoring(
        lambda models, who: lira_scores(
            of_models(table, models),
            mode=mode,
            variance=variance,
            targets=who,
            shadows=None if shadows is None else of_models(shadows, models),
        )
    )
    return attack_result(
        attack, table, scores, targets=chosen, protocol=protocol or Protocol(), scores_from=scores_from
    )


def lira_scores(
    table: LossTable,
    *,
    mode: Literal["online", "offline"] = "online",
    variance: Variance = "fixed",
    targets: Sequence[int] | None = None,
    shadows: LossTable | None = None,
) -> Floats:
    """Return each attacked model's score of each record, (t, n): higher = more likely a member. See `lira`."""
    if mode not in ("online", "offline") or variance not in ("fixed", "per_record"):
        raise InvalidInput(
            f"lira: mode must be online or offline, variance fixed or per_record. Found {mode!r}, {variance!r}."
        )
    chosen = chosen_targets(table, targets)
    source = table if shadows is None else shadows
    same_models(table, source, attack="LiRA")
    signals = _signals(table, mode)
    statistics = Shadows(signals if shadows is None else _signals(source, mode), table.members)
    sides: Literal["both", "out"] = "both" if mode == "online" else "out"
    score = _online if mode == "online" else _offline
    return np.stack([score(signals[t], statistics.of(t, attack="LiRA", sides=sides), variance) for t in chosen])


def online_scores(signals: Floats, members: Bools, targets: Sequence[int]) -> Floats:
    """Return the online scores of bare signals (s, n) under a fixed variance, (t, n): LiRA without a table."""
    shadows = Shadows(signals, members)
    return np.stack([_online(signals[t], shadows.of(t, attack="LiRA"), "fixed") for t in targets])


def _online(target: Floats, known: InOut, variance: Variance) -> Floats:
    """Log N(x; in) - log N(x; out), (n,)."""
    var_in, var_out = known.variances(variance)
    return _log_normal(target, known.mean_in, var_in) - _log_normal(target, known.mean_out, var_out)


def _offline(target: Floats, known: InOut, variance: Variance) -> Floats:
    """Return standard deviations above the shadows not trained on it, (n,); monotone in the paper's 1 - p-value."""
    if variance == "per_record":
        _, spread = known.variances("per_record")
    else:
        spread = np.maximum(np.array(known.square_out.sum() / max(1, (known.count_out - 1).sum())), 1e-12)
    return np.asarray((target - known.mean_out) / np.sqrt(spread))


def _log_normal(x: Floats, mean: Floats, variance: Floats) -> Floats:
    density: Floats = -0.5 * np.log(variance) - (x - mean) ** 2 / (2 * variance)
    return density


def _signals(table: LossTable, mode: str) -> Floats:
    kind: Signal = "auto"
    if mode == "offline" and table.task == "regression":
        kind = "magnitude"
    return signal(table, kind, attack="lira")
