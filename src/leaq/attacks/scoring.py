"""From attack scores to an AttackResult: the part all attacks share.

Numbers without self-deception: max(TPR - FPR) on the records it is chosen on is never below 0, so the threshold is
chosen on one half of the records and the SIGNED advantage measured on the other, both ways, averaged over targets.
Intervals resample targets and records together (`TwoWay`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from leaq.attacks.epsilon import epsilon_bound
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import Drawn, TwoWay, percentile_interval
from leaq.stats.roc import best_threshold, placements, roc_curve, thin, tpr_at_fpr, tpr_draws
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, Ints, LossTable, NotComputed

__all__ = ["Attack", "Protocol", "area_gap", "attack_result", "chosen_targets", "cross_fitted_decisions", "halves_of"]

FALSE_POSITIVES = 10
"""A TPR at a false-positive rate is given only if it rests on at least this many expected false positives."""
CURVE_CELLS = 200_000
"""Record-model pairs from which the drawn ROC curve is thinned before it is sorted."""
PAIRS = "record-model pairs"
TOLD = (
    "The attacker is told the membership of other records; a one-run bound on epsilon needs guesses made from the "
    "released model alone."
)


@dataclass(frozen=True)
class Protocol:
    """How attack numbers are made; the same for every attack of one audit, so that they compare."""

    level: float = 0.95
    draws: int = 200
    fprs: tuple[float, ...] = (0.01, 0.001)
    seed: int = 0


@dataclass(frozen=True)
class Attack:
    """What an attack is called, what its attacker sees and knows, and what it says about each record.

    `told` marks attackers who are told which other records are members; their guesses bound no epsilon.
    """

    name: str
    attacker: str
    risk: Floats | None = None
    flags: tuple[Flag, ...] = ()
    told: bool = False


def chosen_targets(table: LossTable, targets: Sequence[int] | None) -> list[int]:
    """Return the attacked models, all by default."""
    chosen = list(range(len(table.members))) if targets is None else list(targets)
    if not chosen or min(chosen) < 0 or max(chosen) >= len(table.members):
        raise InvalidInput(f"targets must name models 0..{len(table.members) - 1}. Found {chosen}.")
    return chosen


def attack_result(
    attack: Attack, table: LossTable, scores: Floats, *, targets: Sequence[int], protocol: Protocol
) -> AttackResult:
    """Turn scores (t, n), higher = more likely a member, into advantage, AUC, TPR and epsilon with intervals.

    Direction: every number is larger for a larger leak; 0 (advantage) and 0.5 (AUC) are blind guessing.
    Do not trust when: there are fewer than four targets (the interval then hardly sees the variation of models).
    """
    if not np.isfinite(scores).all():
        model = targets[int(np.argmin(np.isfinite(scores).all(1)))]
        raise InvalidInput(f"{attack.name}: scores must be finite. Model {model} has NaN or infinite ones.")
    members = table.members[list(targets)]
    _refuse_one_kind(members, attack.name)
    drawn = resamples(table, members, protocol)
    flags = attack.flags
    if len(targets) < 4:
        flags = (*flags, Flag("few-models", f"Rests on {len(targets)} attacked models; the interval is optimistic."))
    return AttackResult(
        attack.name,
        attack.attacker,
        table.game,
        advantage=_advantage(table, scores, drawn, protocol),
        auc=_area(scores, drawn, protocol),
        tpr={fpr: _tpr(scores, drawn, fpr=fpr, level=protocol.level) for fpr in protocol.fprs},
        roc=_curve(scores, members),
        risk=attack.risk,
        flags=flags,
        epsilon=_epsilon(attack, table, scores, targets=targets, protocol=protocol),
    )


def area_gap(
    table: LossTable, stronger: Floats, weaker: Floats, *, targets: Sequence[int], protocol: Protocol
) -> Estimate:
    """Return the AUC of one attack minus that of another on the same models, paired draw by draw."""
    drawn = resamples(table, table.members[list(targets)], protocol)
    (a, draws_a), (b, draws_b) = (_areas(scores, drawn) for scores in (stronger, weaker))
    method = "AUC difference, paired; bootstrap over models and records"
    return _estimate(a - b, draws_a - draws_b, pairs=stronger.size, protocol=protocol, method=method)


def resamples(table: LossTable, members: Bools, protocol: Protocol) -> Drawn:
    """Return the bootstrap weights all attacks on the same models share, so that they are drawn once."""
    packed = np.packbits(members, axis=1).tobytes()
    return _resamples(table.groups.tobytes(), packed, draws=protocol.draws, seed=protocol.seed)


@lru_cache(maxsize=2)
def _resamples(groups: bytes, packed: bytes, *, draws: int, seed: int) -> Drawn:
    group = np.frombuffer(groups, dtype=np.int64)
    bits = np.frombuffer(packed, dtype=np.uint8).reshape(-1, -(-len(group) // 8))
    ways = TwoWay.draw(len(bits), group, draws=draws, rng=stream(seed, "attack-intervals"))
    return Drawn(ways, np.unpackbits(bits, axis=1, count=len(group)).astype(bool))


def halves_of(groups: Ints, *, seed: int, target: int) -> Bools:
    """Return one half of the records as a mask, groups whole: thresholds come from one half and act on the other."""
    _, code = np.unique(groups, return_inverse=True)
    order = stream(seed, "threshold-halves", target).permutation(int(code.max()) + 1)
    return np.asarray((order % 2 == 0)[code])


def cross_fitted_decisions(scores: Floats, members: Bools, groups: Ints, *, seed: int) -> Bools:
    """Call each record member or not, by the threshold that was best on the other half of the records: (t, n)."""
    decisions = np.zeros(scores.shape, dtype=bool)
    for t in range(len(scores)):
        half = halves_of(groups, seed=seed, target=t)
        for chosen_on, measured_on in ((half, ~half), (~half, half)):
            threshold = best_threshold(scores[t, chosen_on], members[t, chosen_on])
            decisions[t, measured_on] = scores[t, measured_on] > threshold
    return decisions


def _advantage(table: LossTable, scores: Floats, drawn: Drawn, protocol: Protocol) -> Estimate:
    members = drawn.positive
    decisions = cross_fitted_decisions(scores, members, table.groups, seed=protocol.seed)
    hits, alarms = decisions & members, decisions & ~members
    value = float((hits.sum(1) / members.sum(1) - alarms.sum(1) / (~members).sum(1)).mean())
    found = drawn.weight(hits)
    draws = _ratio(found, drawn.inside) - _ratio(drawn.weight(decisions) - found, drawn.outside)
    return _estimate(
        value,
        drawn.ways.over_models(draws),
        pairs=scores.size,
        protocol=protocol,
        method="signed, threshold from the other half of the records; bootstrap over models and records",
    )


def _area(scores: Floats, drawn: Drawn, protocol: Protocol) -> Estimate:
    value, draws = _areas(scores, drawn)
    method = "mean over models; bootstrap over models and records"
    return _estimate(value, draws, pairs=scores.size, protocol=protocol, method=method)


def _areas(scores: Floats, drawn: Drawn) -> tuple[float, Floats]:
    """Mean area under the ROC curve, and its draws: linear in the record weights (see `placements`)."""
    members = drawn.positive
    parts = np.stack([placements(row, inside) for row, inside in zip(scores, members, strict=True)])  # (t, n)
    area = np.array([part[inside].mean() for part, inside in zip(parts, members, strict=True)])
    resampled = _ratio(drawn.weight(parts * members), drawn.inside)
    resampled = resampled + _ratio(drawn.weight(parts * ~members), drawn.outside) - area
    return float(area.mean()), drawn.ways.over_models(np.clip(resampled, 0.0, 1.0))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Share of drawn weights, (b, t); NaN where none was drawn."""
    with np.errstate(invalid="ignore", divide="ignore"):
        share: Floats = part / whole
    return share


