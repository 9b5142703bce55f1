"""An attack on a handful of replicates, each with the others as shadows: what forecasts start from.

With 8 replicates or more it is the combined attack itself. With fewer nothing is left to learn weights from, and a
target has two shadows: the hierarchical likelihood ratio is then used with means from the target's own shadows, and
variances from all replicates, as two curves through all records. These know a little about the target, so that the same
is done with memberships nobody trained on, and what is found there is taken off. It is an ingredient of a forecast and
no attack.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leaq.attacks.base import MOST_RECORDS, Context
from leaq.attacks.combined import FEWEST_PAIRS, Combined
from leaq.attacks.decisions import pairs_of
from leaq.attacks.hierarchical import Predictive, predictive
from leaq.attacks.scoring import Resampling
from leaq.attacks.shadows import InOut, Shadows
from leaq.attacks.signals import Signals, normalised
from leaq.errors import NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.roc import auc
from leaq.types import Bools, Floats, Ints, LossTable

Few = Literal["combined", "few"]
FEWEST = 4
FEWEST_RECORDS = 50
BLIND = 8
"""Draws of memberships nobody trained on, to learn what the attack seems to find where nothing is."""
WINDOW = 41
"""Records in a running mean, at most a tenth of all."""
TINY = 1e-3
"""Standard deviations a record's distance is at least taken for: its logarithm enters a mean."""


@dataclass(frozen=True)
class Attacked:
    """Scores of the replicates (one set a signal that is looked at by itself), higher = more likely a member.

    Attributes
    ----------
    scores : (k, s, n) over the records of the pool.
    members : (s, n).
    blind : (k,) what the same gives on memberships nobody trained on, as an area under the ROC curve less one half.
    pairs : (s,) the same number for a replicate and its exact complement.
    """

    attack: Few
    scores: Floats
    members: Bools
    blind: Floats
    pairs: Ints


