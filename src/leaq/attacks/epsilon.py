"""A lower bound on the epsilon of differential privacy, from the guesses of an attack on single training runs.

A random half of a pool is a random pairing of its records with an independent fair coin a pair: one of the two is a
member, the other is not. Told the pairing, an attacker guesses which. If training were epsilon-differentially private
(one record replaced, delta = 0), each guess would be right with probability at most e^eps / (1 + e^eps) whatever the
others were, so the number of right guesses is at most binomial. More right guesses than that refute the epsilon.

Several runs: where every model is a target and the others' shadow, the numbers of right guesses depend on each other
in ways nobody knows, and twice the mean of the runs' p-values is all that is allowed. So the runs are made independent:
one model of each of half of the complementary pairs is attacked, and only models of the other pairs are its shadows.
Given those, the coins of each target are fair and untouched by the other targets: right guesses pool into one binomial.

Source: Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training Run" (arXiv 2305.08846), section 5, the case
of pure differential privacy: given the output, every coin's odds are at most e^eps whatever the others are, so the same
holds for the coins of independent runs taken together. Dependent p-values: Vovk, Wang (2020), Biometrika 107:791.
"""

from collections.abc import Sequence

import numpy as np

from leaq.attacks.decisions import pairs_of
from leaq.attacks.resampling import ScoresFrom
from leaq.errors import NotEnoughEvidence
from leaq.lazy import special
from leaq.seeds import stream
from leaq.types import Bools, Estimate, Floats, Ints, LossTable

SUREST = 0.25
"""Share of pairs that are guessed, the surest first; fixed beforehand, so that it costs no correction."""
FEWEST_PAIRS = 20
FEWEST_SPLIT = 2
"""Complementary pairs of models below which there is none to be attacked and none to be its shadows."""
LARGEST = 20.0
"""Where the search for epsilon ends; no audit of under a hundred million guesses can refute more."""


def one_run_epsilon(right: Sequence[int], guesses: Sequence[int], *, level: float = 0.95) -> float:
    """Return the largest epsilon that right guesses in single training runs refute at `level`, one-sided.

    Several runs are combined by twice the mean of their p-values, valid however they depend on each other.

    Examples
    --------
    >>> round(one_run_epsilon([100], [100]), 2)
    3.49
    >>> one_run_epsilon([50], [100])
    0.0
    """
    v, r = np.asarray(right), np.asarray(guesses)
    factor = 1.0 if len(v) == 1 else 2.0

    def excess(epsilon: float) -> float:
        return factor * float(np.mean(_at_least(v, r, float(special.expit(epsilon))))) - (1 - level)

    if excess(0.0) > 0:
        return 0.0
    if excess(LARGEST) <= 0:
        return LARGEST
    if len(v) == 1:  # the end of Clopper's and Pearson's interval, without what SciPy needs to look for roots
        chance = special.betaincinv(v[0], r[0] - v[0] + 1, 1 - level)
        return max(0.0, float(special.logit(chance)) - 1e-8)
    from scipy import optimize

    # A root may be found a rounding above the true one; the bound is the safe side of it.
    return max(0.0, float(optimize.brentq(excess, 0.0, LARGEST, xtol=1e-9)) - 1e-8)


def _at_least(successes: Ints, trials: Ints, chance: float) -> Floats:
    """Return the chance of at least so many successes in binomial trials: an incomplete beta function."""
    some = successes > 0
    tail = special.betainc(np.where(some, successes, 1), np.maximum(trials - successes + 1, 1), chance)
    return np.where(some, tail, 1.0)