def _tpr(scores: Floats, drawn: Drawn, *, fpr: float, level: float) -> Estimate | NotComputed:
    """TPR at one false-positive rate over all targets pooled, or why it is not given."""
    try:
        value, expected = enough_tpr(scores.ravel(), drawn.positive.ravel(), fpr)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))
    draws = tpr_draws(scores, drawn, fpr=fpr)
    low, high = percentile_interval(draws[np.isfinite(draws)], level=level)
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


def _curve(scores: Floats, members: Bools) -> Floats:
    """Return the pooled ROC curve for drawing, thinned evenly on a log scale of the false-positive rate."""
    pooled, positive = scores.ravel(), members.ravel()
    if pooled.size <= CURVE_CELLS:
        return thin(roc_curve(pooled, positive))
    # Two plain sorts and a few hundred look-ups; an argsort of everything would be most of the time.
    outside, inside = np.sort(pooled[~positive]), np.sort(pooled[positive])
    ranks = np.unique(np.r_[0, np.geomspace(1, len(outside), 300).astype(int)])
    limit = np.r_[outside[::-1][ranks[:-1]], -np.inf]  # accuse what lies strictly above
    rates = [1 - np.searchsorted(kind, limit, side="right") / len(kind) for kind in (outside, inside)]
    return np.stack(rates)


def _epsilon(
    attack: Attack, table: LossTable, scores: Floats, *, targets: Sequence[int], protocol: Protocol
) -> Estimate | NotComputed:
    if attack.told:
        return NotComputed(TOLD)
    try:
        return epsilon_bound(table, scores, targets=targets, level=protocol.level, seed=protocol.seed)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))


def _estimate(value: float, draws: Floats, *, pairs: int, protocol: Protocol, method: str) -> Estimate:
    low, high = percentile_interval(draws, level=protocol.level)
    return Estimate(value, min(low, value), max(high, value), pairs, protocol.level, PAIRS, method)


def _refuse_one_kind(members: Bools, name: str) -> None:
    counts = members.sum(1)
    if (counts == 0).any() or (counts == members.shape[1]).any():
        raise NotEnoughEvidence(
            f"{name}: every attacked model needs members and non-members. "
            f"Found {int(counts.min())} to {int(counts.max())} members of {members.shape[1]} records."
        )
