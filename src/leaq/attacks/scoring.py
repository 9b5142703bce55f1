"""From attack scores to an AttackResult: the part all attacks share.

Numbers without self-deception: max(TPR - FPR) on the records it is chosen on is never below 0, so the threshold comes
from elsewhere (`leaq.attacks.decisions`): for an attacker with shadow models from the other models, for one who is told
memberships from the other half of the target's records. The advantage is SIGNED and averaged over targets.
Intervals resample targets and records together (`TwoWay`). They are about the mean over models trained this way, not
about the one model that will be released.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from leaq.attacks.decisions import cross_fitted_decisions, pairs_of, signed, thresholds_by_others
from leaq.attacks.epsilon import epsilon_bound
from leaq.attacks.rescoring import ScoresFrom, Shared
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import Drawn, TwoWay, percentile_interval
from leaq.stats.roc import placements, roc_curve, thin, tpr_at_fpr, tpr_draws
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, LossTable, NotComputed

__all__ = ["Attack", "Protocol", "area_gap", "attack_result", "chosen_targets"]

FALSE_POSITIVES = 10
"""A TPR at a false-positive rate is given only if it rests on at least this many expected false positives."""
CURVE_CELLS = 200_000
"""Record-model pairs from which the drawn ROC curve is thinned before it is sorted."""
PAIRS = "record-model pairs"
LABELLED = "the threshold comes from labelled records of the same model, half of them judged by the other half"
"""What an attacker is told who has no other models to learn a threshold from."""
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

    Attributes
    ----------
    told : the attacker is told which of the target's other records are members: scores and threshold rest on that, and
        the guesses bound no epsilon.
    labelled : only the threshold comes from records whose membership is told; the scores know nothing of it.
    scores_from : scores anew with other shadows. With it guesses on independent models are pooled (`epsilon_bound`).
    jackknife : whether intervals score anew too, so that they know that targets share their shadows.
    """

    name: str
    attacker: str
    risk: Floats | None = None
    flags: tuple[Flag, ...] = ()
    told: bool = False
    labelled: bool = False
    scores_from: ScoresFrom | None = None
    jackknife: bool = True


def chosen_targets(table: LossTable, targets: Sequence[int] | None) -> list[int]:
    """Return the attacked models, all by default."""
    chosen = list(range(len(table.members))) if targets is None else list(targets)
    if not chosen or min(chosen) < 0 or max(chosen) >= len(table.members):
        raise InvalidInput(f"targets must name models 0..{len(table.members) - 1}. Found {chosen}.")
    return chosen


def attack_result(
    attack: Attack,
    table: LossTable,
    scores: Floats,
    *,
    targets: Sequence[int],
    protocol: Protocol,
) -> AttackResult:
    """Turn scores (t, n), higher = more likely a member, into advantage, AUC, TPR and epsilon with intervals.

    Direction: every number is larger for a larger leak; 0 (advantage) and 0.5 (AUC) are blind guessing. The leak of
    the game is at least the advantage only of attackers who are not told memberships (`Attack`): their threshold is the
    one that is best on the other attacked models' scores, which must be on one scale. With fewer than three of those
    the threshold comes from labelled records after all, with the flag "told-threshold".
    Do not trust when: there are fewer than four targets (the interval then hardly sees the variation of models).
    """
    if not np.isfinite(scores).all():
        model = targets[int(np.argmin(np.isfinite(scores).all(1)))]
        raise InvalidInput(f"{attack.name}: scores must be finite. Model {model} has NaN or infinite ones.")
    members = table.members[list(targets)]
    _refuse_one_kind(members, attack.name)
    drawn = resamples(table, members, protocol)
    attack, thresholds = _thresholds(attack, scores, members)
    shared: tuple[Floats | None, Floats | None] = (None, None)
    if thresholds is None:
        decisions = cross_fitted_decisions(scores, members, table.groups, seed=protocol.seed)
    else:
        decisions = scores > thresholds[:, None]
        if attack.scores_from is not None and attack.jackknife:
            shared = Shared(table, targets, thresholds, attack.scores_from).influence(drawn)
    told = attack.told or attack.labelled
    advantage, draws = _advantage(decisions, drawn, protocol, told=told, influence=shared[0])
    return AttackResult(
        attack.name,
        attack.attacker,
        table.game,
        advantage=advantage,
        auc=_area(scores, drawn, protocol, influence=shared[1]),
        tpr={fpr: _tpr(scores, drawn, fpr=fpr, level=protocol.level) for fpr in protocol.fprs},
        roc=_curve(scores, members),
        risk=attack.risk,
        flags=attack.flags,
        epsilon=_epsilon(attack, table, scores, targets=targets, protocol=protocol),
        told=told,
        draws=draws,
    )


