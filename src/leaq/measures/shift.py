"""Do members and non-members differ before any model sees them? Then an attack measures the shift, not the leak.

Source: classifier two-sample test, Lopez-Paz and Oquab (arXiv 1610.06545v4), with the area under the ROC curve.
"""

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import percentile_interval
from leaq.stats.roc import weighted_auc
from leaq.types import Estimate, Flag, Floats

MOST = 2000
"""Records of each kind that are looked at."""
VISIBLE = 0.52
"""Lower end of the interval from which a shift is called visible."""


def shift(members: Floats, nonmembers: Floats, *, level: float = 0.95, seed: int = 0, draws: int = 200) -> Estimate:
    """Tell how well a classifier separates members from non-members by their inputs alone, without the model.

    Direction: 0.5 means that both look like draws from one distribution; anything clearly above means that every
    attack on them is inflated. Range: [0, 1]. Interval: bootstrap over records the classifier did not see. Do not trust
    when there are fewer than about 100 records of each kind, or the difference hides where no forest looks.

    Parameters
    ----------
    members, nonmembers : (n, d) inputs.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> shift(rng.normal(0, 1, (200, 3)), rng.normal(1, 1, (200, 3))).low > 0.6
    True
    """
    from sklearn.ensemble import ExtraTreesClassifier

    rng = stream(seed, "shift")
    inside, outside = (_some(rows, rng) for rows in (members, nonmembers))
    if min(len(inside), len(outside)) < 20:
        raise NotEnoughEvidence(
            f"Comparing inputs needs 20 members and 20 non-members. Found {len(inside)} and {len(outside)}."
        )
    x = np.concatenate([inside, outside])
    y = np.r_[np.ones(len(inside), bool), np.zeros(len(outside), bool)]
    # One half teaches, the other is measured: cross-validated scores share their training records, and a bootstrap
    # over them was too narrow by a third.
    train = np.r_[rng.permutation(len(inside)) % 2 == 0, rng.permutation(len(outside)) % 2 == 0]
    state = int(rng.integers(2**31))
    forest = ExtraTreesClassifier(200, min_samples_leaf=3, class_weight="balanced", random_state=state)
    scores = forest.fit(x[train], y[train]).predict_proba(x[~train])[:, 1]
    member, count = y[~train], int((~train).sum())
    value = float(weighted_auc(scores, member, np.ones((1, count)))[0])
    drawn = weighted_auc(scores, member, rng.multinomial(count, np.full(count, 1 / count), size=draws).astype(float))
    low, high = percentile_interval(drawn[np.isfinite(drawn)], level=level)
    method = "forest on inputs, measured on the half of the records it did not see"
    return Estimate.spanning(value, low, high, count, level, "records", method)


def _some(rows: Floats, rng: np.random.Generator) -> Floats:
    if len(rows) <= MOST:
        return rows
    return rows[rng.choice(len(rows), MOST, replace=False)]


def shift_doubt(found: Estimate, what: str = "inputs") -> tuple[Flag, ...]:
    """Flag members and non-members that differ visibly, in their inputs or their targets."""
    if found.low <= VISIBLE:
        return ()
    text = (
        f"Members and non-members differ before any model sees them: a classifier on the {what} alone tells them "
        f"apart with AUC {found.value:.2f} [{found.low:.2f}, {found.high:.2f}]. Attacks then measure this shift and "
        "not the leak; draw both from one source."
    )
    return (Flag("members-differ", text),)
