"""From attack scores to an AttackResult: the part all attacks share.

Numbers without self-deception: max(TPR - FPR) on the records it is chosen on is never below 0, so the threshold is
chosen on one half of the records and the SIGNED advantage measured on the other, both ways, averaged over targets.
Intervals resample targets and records together (`TwoWay`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.stats.roc import (
    auc,
    best_threshold,
    roc_curve,
    thin,
    tpr_at_fpr,
    weighted_auc,
    weighted_tpr_at_fpr,
)
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, Ints, LossTable, NotComputed

__all__ = ["Attack", "Protocol", "attack_result", "chosen_targets", "cross_fitted_decisions"]

FALSE_POSITIVES = 10
"""A TPR at a false-positive rate is given only if it rests on at least this many expected false positives."""


@dataclass(frozen=True)
class Protocol:
    """How attack numbers are made; the same for every attack of one audit, so that they compare."""

    level: float = 0.95
    draws: int = 200
    fprs: tuple[float, ...] = (0.01, 0.001)
    seed: int = 0


@dataclass(frozen=True)
class Attack:
    """What an attack is called, what its attacker sees and knows, and what it says about each record."""

    name: str
    attacker: str
    risk: Floats | None = None
    flags: tuple[Flag, ...] = ()


def chosen_targets(table: LossTable, targets: Sequence[int] | None) -> list[int]:
    """Return the attacked models, all by default."""
    chosen = list(range(len(table.members))) if targets is None else list(targets)
    if not chosen or min(chosen) < 0 or max(chosen) >= len(table.members):
        raise InvalidInput(f"targets must name models 0..{len(table.members) - 1}. Found {chosen}.")
    return chosen


def attack_result(
    attack: Attack, table: LossTable, scores: Floats, *, targets: Sequence[int], protocol: Protocol
) -> AttackResult:
    """Turn scores (t, n), higher = more likely a member, into advantage, AUC and TPR with intervals.

    Direction: every number is larger for a larger leak; 0 (advantage) and 0.5 (AUC) are blind guessing.
    Do not trust when: there are fewer than four targets (the interval then hardly sees the variation of models).
    """
    if not np.isfinite(scores).all():
        model = targets[int(np.argmin(np.isfinite(scores).all(1)))]
        raise InvalidInput(f"{attack.name}: scores must be finite. Model {model} has NaN or infinite ones.")
    members = table.members[list(targets)]
    rng = stream(protocol.seed, "attack-intervals")
    ways = TwoWay.draw(len(targets), table.groups, draws=protocol.draws, rng=rng)
    decisions = cross_fitted_decisions(scores, members, table.groups, seed=protocol.seed)
    n = len(table.groups)

    def estimate(value: float, draws: Floats, method: str) -> Estimate:
        low, high = percentile_interval(draws, level=protocol.level)
        return Estimate(
            value, min(low, value), max(high, value), n * len(targets), protocol.level, "record-model pairs", method
        )

    advantages = [_advantage(decisions[t], members[t], np.ones((1, n)))[0] for t in range(len(targets))]
    advantage = estimate(
        float(np.mean(advantages)),
        ways.mean(lambda t, w: _advantage(decisions[t], members[t], w)),
        "signed, threshold from the other half of the records; bootstrap over models and records",
    )
    areas = [auc(scores[t], members[t]) for t in range(len(targets))]
    area = estimate(
        float(np.mean(areas)),
        ways.mean(lambda t, w: weighted_auc(scores[t], members[t], w)),
        "mean over models; bootstrap over models and records",
    )
    pooled, positive = scores.ravel(), members.ravel()
    tpr = {fpr: _tpr(pooled, positive, ways, fpr=fpr, level=protocol.level) for fpr in protocol.fprs}
    flags = attack.flags
    if len(targets) < 4:
        flags = (*flags, Flag("few-models", f"Rests on {len(targets)} attacked models; the interval is optimistic."))
    curve = thin(roc_curve(pooled, positive))
    return AttackResult(attack.name, attack.attacker, table.game, advantage, area, tpr, curve, attack.risk, flags)


def cross_fitted_decisions(scores: Floats, members: Bools, groups: Ints, *, seed: int) -> Bools:
    """Call each record member or not, by the threshold that was best on the other half of the records: (t, n)."""
    _, code = np.unique(groups, return_inverse=True)
    decisions = np.zeros(scores.shape, dtype=bool)
    for t in range(len(scores)):
        order = stream(seed, "threshold-halves", t).permutation(int(code.max()) + 1)
        half = (order % 2 == 0)[code]
        for chosen_on, measured_on in ((half, ~half), (~half, half)):
            threshold = best_threshold(scores[t, chosen_on], members[t, chosen_on])
            decisions[t, measured_on] = scores[t, measured_on] > threshold
    return decisions


def _advantage(decisions: Bools, members: Bools, weights: Floats) -> Floats:
    """TPR - FPR for each row of record weights (b, n); NaN where one kind was not drawn."""
    inside, outside = weights @ members, weights @ ~members
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = weights @ (decisions & members) / inside - weights @ (decisions & ~members) / outside
    return result


def _tpr(pooled: Floats, positive: Bools, ways: TwoWay, *, fpr: float, level: float) -> Estimate | NotComputed:
    """TPR at one false-positive rate over all targets pooled, or why it is not given."""
    try:
        value, expected = enough_tpr(pooled, positive, fpr)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))
    weights = (ways.models[:, :, None] * ways.records[:, None, :]).reshape(len(ways.models), -1)
    low, high = percentile_interval(weighted_tpr_at_fpr(pooled, positive, weights, fpr), level=level)
    return Estimate(
        value,
        min(low, value),
        max(high, value),
        int(expected),
        level,
        "false positives",
        "pooled over models; bootstrap over models and records",
    )


def enough_tpr(scores: Floats, members: Bools, fpr: float) -> tuple[float, float]:
    """Return TPR at `fpr` and the expected false positives it rests on.

    Raises
    ------
    NotEnoughEvidence
        If fewer than `FALSE_POSITIVES` false positives are expected.
    """
    trials = int((~members).sum())
    if trials * fpr < FALSE_POSITIVES:
        raise NotEnoughEvidence(
            f"TPR at {fpr:.1%} FPR needs at least {FALSE_POSITIVES / fpr:,.0f} non-member trials "
            f"(records x models). Found {trials:,}. Raise --replicates or bring more records."
        )
    return tpr_at_fpr(scores, members, fpr), trials * fpr
