"""A lower bound on the epsilon of differential privacy, from the guesses of an attack on single training runs.

A random half of a pool is a random pairing of its records with an independent fair coin a pair: one of the two is a
member, the other is not. Told the pairing, an attacker guesses which. If training were epsilon-differentially private
(one record replaced, delta = 0), each guess would be right with probability at most e^eps / (1 + e^eps) whatever the
others were, so the number of right guesses is at most binomial. More right guesses than that refute the epsilon.

Source: Steinke, Nasr, Jagielski, "Privacy Auditing with One (1) Training Run" (arXiv 2305.08846), section 5, the case
of pure differential privacy. Dependent p-values: Vovk, Wang (2020), Biometrika 107:791 (twice the mean is a p-value).
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats
from scipy.special import expit

from leaq.errors import NotEnoughEvidence
from leaq.seeds import stream
from leaq.types import Bools, Estimate, Floats, Ints, LossTable

__all__ = ["epsilon_bound", "one_run_epsilon"]

SUREST = 0.25
"""Share of pairs that are guessed, the surest first; fixed beforehand, so that it costs no correction."""
FEWEST_PAIRS = 20
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
        return factor * float(np.mean(stats.binom.sf(v - 1, r, expit(epsilon)))) - (1 - level)

    if excess(0.0) > 0:
        return 0.0
    low, high = 0.0, LARGEST
    while high - low > 1e-6:
        middle = (low + high) / 2
        low, high = (middle, high) if excess(middle) <= 0 else (low, middle)
    return low


def epsilon_bound(
    table: LossTable, scores: Floats, *, targets: Sequence[int], level: float = 0.95, seed: int = 0
) -> Estimate:
    """Tell which epsilons of differential privacy the attack refutes.

    Direction: smaller is safer; ``low`` is the bound, ``value`` the log-odds of a right guess (no bound). Range:
    [0, inf). Interval: one-sided at `level`. Do not trust a small one: it says what this attack refutes, and a quarter
    of a few hundred records cannot refute more than about 3 even when every guess is right.

    Parameters
    ----------
    table : in the game "pool", members a random half of the records (within each class).
    scores : (t, n) of the attacked models, computed without knowing any record's membership in them.

    Raises
    ------
    NotEnoughEvidence
        If membership was not drawn as halves of a pool, or there are too few pairs.
    """
    if table.game != "pool":
        raise NotEnoughEvidence(
            "A one-run bound on epsilon needs members drawn as a random half of a pool by whoever audits. Found given "
            "members and non-members. Audit the training (leaq attack) instead of a finished model."
        )
    right, guesses, alike = [], [], _alike(table)
    for row, target in zip(scores, targets, strict=True):
        inside, outside = _pairs(alike, table.members[target], rng=stream(seed, "epsilon-pairs", target))
        lead = row[inside] - row[outside]
        surest = np.argsort(-np.abs(lead))[: max(1, round(SUREST * len(lead)))]
        lead = lead[surest][lead[surest] != 0]  # no guess where both look the same
        right.append(int((lead > 0).sum()))
        guesses.append(len(lead))
    total, hits = sum(guesses), sum(right)
    low = one_run_epsilon(right, guesses, level=level) if min(guesses) > 0 else 0.0
    odds = float(np.log((hits + 0.5) / (total - hits + 0.5)))
    return Estimate(
        max(low, odds, 0.0),
        low,
        float("inf"),
        total,
        level,
        "guesses",
        f"one-run auditing of {len(targets)} trained models, surest {SUREST:.0%} of pairs; one-sided; replace-one, "
        "delta = 0",
    )


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
