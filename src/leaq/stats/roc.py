"""ROC curves of attack scores: higher score = more likely a member (positive). Ties are handled exactly."""

from dataclasses import dataclass

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.stats.intervals import BootstrapWeights
from leaq.types import Bools, Floats, Ints

AT_ONCE = 2**20
"""Weights of records in draws that are added up at once: more would not stay in the processor's cache."""


def weighted_auc(scores: Floats, positive: Bools, weights: Floats) -> Floats:
    """Return the area under the ROC curve for each row of record weights: (n,), (n,), (b, n) -> (b,).

    The chance that a positive outscores a negative, ties counting half. NaN where one kind has no weight.
    """
    inside, outside = np.flatnonzero(positive), np.flatnonzero(~positive)
    outside = outside[np.argsort(scores[outside])]
    values, wanted, drawn = scores[outside], scores[inside], weights.T  # (n, b): sums run down all draws at once
    low, high = (np.searchsorted(values, wanted, side=side) for side in ("left", "right"))
    found = np.empty(len(weights))
    step = max(1, AT_ONCE // max(1, len(scores)))
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        below = np.zeros((len(outside) + 1, *drawn[:1, part].shape[1:]))
        np.cumsum(drawn[outside, part], axis=0, out=below[1:])
        weight = drawn[inside, part]
        half = below[low] if (low == high).all() else (below[low] + below[high]) / 2
        with np.errstate(invalid="ignore", divide="ignore"):
            found[part] = np.einsum("nb,nb->b", weight, half) / (below[-1] * weight.sum(0))
    return found


def auc(scores: Floats, positive: Bools) -> float:
    """Return the area under the ROC curve.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    _both_kinds(positive)
    return float(placements(scores, positive)[positive].mean())


def placements(scores: Floats, positive: Bools) -> Floats:
    """Return each record's part in the area under the ROC curve of its row, (..., n), ties counting half.

    For a positive the share of negatives it outscores, for a negative the share of positives that outscore it. The
    mean over positives, and over negatives, is the area. To first order the area of records weighted by w is the
    weighted mean over positives plus that over negatives minus the area: one product instead of a sort a draw.

    Source: DeLong, DeLong, Clarke-Pearson (1988), Biometrics 44:837, structural components.
    """
    order = np.argsort(scores, axis=-1)
    hits = np.take_along_axis(positive, order, -1)
    up_to = np.cumsum(hits, axis=-1)  # positives at or below
    total, count = up_to[..., -1:], scores.shape[-1]
    place: Ints = np.arange(count)
    ordered = np.take_along_axis(scores, order, -1)
    tied = ordered[..., 1:] == ordered[..., :-1]
    if tied.any():  # a tied group shares the middle of its range
        first, last = _tied_ranges(tied)
        before: Ints = np.take_along_axis(up_to, first, -1) - np.take_along_axis(hits, first, -1)
        group: Ints = np.take_along_axis(up_to, last, -1) - before
        below_pos: Floats = before + group / 2
        below_neg: Floats = first - before + (last + 1 - first - group) / 2
    else:
        below_pos = np.asarray(up_to - hits / 2)
        below_neg = place + 1 - up_to - ~hits / 2
    values = np.empty(scores.shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = np.where(hits, below_neg / (count - total), (total - below_pos) / total)
    np.put_along_axis(values, order, shares, -1)
    return values


def _tied_ranges(tied: Bools) -> tuple[Ints, Ints]:
    """Return where each place's tied group begins and ends, (..., n), from which neighbours tie, (..., n - 1)."""
    place = np.arange(tied.shape[-1] + 1)
    edge = np.ones((*tied.shape[:-1], 1), bool)
    begins, ends = np.concatenate([edge, ~tied], axis=-1), np.concatenate([~tied, edge], axis=-1)
    first = np.maximum.accumulate(np.where(begins, place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, place, len(place))[..., ::-1], axis=-1)[..., ::-1]
    return first, last


def roc_curve(scores: Floats, positive: Bools) -> Floats:
    """Return (2, m) false- and true-positive rates from (0, 0) to (1, 1), one point a distinct score."""
    _both_kinds(positive)
    order = np.argsort(-scores)
    ordered = scores[order]
    ends = np.flatnonzero(np.r_[ordered[1:] != ordered[:-1], True])  # the last of each group of ties
    hits = positive[order]
    tpr = np.cumsum(hits)[ends] / hits.sum()
    fpr = np.cumsum(~hits)[ends] / (~hits).sum()
    return np.stack([np.r_[0.0, fpr], np.r_[0.0, tpr]])


def tpr_at_fpr(scores: Floats, positive: Bools, fpr: float) -> float:
    """Return the largest share of positives found while at most a share `fpr` of negatives is accused."""
    _both_kinds(positive)
    negative = scores[~positive]
    allowed = int(len(negative) * fpr * (1 + 1e-12))
    if allowed >= len(negative):
        return 1.0
    # The first negative that must not be accused; ties with it must not either.
    limit = np.partition(negative, len(negative) - 1 - allowed)[len(negative) - 1 - allowed]
    return float((scores[positive] > limit).mean())


@dataclass(frozen=True)
class _Cells:
    """Some cells of a (t, n) matrix, and their weights in each draw: models[b, row] * records[b, column]."""

    rows: Ints
    columns: Ints

    def running(self, models: Floats, records: Floats) -> Floats:
        """Return the weights of the first 0, 1, ... cells added up, (cells + 1, b): a draw's cells stand in a column.

        One pass down whole rows: the draws of a record lie side by side in memory (see `TwoWay`).
        """
        total = np.zeros((len(self.rows) + 1, len(models)))
        np.take(records.T, self.columns, axis=0, out=total[1:])
        total[1:] *= models.T[self.rows]
        return np.cumsum(total, axis=0, out=total)


def tpr_draws(scores: Floats, drawn: BootstrapWeights, *, fpr: float) -> Floats:
    """Return `tpr_at_fpr` of all cells pooled, for each draw of models and records, (b,).

    The cells weigh ``models[b, i] * records[b, j]``; only those near the threshold are sorted: what lies clearly above
    it in every draw is counted by a matrix product.

    Parameters
    ----------
    scores : (t, n).
    drawn : the draws, and which cells are positive.
    """
    models, records, positive = drawn.ways.models, drawn.ways.records, drawn.positive
    total, against = (np.einsum("bt,bt->b", models, part) for part in (drawn.inside, drawn.outside))
    limits = _limits(scores, drawn, budget=fpr * (1 + 1e-12) * against)  # (b,)
    sure = positive & (scores > limits.max())
    found = np.einsum("bt,bt->b", models, drawn.weight(sure))
    band = np.nonzero(positive & (scores > limits.min()) & ~sure)
    values = scores[band]
    order = np.argsort(-values)
    cells = _Cells(band[0][order], band[1][order])
    for start in range(0, len(models), _rows_at_once(len(order))):
        part = slice(start, start + _rows_at_once(len(order)))
        above = np.searchsorted(-values[order], -limits[part])  # cells strictly above each draw's limit
        found[part] += cells.running(models[part], records[part])[above, np.arange(len(above))]
    return np.asarray(found / np.where(total > 0, total, np.nan))


def _limits(scores: Floats, drawn: BootstrapWeights, *, budget: Floats) -> Floats:
    """Return the score of the first negative each draw must not accuse, (b,): where its weights exceed `budget`."""
    models, records = drawn.ways.models, drawn.ways.records
    where = np.nonzero(~drawn.positive)
    values = scores[where]
    limits = np.full(len(models), -np.inf)
    left = np.arange(len(models))
    share = float((budget / np.maximum(np.einsum("bt,bt->b", models, drawn.outside), 1.0)).max())
    count = min(len(values), 64 + int(1.5 * share * len(values)))
    while len(left):
        top = np.argpartition(-values, count - 1)[:count] if count < len(values) else np.arange(len(values))
        top = top[np.argsort(-values[top])]
        cells = _Cells(where[0][top], where[1][top])
        for part in np.array_split(left, -(-len(left) // _rows_at_once(count))):
            # Neighbouring draws as a slice: picking them one by one would copy every record's draws.
            these = slice(part[0], part[-1] + 1) if part[-1] - part[0] + 1 == len(part) else part
            over = cells.running(models[these], records[these])[1:] > budget[part]
            limits[part] = np.where(over.any(0), values[top[over.argmax(0)]], -np.inf)
        left = left[np.isneginf(limits[left])]
        if count == len(values):
            break
        count = min(len(values), 4 * count)
    return limits


def _rows_at_once(cells: int) -> int:
    """Return how many draws' weights of that many cells are held at once (64 MiB)."""
    return max(1, 2**23 // max(1, cells))


def best_threshold(scores: Floats, positive: Bools) -> float:
    """Return the threshold that maximises TPR - FPR when scores above it are called positive.

    Halfway between two scores, so that it makes sense for other records; infinite if accusing nobody is best.
    """
    _both_kinds(positive)
    return float(best_thresholds(scores[None], positive[None], np.ones((1, len(scores)), bool))[0])


def best_thresholds(scores: Floats, positive: Bools, among: Bools) -> Floats:
    """Return `best_threshold` of some records of each row, (t,); infinite where these are all of one kind.

    Parameters
    ----------
    scores, positive : (t, n).
    among : (t, n) the records whose scores and kinds are looked at.
    """
    order = np.argsort(-scores, axis=1)
    ordered, seen = np.take_along_axis(scores, order, 1), np.take_along_axis(among, order, 1)
    hits = np.take_along_axis(positive, order, 1) & seen
    found, count = np.cumsum(hits, axis=1), np.cumsum(seen, axis=1)
    inside: Ints = np.asarray(found[:, -1:], np.int64)
    outside: Ints = count[:, -1:] - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        gain = found / inside - (count - found) / outside
    gain[:, :-1][ordered[:, 1:] == ordered[:, :-1]] = -np.inf  # no threshold cuts a tie
    rows = np.arange(len(scores))
    usable = ((inside > 0) & (outside > 0))[:, 0]
    best = np.where(usable, np.argmax(gain, axis=1), 0)
    usable &= gain[rows, best] > 0
    later = seen & (np.arange(scores.shape[1]) > best[:, None])
    following = np.where(later.any(1), later.argmax(1), best)  # the next lower score of those looked at
    middle = (ordered[rows, best] + ordered[rows, following]) / 2
    limits = np.where(following > best, middle, ordered[rows, best])
    return np.where(usable, limits, np.inf)


def above(scores: Floats, positive: Bools, cuts: Floats) -> tuple[Floats, Floats]:
    """Return the shares (t, c) of each row's positives and of its negatives above each of (c,) ascending cuts.

    Examples
    --------
    >>> scores, cuts = np.array([[0.1, 0.4, 0.35, 0.8]]), np.array([0.3])
    >>> hits, alarms = above(scores, np.array([[False, False, True, True]]), cuts)
    >>> hits.tolist(), alarms.tolist()
    ([[1.0]], [[0.5]])
    """
    if scores.shape[1] > len(cuts):
        return _above_by_sorting(scores, positive, cuts)
    bins = len(cuts) + 1
    order = np.argsort(scores, axis=None)  # looked up in their order, scores come from the cuts next to the last ones
    at = np.searchsorted(cuts, scores.ravel()[order])  # cuts strictly below each score
    kind = (positive + 2 * np.arange(len(scores))[:, None]).ravel()[order]
    counts = np.bincount(kind * bins + at, minlength=2 * len(scores) * bins).reshape(len(scores), 2, bins)
    up_to = np.cumsum(counts, axis=2)  # at or below each cut, and all of them
    alarms, hits = (1 - up_to[:, i, :-1] / up_to[:, i, -1:] for i in range(2))
    return hits, alarms


def _above_by_sorting(scores: Floats, positive: Bools, cuts: Floats) -> tuple[Floats, Floats]:
    """Return the same where there are fewer cuts than records: those are looked up, and not the records."""
    hits, alarms = np.empty((2, len(scores), len(cuts)))
    for row, inside in enumerate(positive):
        for shares, kind in ((hits, inside), (alarms, ~inside)):
            values = np.sort(scores[row, kind])
            with np.errstate(invalid="ignore"):
                shares[row] = 1 - np.searchsorted(values, cuts, side="right") / np.float64(len(values))
    return hits, alarms


def thin(curve: Floats, points: int = 300) -> Floats:
    """Keep at most `points` points of a curve, spaced evenly on a log scale of the false-positive rate."""
    if curve.shape[1] <= points:
        return curve
    floor = max(curve[0][curve[0] > 0].min(), 1e-6)
    wanted = np.r_[0.0, np.geomspace(floor, 1.0, points - 1)]
    index = np.unique(np.searchsorted(curve[0], wanted, side="right") - 1)
    kept: Floats = curve[:, np.clip(index, 0, None)]
    return kept


def _both_kinds(positive: Bools) -> None:
    count = int(positive.sum())
    if count in (0, len(positive)):
        raise NotEnoughEvidence(
            f"A ROC curve needs members and non-members. Found {count} members among {len(positive)} records."
        )
