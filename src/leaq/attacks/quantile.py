"""Quantile-regression attack: no shadow models; a record is suspicious if its signal is high for a record like it.

On records known not to be members, two quantiles of the target's signal are regressed on the record itself. The score
is how far a record's own signal lies above the predicted median, in units of the predicted spread.

Source: Bertran, Tang, Kearns, Morgenstern, Roth, Wu, "Scalable Membership Inference Attacks via Quantile Regression"
(arXiv 2307.03694v1), section 3; location and scale from two quantiles in place of one quantile a false-positive rate.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from leaq.attacks.base import Context, Ingredient, MembershipAttack, Tells
from leaq.attacks.decisions import halves_of
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.types import Bools, Floats, LossTable

QUANTILES = (0.5, 0.9)
COMPONENTS = 32
"""Wider features are projected on this many principal components of the known non-members first."""
FEWEST_KNOWN = 50
TARGETS = 4
"""Models that are attacked at most: each needs four regressions of its own."""


class Quantile(MembershipAttack):
    """Quantile regression on known non-members: no shadow models, but known memberships of other records.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust when it is quiet: it is weaker than shadow
    attacks, and on few or wide records the regression learns little. The class is added to the features.

    Raises
    ------
    NotEnoughEvidence
        If one half of the records has fewer than 50 known non-members.
    """

    name: ClassVar[str] = "quantile"
    place: ClassVar[int] = 2
    source: ClassVar[str] = "arXiv 2307.03694v1"
    examples: ClassVar[tuple[str, ...]] = ("quantile",)
    needs: ClassVar[tuple[Ingredient, ...]] = ("features", "scores")
    tells: ClassVar[Tells] = "scores"
    """Memberships of other records, for the quantiles and the threshold."""

    def attacked(self, context: Context) -> Sequence[int]:
        """Return the first few models: each needs regressions of its own."""
        return context.chosen[:TARGETS]

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return standardised distances above the predicted median, (t, n)."""
        table, seed = context.table, context.resampling.seed
        features = _with_classes(_usable(context), table)
        signals = context.signals.of("magnitude", normalise=False)
        scores = np.empty((len(targets), table.members.shape[1]))
        for row, target in enumerate(targets):
            half = halves_of(table.groups, seed=seed, target=row)
            for known, judged in ((half, ~half), (~half, half)):
                outside = known & ~table.members[target]
                scores[row, judged] = _excess(features, signals[target], outside, judged, seed=seed)
        return scores

    def knows(self, context: Context) -> str:
        return (
            "sees the quantized model's outputs; is told which of its other records are members, and learns quantiles "
            "and the threshold from them; no shadow models, no knowledge of the training rule"
        )

    def title(self) -> str:
        return "quantile-regression attack"

    def short(self) -> str:
        return "Quantile"

    def explain(self) -> str:
        return "How far a record's signal lies above that of known non-members with inputs like its own."


def _usable(context: Context) -> Floats:
    n, features = context.table.members.shape[1], context.features
    if features is None or features.ndim != 2 or len(features) != n or not np.isfinite(features).all():
        shape = None if features is None else features.shape
        raise InvalidInput(f"quantile: features must be a finite array with {n} rows. Found shape {shape}.")
    return features


def _with_classes(features: Floats, table: LossTable) -> Floats:
    if table.task != "classification" or table.targets is None:
        return features
    labels = np.asarray(table.targets)
    return np.hstack([features, labels[:, None] == np.unique(labels)])


def _excess(features: Floats, values: Floats, known: Bools, judged: Bools, *, seed: int) -> Floats:
    """Fit on the known non-members, apply to the judged records."""
    from sklearn.ensemble import HistGradientBoostingRegressor

    if known.sum() < FEWEST_KNOWN:
        raise NotEnoughEvidence(
            f"quantile needs at least {FEWEST_KNOWN} known non-members in each half of the records. "
            f"Found {int(known.sum())}. Bring more records."
        )
    x_known, x_judged = _projected(features, known, judged, seed=seed)
    spread, middle = {}, QUANTILES[0]
    for level in QUANTILES:
        regressor = HistGradientBoostingRegressor(
            loss="quantile",
            quantile=level,
            learning_rate=0.2,
            max_iter=20,
            max_leaf_nodes=8,
            min_samples_leaf=min(20, max(5, int(known.sum()) // 10)),
            early_stopping=False,
            random_state=int(stream(seed, "quantile").integers(2**31)),
        )
        spread[level] = regressor.fit(x_known, values[known]).predict(x_judged)
    above = spread[QUANTILES[1]] - spread[middle]
    # Crossed or touching quantiles would give a spread of 0: a tenth of the typical one is the least we believe.
    typical = float(np.median(np.abs(values[known] - np.median(values[known]))))
    return np.asarray((values[judged] - spread[middle]) / np.maximum(above, max(0.1 * typical, 1e-12)))


def _projected(features: Floats, known: Bools, judged: Bools, *, seed: int) -> tuple[Floats, Floats]:
    if features.shape[1] <= 2 * COMPONENTS:
        return features[known], features[judged]
    from sklearn.decomposition import PCA

    state = int(stream(seed, "quantile-projection").integers(2**31))
    count = min(COMPONENTS, int(known.sum()) - 1)
    projection = PCA(n_components=count, svd_solver="randomized", random_state=state).fit(features[known])
    return projection.transform(features[known]), projection.transform(features[judged])
