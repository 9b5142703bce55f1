"""ROC curves of attack scores: higher score = more likely a member (positive). Ties are handled exactly."""

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.types import Bools, Floats

__all__ = ["auc", "best_threshold", "roc_curve", "thin", "tpr_at_fpr", "weighted_auc", "weighted_tpr_at_fpr"]


def weighted_auc(scores: Floats, positive: Bools, weights: Floats) -> Floats:
    """Return the area under the ROC curve for each row of record weights: (n,), (n,), (b, n) -> (b,).

    The chance that a positive outscores a negative, ties counting half. NaN where one kind has no weight.
    """
    order = np.argsort(scores, kind="stable")
    starts = _tie_starts(scores[order])
    ordered = weights[:, order]
    pos = np.add.reduceat(ordered * positive[order], starts, axis=1)  # (b, distinct)
    neg = np.add.reduceat(ordered * ~positive[order], starts, axis=1)
    below = np.cumsum(neg, axis=1) - neg / 2
    with np.errstate(invalid="ignore", divide="ignore"):
        result: Floats = (pos * below).sum(1) / (pos.sum(1) * neg.sum(1))
    return result


def auc(scores: Floats, positive: Bools) -> float:
    """Return the area under the ROC curve.

    Examples
    --------
    >>> auc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True]))
    0.75
    """
    _both_kinds(positive)
    return float(weighted_auc(scores, positive, np.ones((1, len(scores))))[0])


def roc_curve(scores: Floats, positive: Bools) -> Floats:
    """Return (2, m) false- and true-positive rates from (0, 0) to (1, 1), one point a distinct score."""
    _both_kinds(positive)
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[_tie_starts(-scores[order])[1:], len(scores)] - 1
    hits = positive[order]
    tpr = np.cumsum(hits)[ends] / hits.sum()
    fpr = np.cumsum(~hits)[ends] / (~hits).sum()
    return np.stack([np.r_[0.0, fpr], np.r_[0.0, tpr]])


def tpr_at_fpr(scores: Floats, positive: Bools, fpr: float) -> float:
    """Return the largest share of positives found while at most a share `fpr` of negatives is accused."""
    curve = roc_curve(scores, positive)
    return float(curve[1, curve[0] <= fpr + 1e-12].max())


def weighted_tpr_at_fpr(scores: Floats, positive: Bools, weights: Floats, fpr: float) -> Floats:
    """Return `tpr_at_fpr` for each row of record weights (b, n)."""
    order = np.argsort(-scores, kind="stable")
    ends = np.r_[_tie_starts(-scores[order])[1:], len(scores)] - 1
    hits = positive[order]
    result = np.empty(len(weights))
    for i, row in enumerate(weights):
        ordered = row[order]
        tp = np.cumsum(ordered * hits)[ends]
        fp = np.cumsum(ordered * ~hits)[ends]
        allowed = np.searchsorted(fp, fpr * fp[-1] * (1 + 1e-12), side="right")
        result[i] = tp[allowed - 1] / tp[-1] if allowed else 0.0
    return result


def best_threshold(scores: Floats, positive: Bools) -> float:
    """Return the threshold that maximises TPR - FPR when scores above it are called positive.

    Halfway between two scores, so that it makes sense for other records; infinite if accusing nobody is best.
    """
    _both_kinds(positive)
    order = np.argsort(-scores, kind="stable")
    ordered, hits = scores[order], positive[order]
    ends = np.r_[_tie_starts(-ordered)[1:], len(scores)] - 1
    gain = np.cumsum(hits)[ends] / hits.sum() - np.cumsum(~hits)[ends] / (~hits).sum()
    best = int(np.argmax(gain))
    if gain[best] <= 0:
        return float("inf")
    last = ends[best]
    return float(ordered[last] if last + 1 == len(scores) else (ordered[last] + ordered[last + 1]) / 2)


def thin(curve: Floats, points: int = 300) -> Floats:
    """Keep at most `points` points of a curve, spaced evenly on a log scale of the false-positive rate."""
    if curve.shape[1] <= points:
        return curve
    floor = max(curve[0][curve[0] > 0].min(), 1e-6)
    wanted = np.r_[0.0, np.geomspace(floor, 1.0, points - 1)]
    index = np.unique(np.searchsorted(curve[0], wanted, side="right") - 1)
    kept: Floats = curve[:, np.clip(index, 0, None)]
    return kept


def _tie_starts(ordered: Floats) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])


def _both_kinds(positive: Bools) -> None:
    count = int(positive.sum())
    if count in (0, len(positive)):
        raise NotEnoughEvidence(
            f"A ROC curve needs members and non-members. Found {count} members among {len(positive)} records."
        )