def epsilon_bound(
    table: LossTable,
    scores: Floats,
    *,
    targets: Sequence[int],
    level: float = 0.95,
    seed: int = 0,
    scores_from: ScoresFrom | None = None,
) -> Estimate:
    """Tell which epsilons of differential privacy the attack refutes.

    Direction: smaller is safer; ``low`` is the bound and ``value`` repeats it: nothing but a bound is estimated. Range:
    [0, inf). Interval: one-sided at `level`. Do not trust a small one: it says what this attack refutes, and even if
    every guess is right g guesses cannot refute more than about log(g / 3).

    Parameters
    ----------
    table : in the game "pool" or "calibration", members a random half of the records (within each class).
    scores : (t, n) of the attacked models, computed without knowing any record's membership in them.
    scores_from : scores anew with other shadows; then the guesses on independent models are pooled.

    Raises
    ------
    NotEnoughEvidence
        If membership was not drawn as halves of a pool, or there are too few pairs.
    """
    if table.game in ("iid", "released"):
        raise NotEnoughEvidence(
            "A one-run bound on epsilon needs members drawn as a random half of a pool by whoever audits. Found given "
            "members and non-members. Audit the training instead of a finished model."
        )
    runs = "dependent runs"
    independent = None if scores_from is None else _independent(table, targets, scores_from)
    if independent is not None:
        targets, scores = independent
        runs = "independent runs, pooled"
    right, guesses = _guessed(table, scores, targets, seed)
    if independent is not None:
        right, guesses = [sum(right)], [sum(guesses)]
    low = one_run_epsilon(right, guesses, level=level) if min(guesses) > 0 else 0.0
    return Estimate(
        low,
        low,
        float("inf"),
        sum(guesses),
        level,
        "guesses",
        f"one-run auditing of {len(targets)} trained models ({runs}), surest {SUREST:.0%} of pairs; one-sided; "
        "replace-one, delta = 0",
    )


def _independent(table: LossTable, targets: Sequence[int], scores_from: ScoresFrom) -> tuple[list[int], Floats] | None:
    """Return one model of each second pair, and their scores by shadows of all other pairs; None if that is too few."""
    pair = pairs_of(table.members)
    first = {int(pair[target]): target for target in reversed(targets)}  # the first attacked model of each pair
    attacked = [first[code] for code in sorted(first)][::2]
    shadows = np.flatnonzero(~np.isin(pair, pair[attacked])).tolist()
    if len(first) < FEWEST_SPLIT:
        return None
    try:
        return attacked, scores_from(attacked, shadows)
    except NotEnoughEvidence:
        return None


def _guessed(table: LossTable, scores: Floats, targets: Sequence[int], seed: int) -> tuple[list[int], list[int]]:
    """Return how many guesses were right, and how many were made, on each target."""
    right, guesses, alike = [], [], _alike(table)
    for row, target in zip(scores, targets, strict=True):
        inside, outside = _pairs(alike, table.members[target], rng=stream(seed, "epsilon-pairs", target))
        lead = row[inside] - row[outside]
        surest = np.argsort(-np.abs(lead))[: max(1, round(SUREST * len(lead)))]
        lead = lead[surest][lead[surest] != 0]  # no guess where both look the same
        right.append(int((lead > 0).sum()))
        guesses.append(len(lead))
    return right, guesses


def _alike(table: LossTable) -> list[Ints]:
    """Return the records of each class (of all, for a regression); records that come in groups are left out."""
    _, code, size = np.unique(table.groups, return_inverse=True, return_counts=True)
    alone = size[code] == 1
    if table.task != "classification" or table.targets is None:
        return [np.flatnonzero(alone)]
    labels = np.asarray(table.targets)
    return [np.flatnonzero(alone & (labels == label)) for label in np.unique(labels)]


def _pairs(alike: Sequence[Ints], members: Bools, *, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """Match members with non-members at random, within classes."""
    inside: list[Ints] = []
    outside: list[Ints] = []
    for rows in alike:
        kind = members[rows]
        ours, others = rng.permutation(rows[kind]), rng.permutation(rows[~kind])
        count = min(len(ours), len(others))
        inside.append(ours[:count])
        outside.append(others[:count])
    pairs = np.concatenate(inside), np.concatenate(outside)
    if len(pairs[0]) < FEWEST_PAIRS:
        raise NotEnoughEvidence(
            f"A one-run bound on epsilon needs at least {FEWEST_PAIRS} pairs of one member and one non-member. "
            f"Found {len(pairs[0])}. Bring more records."
        )
    return pairs
