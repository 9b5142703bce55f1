"""The claims of the source study, each with a statistic, its interval and a verdict from the cells at hand.

Cells of one data set share its records, so a data set counts once, whatever its embedders and seeds, and intervals are
Student's t over data sets (Welch's where two groups of them are compared; Clopper-Pearson where data sets are counted).
A verdict is "supported" or "not supported" only if the whole interval lies on one side of what the claim says and at
least 5 data sets speak; everything else is "undecided". The page is written in `claims_page`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmarks.claims.agreement import concordance, mean_tau, pareto_front
from leaq.decisions.evidence import FULL, Evidence, collected, data_set_means, number, over_data_sets
from leaq.decisions.standing import leak
from leaq.errors import NotEnoughEvidence
from leaq.results import CellResult
from leaq.stats.intervals import mean_interval
from leaq.stats.ranks import kendall
from leaq.types import Estimate, Floats

__all__ = ["FEWEST", "Claim", "claims"]

FEWEST = 5
"""Data sets below which no verdict is given, whatever the interval."""
SIGN, SPARSE, DENSE = "sign", "ternary(sparsity=0.9)", "ternary(sparsity=0.33)"
BITS = ("uniform(bits=2)", "uniform(bits=4)")
LOW_SHARE = 0.25
"""The lowest quarter of the ranks counts as "low k"."""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes
    ----------
    key, text : which, and what it says.
    statistic : what was computed, in words.
    estimate : of it, over data sets; None if the cells do not hold what it needs.
    threshold : the claim says the statistic is larger than this.
    more : what else belongs to it.
    """

    key: str
    text: str
    statistic: str
    estimate: Estimate | None
    threshold: float = 0.0
    more: str = ""

    @property
    def verdict(self) -> str:
        """Supported, not supported or undecided."""
        if self.estimate is None or self.estimate.n < FEWEST:
            return "undecided"
        if self.estimate.low > self.threshold:
            return "supported"
        return "not supported" if self.estimate.high < self.threshold else "undecided"


def claims(results: Sequence[CellResult]) -> list[Claim]:
    """Judge the claims (a) to (f) on finished cells that measured the same quantizers."""
    names = [row.quantizer for row in results[0].rows if row.quantizer != FULL]
    if len(names) < 2:
        raise NotEnoughEvidence(f"The claims compare quantizers and need at least 2. Found {len(names)}. Name more.")
    leaks = collected(results, leak, names)
    if leaks is None:
        return []
    return [
        _differ(leaks),
        *_cost(results, names),
        _trade_off(results, names),
        *_embedders(results, names),
        _low_k(results, names),
        *_sparsity(leaks),
    ]


def _differ(leaks: Evidence) -> Claim:
    """Judge (a): the pair is chosen on the other data sets, so that the difference is not chosen to be large."""
    held, gaps = np.array(leaks.clusters), []
    for name in leaks.clusters:
        others = leaks.values[held != name]
        pool = others if len(others) else leaks.values
        most, least = pool.mean(0).argmax(), pool.mean(0).argmin()
        mine = leaks.values[held == name].mean(0)
        gaps.append(float(mine[most] - mine[least]))
    order = ", ".join(f"{leaks.quantizers[i]} {leaks.means[i]:.3f}" for i in np.argsort(leaks.means, kind="stable"))
    return Claim(
        "a",
        "Quantizers differ in membership vulnerability.",
        "advantage of the least private quantizer minus the most private one, both chosen on the other data sets",
        over_data_sets(gaps, leaks.clusters),
        more=f"Mean advantages: {order}.",
    )


def _cost(results: Sequence[CellResult], names: Sequence[str]) -> list[Claim]:
    """Judge (b): rank correlation within classification cells, and the share of skill lost in both kinds of task."""
    metric = {"classification": "roc_auc", "regression": "r2"}
    by_task = {task: [r for r in results if r.data.get("task") == task] for task in metric}
    taus, clusters = _taus(by_task["classification"], names, metric["classification"])
    first = Claim(
        "b1",
        "The least private quantizers keep classification performance best.",
        "Kendall's tau of advantage and ROC-AUC over quantizers, within a cell",
        over_data_sets(taus, clusters),
    )
    lost: dict[str, Floats] = {}
    for task, cells in by_task.items():
        shares = [_lost_skill(cell, metric[task], 0.5 if task == "classification" else 0.0) for cell in cells]
        lost[task] = data_set_means(shares, [str(cell.data["name"]) for cell in cells])
    if not all(len(found) for found in lost.values()):
        return [first]
    return [first, _suffers_more(lost["regression"], lost["classification"])]


def _suffers_more(regression: Floats, classification: Floats) -> Claim:
    gap, n = float(regression.mean() - classification.mean()), min(len(regression), len(classification))
    low, high = mean_interval(regression, classification) if n > 1 else (-np.inf, np.inf)
    return Claim(
        "b2",
        "Regression suffers more from quantization than classification.",
        "mean share of skill lost (R2; ROC-AUC above 0.5), regression minus classification",
        Estimate(gap, low, high, n, unit="data sets each", method="Welch's t over data sets"),
        more=f"Lost: regression {regression.mean():.1%} ({len(regression)} data sets), classification "
        f"{classification.mean():.1%} ({len(classification)}); models without skill in full precision have none to "
        "lose and are left out.",
    )


def _taus(results: Sequence[CellResult], names: Sequence[str], metric: str) -> tuple[list[float], list[str]]:
    leaks, metrics = collected(results, leak, names), collected(results, number("metrics", metric), names)
    if leaks is None or metrics is None or len(leaks.clusters) != len(metrics.clusters):
        return [], []
    return kendall(leaks.values, metrics.values, tied=np.nan).tolist(), list(leaks.clusters)


