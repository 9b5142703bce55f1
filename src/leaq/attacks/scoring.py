"""From attack scores to an AttackResult: the part all attacks share.

Numbers without self-deception: max(TPR - FPR) on the records it is chosen on is never below 0, so the threshold comes
from elsewhere (`leaq.attacks.decisions`): for an attacker with shadow models from the other models, for one who is told
memberships from the other half of the target's records. The advantage is SIGNED and averaged over targets.
Intervals resample targets and records together (`TwoWay`). They are about the mean over models trained this way, not
about the one model that will be released.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from leaq.attacks.decisions import cross_fitted_decisions, thresholds_by_others
from leaq.attacks.doubts import doubts_of_few, doubts_of_one, doubts_of_verdicts
from leaq.attacks.epsilon import epsilon_bound
from leaq.attacks.resampling import Influences, ScoresFrom, Shared, advantages, areas, resamples
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.stats.crossed import Crossed, crossed
from leaq.stats.intervals import BootstrapWeights, percentile_interval
from leaq.stats.roc import roc_curve, thin, tpr_at_fpr, tpr_draws
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, Ints, LossTable, NotComputed, computed

FALSE_POSITIVES = 10
"""A TPR at a false-positive rate is given only if its false positives are at least this many distinct records."""
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
class Resampling:
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
    resampling: Resampling,
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
    inside = members.sum(1)
    if (inside == 0).any() or (inside == members.shape[1]).any():
        raise NotEnoughEvidence(
            f"{attack.name}: every attacked model needs members and non-members. "
            f"Found {int(inside.min())} to {int(inside.max())} members of {members.shape[1]} records."
        )
    drawn = resamples(table.groups, members, draws=resampling.draws, seed=resampling.seed)
    thresholds = None if attack.told or attack.labelled else _thresholds(table, scores, targets, attack.scores_from)
    attack = _in_words(attack, len(targets), told=thresholds is None)
    if len(targets) == 1:
        attack = replace(attack, flags=(*attack.flags, *doubts_of_one(table, targets[0])))
    shared = Influences()
    if thresholds is None:
        decisions = cross_fitted_decisions(scores, members, table.groups, seed=resampling.seed)
    else:
        decisions = scores > thresholds[:, None]
        if len(targets) == 1 and (decisions.all() or not decisions.any()):
            # The others' threshold tells nobody of this model apart, and the number would be 0 without a doubt: half of
            # the records are accused instead, which no membership decides.
            thresholds = np.median(scores, axis=1)
            decisions = scores > thresholds[:, None]
        if attack.scores_from is not None and attack.jackknife:
            shared = Shared(table, targets, thresholds, attack.scores_from).influence(drawn)
    told, again, level = attack.told or attack.labelled, attack.scores_from, resampling.level
    bound = partial(epsilon_bound, table, scores, targets=targets, level=level, seed=resampling.seed, scores_from=again)
    found = advantages(decisions, drawn)
    advantage = crossed(*found, drawn.ways, influence=shared.advantage)
    area = crossed(*areas(scores, drawn), drawn.ways, influence=shared.area)
    signs = f"signed, threshold from the other {'half of the records' if told else 'models'}"
    resampled = f"resampled over models and records{'' if shared.area is None else ', shadows by a jackknife'}"
    doubt = _Undoubted.of(members, table.groups, level=resampling.level)
    told_apart = bounded(advantage, resampling, ends=(-1.0, 1.0), pairs=scores.size, method=f"{signs}; {resampled}")
    under = bounded(area, resampling, ends=(0.0, 1.0), pairs=scores.size, method=f"mean over models; {resampled}")
    doubts = doubts_of_verdicts(int(decisions.sum()), decisions.size, area=under)
    attack = replace(attack, flags=(*attack.flags, *doubts))
    return AttackResult(
        attack.name,
        attack.attacker,
        table.game,
        advantage=doubt.within(told_apart, lowest=1 - doubt.members - doubt.others),
        auc=doubt.within(under, lowest=(1 - doubt.members) * (1 - doubt.others)),
        tpr={fpr: _tpr(scores, drawn, fpr=fpr, level=resampling.level, doubt=doubt) for fpr in resampling.fprs},
        roc=_curve(scores, members),
        risk=attack.risk,
        flags=attack.flags,
        epsilon=NotComputed(TOLD) if attack.told else computed(bound),
        told=told,
        crossed=crossed(*found, drawn.ways, influence=shared.same_thresholds),
    )


@dataclass(frozen=True)
class _Undoubted:
    """What is not excluded where every record was told right, or no member found: resampling shows no doubt then.

    Attributes
    ----------
    members, others : the largest share of members, and of non-members, that may be told otherwise though none of those
        seen was: the end of the exact binomial interval, each group of records counted once.
    """

    members: float
    others: float

    @classmethod
    def of(cls, members: Bools, groups: Ints, *, level: float) -> "_Undoubted":
        seen = (len(np.unique(groups[inside.any(0)])) for inside in (members, ~members))
        return cls(*(1 - ((1 - level) / 2) ** (1 / count) for count in seen))

    def within(self, found: Estimate, *, lowest: float) -> Estimate:
        """Return a number with `lowest` in its interval, if it is 1."""
        return replace(found, low=min(found.low, lowest)) if found.value == 1 else found


def _thresholds(
    table: LossTable, scores: Floats, targets: Sequence[int], scores_from: ScoresFrom | None
) -> Floats | None:
    """Return each target's threshold from the other targets, if these are too few from all models; None without."""
    found = thresholds_by_others(scores, table.members[list(targets)])
    if found is not None or scores_from is None or len(targets) == len(table.members):
        return found
    everyone = range(len(table.members))
    try:
        all_of_them = thresholds_by_others(scores_from(everyone, everyone), table.members)
    except NotEnoughEvidence:
        return None
    return None if all_of_them is None else all_of_them[list(targets)]


