"""What is doubtful about the records of one attacked model, whose interval rests on nothing but these records."""

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.types import Bools, Estimate, Flag, Floats, Ints, LossTable

FEWEST = 4
"""Members, and non-members, that half of give a threshold and half are judged."""
FEW_MODELS = 4
"""Attacked models from which an interval sees how models vary."""
ENOUGH = 100
"""Members, and non-members, from which intervals cover about what they say: where nothing leaks, 95 % intervals of the
loss threshold held 0 in 0.86, 0.90, 0.93 and 0.94 of 600 draws of 20, 40, 100 and 500 of each."""
SMALLEST = 1e-5
"""Losses below are whole multiples of the rounding of 32-bit numbers near 1, and often equal."""
DIGITS = 6
"""Significant digits of a loss that was rounded for people; one with more is not equal to another's by chance."""
RECURRING = 10
"""Losses that must recur until anything is made of it."""
NEAR = 25
"""Different losses on either side that tell how many members have losses of about that size."""
WORSE = 0.45
"""Area under the ROC curve below which no chance takes an attack."""
SURE = 3.0
"""Standard deviations from chance at which copies are taken to stand on one side, or on both."""


def doubts_of_one(table: LossTable, target: int) -> tuple[Flag, ...]:
    """Return what is doubtful about the records by which one model is attacked.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than four members or non-members: no interval says what that leaves open.
    """
    members = table.members[target]
    seen = [len(np.unique(table.groups[side])) for side in (members, ~members)]
    found = list(doubts_of_records(*seen))
    if (said := _repeated(table.released[target], members, table.groups)) is not None:
        found.append(Flag("equal-losses", said))
    return tuple(found)


def doubts_of_records(*seen: int) -> tuple[Flag, ...]:
    """Return what is doubtful where one model is attacked by so many members, and so many others; refuse too few."""
    if min(seen) < FEWEST:
        raise NotEnoughEvidence(
            f"An attack on one model needs at least {FEWEST} members and {FEWEST} non-members. Found {seen[0]} and "
            f"{seen[1]}. Bring more records."
        )
    if min(seen) >= ENOUGH:
        return ()
    text = (
        f"Rests on {seen[0]:,} members and {seen[1]:,} non-members; with fewer than {ENOUGH} of either, intervals "
        "cover less than they say (of 95 % ones, 86 % with 20 of each where nothing leaks)."
    )
    return (Flag("few-judged", text),)


def doubts_of_few(models: int) -> tuple[Flag, ...]:
    """Return what is doubtful where so few models are attacked."""
    if models == 1:
        text = "Rests on one attacked model; what another one, trained alike, would leak is not in the interval."
        return (Flag("few-models", text),)
    text = f"Rests on {models} attacked models; the interval is optimistic."
    return (Flag("few-models", text),) if models < FEW_MODELS else ()


def doubts_of_verdicts(accused: int, asked: int, *, area: Estimate) -> tuple[Flag, ...]:
    """Return what is doubtful about who was called a member, and about scores that rank members below others.

    Parameters
    ----------
    accused, asked : record-model pairs that were called members, of how many.
    area : under the ROC curve of the scores.
    """
    found = []
    if accused in (0, asked):
        whom = "everybody" if accused else "nobody"
        text = f"The threshold calls {whom} a member: an advantage of 0 by itself, which says nothing of the leak."
        found.append(Flag("one-verdict", text))
    if area.high < WORSE:
        text = (
            f"The members are fitted worse than the others (AUC {area.value:.2f} [{area.low:.2f}, {area.high:.2f}]): "
            "were the two exchanged, are the losses log-likelihoods, or is more different?"
        )
        found.append(Flag("fits-worse", text))
    return tuple(found)


def _repeated(losses: Floats, members: Bools, groups: Ints) -> str | None:
    """Say where many losses are equal to the last digit though no rounding made them so; None where they are not.

    Models that give few different answers have equal losses, too, but those of members and of others alike. So copies
    are counted that stand on one side, beside the number that chance would put there.
    """
    _, first = np.unique(groups, return_index=True)
    losses, members = losses[first], members[first]
    long = np.flatnonzero((losses > SMALLEST) & (losses != _rounded(losses)))
    _, code, copies = np.unique(losses[long], return_inverse=True, return_counts=True)
    recurring = copies > 1
    if recurring.sum() < RECURRING:
        return None
    inside: Floats = np.bincount(code, members[long], len(copies)).astype(np.float64)
    one_side = ((inside == 0) | (inside == copies))[recurring]
    least, most = (chance[recurring] for chance in _by_chance(inside, copies))
    if _surplus(~one_side, 1 - least) > SURE:
        return (
            f"{int((~one_side).sum()):,} losses stand among members and among non-members, equal to the last digit: "
            "are these the same records? Then no attack can tell them apart, and they hide a leak."
        )
    if _surplus(one_side, most) < SURE:
        return None
    return (
        f"{int(copies[recurring].sum()):,} losses are equal to another's to the last digit, on the same side: are "
        "records repeated? Then thresholds and intervals take copies for evidence; give copies one group."
    )


def _surplus(seen: Bools, chance: Floats) -> float:
    """Return by how many standard deviations more was seen than by chance."""
    return float((seen - chance).sum() / np.sqrt((chance * (1 - chance)).sum()))


def _by_chance(inside: Floats, copies: Ints) -> tuple[Floats, Floats]:
    """Return how likely all copies of each different loss, which ascend, are on one side, at least and at most.

    They are members as often as those with losses next to theirs are, above or below: there may be a clean cut between
    members' losses and others'.
    """
    window = np.r_[np.ones(NEAR), np.zeros(NEAR + 1)]
    sides = []
    for side in (window, window[::-1]):
        near, every = (np.convolve(np.pad(count, NEAR), side, "valid") for count in (inside, copies))
        share = np.clip(near / np.maximum(every, 1), 0.001, 0.999)
        sides.append(np.where(every > 0, share**copies + (1 - share) ** copies, np.nan))
    return np.nanmin(sides, axis=0), np.nanmax(sides, axis=0)


def _rounded(values: Floats) -> Floats:
    """Return numbers as they are with few significant digits."""
    scale = 10.0 ** (DIGITS - 1 - np.floor(np.log10(np.maximum(values, SMALLEST))))
    return np.round(values * scale) / scale