def _thresholds(attack: Attack, scores: Floats, members: Bools) -> tuple[Attack, Floats | None]:
    """Return each model's threshold from the others, None if it comes from labelled records, and the attack in words.

    Without models enough for the former it is the latter, and the attack says so.
    """
    if len(members) < 4:
        few = Flag("few-models", f"Rests on {len(members)} attacked models; the interval is optimistic.")
        attack = replace(attack, flags=(*attack.flags, few))
    if attack.told or attack.labelled:
        return attack, None
    thresholds = thresholds_by_others(scores, members)
    if thresholds is not None:
        return attack, thresholds
    text = (
        f"Rests on {len(members)} attacked models: too few for a threshold from the others, so that it comes from "
        "labelled records of the attacked model."
    )
    words, flag = f"{attack.attacker}; {LABELLED}", Flag("told-threshold", text)
    return replace(attack, attacker=words, labelled=True, flags=(*attack.flags, flag)), None


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
    members = np.unpackbits(bits, axis=1, count=len(group)).astype(bool)
    # Complementary models share every coin: they are one draw of a split, not two.
    units = pairs_of(members)
    ways = TwoWay.draw(len(bits), group, draws=draws, rng=stream(seed, "attack-intervals"), units=units)
    return Drawn(ways, members)


def _advantage(
    decisions: Bools, drawn: Drawn, protocol: Protocol, *, told: bool, influence: Floats | None
) -> tuple[Estimate, Floats]:
    members = drawn.positive
    found = drawn.weight(decisions & members)
    draws = _ratio(found, drawn.inside) - _ratio(drawn.weight(decisions) - found, drawn.outside)
    draws = np.clip(drawn.ways.over_models(draws, influence), -1.0, 1.0)
    source = "the other half of the records" if told else "the other models"
    method = f"signed, threshold from {source}; {_resampled(influence)}"
    value = float(signed(decisions, members).mean())
    return _estimate(value, draws, pairs=decisions.size, protocol=protocol, method=method), draws


def _resampled(influence: Floats | None) -> str:
    more = "" if influence is None else ", shadows drawn anew by a jackknife"
    return f"bootstrap over models and records{more}"


def _area(scores: Floats, drawn: Drawn, protocol: Protocol, *, influence: Floats | None) -> Estimate:
    value, draws = _areas(scores, drawn, influence)
    method = f"mean over models; {_resampled(influence)}"
    return _estimate(value, draws, pairs=scores.size, protocol=protocol, method=method)


def _areas(scores: Floats, drawn: Drawn, influence: Floats | None = None) -> tuple[float, Floats]:
    """Mean area under the ROC curve, and its draws: linear in the record weights (see `placements`)."""
    members = drawn.positive
    parts = np.stack([placements(row, inside) for row, inside in zip(scores, members, strict=True)])  # (t, n)
    area = np.array([part[inside].mean() for part, inside in zip(parts, members, strict=True)])
    resampled = _ratio(drawn.weight(parts * members), drawn.inside)
    resampled = resampled + _ratio(drawn.weight(parts * ~members), drawn.outside) - area
    return float(area.mean()), np.clip(drawn.ways.over_models(resampled, influence), 0.0, 1.0)


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
        again = attack.scores_from
        return epsilon_bound(
            table, scores, targets=targets, level=protocol.level, seed=protocol.seed, scores_from=again
        )
    except NotEnoughEvidence as err:
        return NotComputed(str(err))


def _estimate(value: float, draws: Floats, *, pairs: int, protocol: Protocol, method: str) -> Estimate:
    low, high = percentile_interval(draws[np.isfinite(draws)], level=protocol.level)
    return Estimate(value, min(low, value), max(high, value), pairs, protocol.level, PAIRS, method)


def _refuse_one_kind(members: Bools, name: str) -> None:
    counts = members.sum(1)
    if (counts == 0).any() or (counts == members.shape[1]).any():
        raise NotEnoughEvidence(
            f"{name}: every attacked model needs members and non-members. "
            f"Found {int(counts.min())} to {int(counts.max())} members of {members.shape[1]} records."
        )