def usable(table: LossTable) -> tuple[LossTable, Bools]:
    """Return the replicates on the records of the pool, and which records these are.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 replicates or 50 records, or the halves do not cover the records.
    """
    s = len(table.members) // 2 * 2
    if s < FEWEST:
        raise NotEnoughEvidence(
            f"A forecast needs at least {FEWEST} replicates. Found {len(table.members)}. Add --replicates."
        )
    members = table.members[:s]
    pool: Bools = np.asarray(members.any(0))
    halves = (members[: s // 4 * 2][:, pool], members[s // 4 * 2 :][:, pool])
    covered = all((half.any(0) & ~half.all(0)).all() for half in halves)
    if pool.sum() < FEWEST_RECORDS or not covered:
        raise NotEnoughEvidence(
            f"A forecast needs at least {FEWEST_RECORDS} records, each in for one and out for another replicate of "
            f"both halves. Found {int(pool.sum())} records. Train on paired halves of the pool."
        )
    some = table.of(range(s)).released_only()
    if pool.all():
        return some, pool
    if some.by_task:
        raise NotEnoughEvidence("A forecast of several targets needs every record to be in some replicate.")
    return some.on(np.flatnonzero(pool)), pool


def thinned(table: LossTable, *, seed: int = 0) -> LossTable:
    """Return a `usable` table on at most 4,000 records, the same of all tables of as many."""
    count = table.members.shape[1]
    if count <= MOST_RECORDS or table.by_task:
        return table
    return table.on(np.sort(stream(seed, "thinned").permutation(count)[:MOST_RECORDS]))


def attacked(table: LossTable, *, seed: int = 0, scores: Floats | None = None) -> Attacked:
    """Attack each replicate of a `usable` table with the others as shadows, its complement left out.

    `scores` are those of the combined attack of who sees the outputs, (s, n), where the audit ran it on just these
    models and records with this seed.
    """
    members, pairs = table.members, pairs_of(table.members)
    if pairs.max() + 1 >= FEWEST_PAIRS:
        if scores is None or scores.shape != members.shape:
            context = Context(table, resampling=Resampling(seed=seed))
            scores = Combined(sees="outputs").scores(context, range(len(members)))
        return Attacked("combined", scores[None], members, np.zeros(1), pairs)
    signals, rng = list(_signed(table)), stream(seed, "blind")
    found = [_few(signal, members, pairs).log_ratio(signal) for signal in signals]
    blind = np.zeros(len(signals))
    for _ in range(BLIND):
        fresh = _fresh(members, pairs, rng)
        for place, signal in enumerate(signals):
            scores = _few(signal, fresh, pairs).log_ratio(signal)
            blind[place] += np.mean([auc(*one) - 0.5 for one in zip(scores, fresh, strict=True)]) / BLIND
    return Attacked("few", np.stack(found), members, blind, pairs)


def expected_separation(table: LossTable) -> Floats:
    """Return how far the signals of each record of a `usable` table are expected to lie apart in and out, (n,).

    In standard deviations: the geometric mean of what the hierarchy expects of the normalised and of the raw signal
    (the distance of two normals as overlapping), and of a plain law of records alike. Each of them is best somewhere.
    """
    members = table.members
    views = [_apart(predictive(Shadows(signal, members, own=()).everyone())) for signal in _signed(table)]
    views.append(_lawful(normalised(table), members))
    return np.asarray(np.exp(np.mean([np.log(view + TINY) for view in views], axis=0)))


def _signed(table: LossTable) -> Iterator[Floats]:
    """Yield the margin or residual, normalised and raw; of several targets the normalised one that joins them."""
    signals = Signals(table)
    yield normalised(table)
    if table.by_task:
        return
    yield signals.of("auto", normalise=False)


def _fresh(members: Bools, pairs: Ints, rng: np.random.Generator) -> Bools:
    """Return memberships that nobody trained on, complementary where those given are."""
    fresh = members.copy()
    for pair in np.unique(pairs):
        rows = np.flatnonzero(pairs == pair)
        order = rng.permutation(members.shape[1])
        fresh[rows] = members[rows][:, order]
    return fresh


def _few(signal: Floats, members: Bools, pairs: Ints) -> Predictive:
    """Return what is expected of each target: means by its shadows, variances by all replicates, (s, n)."""
    everyone = Shadows(signal, members, own=()).everyone()
    shadows = [Shadows(signal[pairs != one], members[pairs != one], own=()).everyone() for one in pairs]
    # Variances of records alike, by their level in the shadows alone: a record's own hold the target's signal.
    levels = [(one.mean_in + one.mean_out) / 2 for one in shadows]
    square_in = np.stack([running_mean(level, everyone.square_in) for level in levels])
    square_out = np.stack([running_mean(level, everyone.square_out) for level in levels])
    mean_in, mean_out, count_in, count_out = (
        np.stack([getattr(one, name) for one in shadows]) for name in ("mean_in", "mean_out", "count_in", "count_out")
    )
    known = InOut(mean_in, mean_out, square_in, square_out, count_in, count_out)
    freedom = (
        np.broadcast_to(everyone.count_in - 1, count_in.shape),
        np.broadcast_to(everyone.count_out - 1, count_out.shape),
    )
    return predictive(known, freedom=freedom)


def _apart(known: Predictive) -> Floats:
    """Return the distance at which two unit normals overlap as the two expected laws do (by Bhattacharyya), (n,)."""
    both = known.variance_in + known.variance_out
    overlap = (known.mean_in - known.mean_out) ** 2 / (4 * both)
    overlap = overlap + np.log(both / (2 * np.sqrt(known.variance_in * known.variance_out))) / 2
    return np.asarray(np.sqrt(8 * np.maximum(overlap, 0.0)))


def _lawful(signals: Floats, members: Bools) -> Floats:
    """Return the mean move of records whose signal, when held out, is alike, over the spread between models, (n,).

    Moves come from one half of the replicates and what records are sorted by from the other: no noise is in both.
    """
    half = len(signals) // 4 * 2
    parts = [Shadows(signals[part], members[part], own=()).everyone() for part in (slice(0, half), slice(half, None))]
    moves = [running_mean(parts[1 - i].mean_out, parts[i].mean_in - parts[i].mean_out) for i in range(2)]
    known = Shadows(signals, members, own=()).everyone()
    spreads = [
        running_mean(known.mean_out, square / np.maximum(count - 1, 1))
        for square, count in ((known.square_in, known.count_in), (known.square_out, known.count_out))
    ]
    tiny = 1e-12 * max(1.0, float(np.var(signals)))
    return np.asarray(np.abs(moves[0] + moves[1]) / 2 / np.sqrt(np.maximum((spreads[0] + spreads[1]) / 2, tiny)))


def running_mean(key: Floats, values: Floats) -> Floats:
    """Mean of `values` over the records nearest in the order of `key`, (n,); the window shrinks at the ends."""
    n = len(key)
    half = max(2, min(WINDOW, n // 10) // 2)
    order = np.argsort(key, kind="stable")
    sums = np.cumsum(np.r_[0.0, values[order]])
    low, high = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
    result = np.empty(n)
    result[order] = (sums[high] - sums[low]) / (high - low)
    return result