def _lost_skill(cell: CellResult, metric: str, chance: float) -> float:
    """Mean over quantizers of the share of full precision's skill that is lost; NaN where there is none to lose."""
    found = {row.quantizer: row.metrics.get(metric) for row in cell.rows}
    full = found.pop(FULL, None)
    values = [one.value for one in found.values() if isinstance(one, Estimate)]
    if not isinstance(full, Estimate) or full.low <= chance or not values:
        return float("nan")
    return float(np.mean([(full.value - max(value, chance)) / (full.value - chance) for value in values]))


def _trade_off(results: Sequence[CellResult], names: Sequence[str]) -> Claim:
    """Judge (c): the same correlation over all cells, and how many quantizers the Pareto front keeps."""
    taus: list[float] = []
    clusters: list[str] = []
    kept: list[float] = []
    for task, metric in (("classification", "roc_auc"), ("regression", "r2")):
        cells = [r for r in results if r.data.get("task") == task]
        some, data = _taus(cells, names, metric)
        taus, clusters = taus + some, clusters + data
        leaks, metrics = collected(cells, leak, names), collected(cells, number("metrics", metric), names)
        if leaks is not None and metrics is not None and len(leaks.values) == len(metrics.values):
            pairs = zip(leaks.values, metrics.values, strict=True)
            kept += [float(pareto_front(np.c_[a, -b]).sum()) for a, b in pairs]
    size = f"{np.mean(kept):.1f} of {len(names)} quantizers lie on a cell's Pareto front, on average." if kept else ""
    return Claim(
        "c",
        "Privacy and performance trade off.",
        "Kendall's tau of advantage and the task metric over quantizers, within a cell",
        over_data_sets(taus, clusters),
        more=size,
    )


def _embedders(results: Sequence[CellResult], names: Sequence[str]) -> list[Claim]:
    """Judge (d): the mean over seeds is ranked once an embedder; agreement over embedders within a data set."""
    leaks: dict[tuple[str, str], list[Floats]] = {}
    taus, shares, data = [], [], []
    for cell in results:
        one = collected([cell], leak, names)
        if one is not None:
            leaks.setdefault((str(cell.data["name"]), str(cell.config["embedder"])), []).append(one.values[0])
    for name in sorted({key[0] for key in leaks}):
        rows = [np.mean(values, axis=0) for key, values in sorted(leaks.items()) if key[0] == name]
        if len(rows) > 1:
            share = concordance(rows)
            if np.isfinite(share):  # else nothing is preferred to anything
                taus.append(mean_tau(rows))
                shares.append(share)
                data.append(name)
    if not taus:
        return []
    return [
        Claim(
            "d",
            "The privacy ranking of quantizers hardly changes across embedders.",
            "mean Kendall tau over pairs of embedders, within a data set (claim: above 0.7)",
            over_data_sets(taus, data),
            threshold=0.7,
            more=f"Kendall's W: {np.mean(shares):.2f} on average over {len(shares)} data sets.",
        )
    ]


def _low_k(results: Sequence[CellResult], names: Sequence[str]) -> Claim:
    """Judge (e): where the arg max over k of lambda_k lies, as a share of the ranks."""
    places, clusters = [], []
    for cell in results:
        found = [
            float(np.argmax(curve.y)) / max(len(curve.y) - 1, 1)
            for row in cell.rows
            if row.quantizer in names and (curve := row.curves.get("lambda_k")) and len(curve.y) > 3
        ]
        if found:
            places.append(found)
            clusters.append(str(cell.data["name"]))
    low = data_set_means([float(np.mean(np.array(found) <= LOW_SHARE)) for found in places], clusters)
    every = [place for found in places for place in found]
    more, estimate = "", None
    if every:
        agreeing = int((low > 0.5).sum())
        ends = stats.binomtest(agreeing, len(low)).proportion_ci(method="exact")
        estimate = Estimate(agreeing / len(low), *ends, len(low), unit="data sets", method="Clopper-Pearson")
        parts = np.histogram(every, bins=[0, 0.25, 0.5, 0.75, 1.0])[0] / len(every)
        quarters = ", ".join(f"{part:.0%}" for part in parts)
        more = f"Share of arg maxima by quarter of the ranks, low to high: {quarters} ({len(every)} curves)."
    return Claim(
        "e",
        "lambda_k peaks at low k.",
        "share of data sets in which most curves have their maximum in the lowest quarter of k (claim: more than half)",
        estimate,
        threshold=0.5,
        more=more,
    )


def _sparsity(leaks: Evidence) -> list[Claim]:
    """Judge (f): 90 % sparse ternary has more bits than sign; and what sparsity changes against what bits change."""
    column = {name: leaks.values[:, i] for i, name in enumerate(leaks.quantizers)}
    found = []
    if SIGN in column and SPARSE in column:
        found.append(
            Claim(
                "f1",
                "90 % sparse ternary is more private than sign, which has fewer bits.",
                "advantage of sign (1 bit) minus that of 90 % sparse ternary (1.58 bits)",
                over_data_sets(column[SIGN] - column[SPARSE], leaks.clusters),
            )
        )
    if {SPARSE, DENSE, *BITS} <= column.keys():
        sparse, bits = column[DENSE] - column[SPARSE], column[BITS[1]] - column[BITS[0]]
        found.append(
            Claim(
                "f2",
                "Sparsity matters more than the number of bits.",
                "change of the advantage from 90 % to 33 % sparse ternary, minus its change from 2 to 4 bits",
                over_data_sets(sparse - bits, leaks.clusters),
                more=f"Mean change over the sparsities {sparse.mean():.3f}, over the bits {bits.mean():.3f}.",
            )
        )
    return found