def _in_words(attack: Attack, targets: int, *, told: bool) -> Attack:
    """Return the attack with the doubts that few targets bring, and with what its attacker was told in the end."""
    flags = (*attack.flags, *doubts_of_few(targets))
    if not told or attack.told or attack.labelled:
        return replace(attack, flags=flags)
    text = (
        f"Rests on {targets} attacked model{'s' * (targets > 1)}: too few for a threshold from the others, so that it "
        "comes from labelled records of the attacked model."
    )
    words = f"{attack.attacker}; {LABELLED}"
    return replace(attack, attacker=words, labelled=True, flags=(*flags, Flag("told-threshold", text)))


def area_gap(
    table: LossTable, stronger: Floats, weaker: Floats, *, targets: Sequence[int], resampling: Resampling
) -> Estimate:
    """Return the AUC of one attack minus that of another on the same models, paired draw by draw."""
    drawn = resamples(table.groups, table.members[list(targets)], draws=resampling.draws, seed=resampling.seed)
    one, other = (crossed(*areas(scores, drawn), drawn.ways) for scores in (stronger, weaker))
    gap = one - other
    method = "AUC difference, paired; resampled over models and records"
    return bounded(gap, resampling, ends=(-1.0, 1.0), pairs=stronger.size, method=method)


def _tpr(
    scores: Floats, drawn: BootstrapWeights, *, fpr: float, level: float, doubt: _Undoubted
) -> Estimate | NotComputed:
    """TPR at one false-positive rate over all targets pooled, or why it is not given."""
    try:
        value, accused = enough_tpr(scores, drawn.positive, fpr)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))
    draws = tpr_draws(scores, drawn, fpr=fpr)
    low, high = percentile_interval(draws[np.isfinite(draws)], level=level)
    method = "pooled over models; bootstrap over models and records"
    low, high = (low if value < 1 else 1 - doubt.members), (high if value > 0 else max(high, doubt.members))
    return Estimate.spanning(value, low, high, accused, level, "falsely accused records", method)


def enough_tpr(scores: Floats, members: Bools, fpr: float) -> tuple[float, int]:
    """Return TPR at `fpr` of (t, n) scores pooled, and how many distinct records stand behind its false positives.

    The records are those of the non-members that the rate allows to accuse: one record can be accused in every model,
    and then is one piece of evidence, not t. Where members and many non-members share a score no threshold accuses as
    few as the rate allows, and what is found by accusing fewer is no rate at `fpr`.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than `FALSE_POSITIVES` of them.
    """
    trials = int((~members).sum())
    allowed = int(trials * fpr * (1 + 1e-12))
    need = f"TPR at {fpr:.1%} FPR needs"
    if allowed < FALSE_POSITIVES:
        remedy = "Raise --replicates or bring" if len(members) > 1 else "Bring"  # a finished model is alone
        raise NotEnoughEvidence(
            f"{need} at least {FALSE_POSITIVES / fpr:,.0f} non-member trials (records x models). Found {trials:,}. "
            f"{remedy} more records."
        )
    where = np.nonzero(~members)
    outside = scores[where]
    limit = -np.partition(-outside, allowed)[allowed] if allowed < len(outside) else -np.inf
    above = np.flatnonzero(outside > limit)  # ties with the first that must not be accused are not either
    behind = len(np.unique(where[1][above]))
    if behind < FALSE_POSITIVES and len(above) < allowed and (scores[members] == limit).any():
        tied = (outside == limit).mean()
        raise NotEnoughEvidence(
            f"{need} a threshold that accuses so few non-members. Found {tied:.1%} of them with one and the same score "
            "at that place, as where losses round to 0. Read the AUC."
        )
    accused = np.argpartition(-outside, allowed - 1)[:allowed]
    records = len(np.unique(where[1][accused]))
    if records < FALSE_POSITIVES:
        raise NotEnoughEvidence(
            f"{need} at least {FALSE_POSITIVES} records among its false positives. Found {records}, accused {allowed} "
            "times. Bring more records."
        )
    return tpr_at_fpr(scores.ravel(), members.ravel(), fpr), records


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


def bounded(found: Crossed, resampling: Resampling, *, ends: tuple[float, float], pairs: int, method: str) -> Estimate:
    """Return a number with its interval, cut where the number itself must end; `pairs` of records and models."""
    low, high = (float(np.clip(end, *ends)) for end in found.interval(level=resampling.level))
    return Estimate.spanning(found.value, low, high, pairs, resampling.level, PAIRS, method)
