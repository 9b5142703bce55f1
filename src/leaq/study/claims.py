"""The claims of the source study, each with a statistic, its interval and a verdict from the cells at hand.

Cells of one data set share its records, so intervals resample data sets. A verdict is "supported" or "not supported"
only if the whole interval lies on one side of what the claim says; everything else is "undecided".
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.results import CellResult
from leaq.seeds import stream
from leaq.stats.agreement import cluster_means, concordance, mean_tau, pareto_front, rank_correlation
from leaq.stats.intervals import percentile_interval
from leaq.study.evidence import FULL, Evidence, advantage, collected, number
from leaq.types import Estimate, Floats

__all__ = ["Claim", "claims", "markdown"]

DRAWS = 2000
SIGN, SPARSE = "sign", "ternary(sparsity=0.9)"
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
        if self.estimate is None or self.estimate.n < 3:
            return "undecided"
        if self.estimate.low > self.threshold:
            return "supported"
        return "not supported" if self.estimate.high < self.threshold else "undecided"


def claims(results: Sequence[CellResult], *, seed: int = 0) -> list[Claim]:
    """Judge the claims (a) to (f) on finished cells that measured the same quantizers."""
    names = [row.quantizer for row in results[0].rows if row.quantizer != FULL]
    if len(names) < 2:
        raise NotEnoughEvidence(f"The claims compare quantizers and need at least 2. Found {len(names)}. Name more.")
    leaks = collected(results, advantage, names)
    if leaks is None:
        return []
    return [
        _differ(leaks, seed),
        *_cost(results, names, seed),
        _trade_off(results, names, seed),
        *_embedders(results, names, seed),
        _low_k(results, names, seed),
        *_sparsity(leaks, seed),
    ]


def _over_data_sets(values: Sequence[float] | Floats, clusters: Sequence[str], seed: int, unit: str) -> Estimate | None:
    """Mean over data sets of one number a cell, with a bootstrap over data sets."""
    array, names = np.asarray(values, float), np.asarray(clusters)
    kept = np.isfinite(array)
    if not kept.any():
        return None
    array, names = array[kept], names[kept]
    drawn = cluster_means(array, names, draws=DRAWS, rng=stream(seed, "claims", unit))
    value = float(np.mean([array[names == name].mean() for name in np.unique(names)]))
    low, high = percentile_interval(drawn)
    return Estimate(value, min(low, value), max(high, value), len(np.unique(names)), unit="data sets")


def _differ(leaks: Evidence, seed: int) -> Claim:
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
        _over_data_sets(gaps, leaks.clusters, seed, "a"),
        more=f"Mean advantages: {order}.",
    )


def _cost(results: Sequence[CellResult], names: Sequence[str], seed: int) -> list[Claim]:
    """Judge (b): rank correlation within classification cells, and the share of skill lost in both kinds of task."""
    metric = {"classification": "roc_auc", "regression": "r2"}
    by_task = {task: [r for r in results if r.data.get("task") == task] for task in metric}
    taus, clusters = _taus(by_task["classification"], names, metric["classification"])
    first = Claim(
        "b1",
        "The least private quantizers keep classification performance best.",
        "Kendall's tau of advantage and ROC-AUC over quantizers, within a cell",
        _over_data_sets(taus, clusters, seed, "b1"),
    )
    means, draws = {}, {}
    for task, cells in by_task.items():
        lost = np.array([_lost_skill(cell, metric[task], 0.5 if task == "classification" else 0.0) for cell in cells])
        data = np.array([str(cell.data["name"]) for cell in cells])
        skilled = np.isfinite(lost)
        found = _over_data_sets(lost, list(data), seed, task) if skilled.any() else None
        if found is None:
            return [first]
        rng = stream(seed, "b2", task)
        means[task], draws[task] = found, cluster_means(lost[skilled], data[skilled], draws=DRAWS, rng=rng)
    gap = means["regression"].value - means["classification"].value
    low, high = percentile_interval(draws["regression"] - draws["classification"])
    n = min(means["regression"].n, means["classification"].n)
    text = f"Lost: regression {means['regression'].value:.1%}, classification {means['classification'].value:.1%}."
    second = Claim(
        "b2",
        "Regression suffers more from quantization than classification.",
        "mean share of skill lost (R2; ROC-AUC above 0.5), regression minus classification",
        Estimate(gap, min(low, gap), max(high, gap), n, unit="data sets each"),
        more=text,
    )
    return [first, second]


def _taus(results: Sequence[CellResult], names: Sequence[str], metric: str) -> tuple[list[float], list[str]]:
    leaks, metrics = collected(results, advantage, names), collected(results, number("metrics", metric), names)
    if leaks is None or metrics is None or len(leaks.clusters) != len(metrics.clusters):
        return [], []
    taus = [rank_correlation(a, b) for a, b in zip(leaks.values, metrics.values, strict=True)]
    return taus, list(leaks.clusters)


def _lost_skill(cell: CellResult, metric: str, chance: float) -> float:
    """Mean over quantizers of the share of full precision's skill that is lost; NaN where there is none to lose."""
    found = {row.quantizer: row.metrics.get(metric) for row in cell.rows}
    full = found.pop(FULL, None)
    values = [one.value for one in found.values() if isinstance(one, Estimate)]
    if not isinstance(full, Estimate) or full.low <= chance or not values:
        return float("nan")
    return float(np.mean([(full.value - max(value, chance)) / (full.value - chance) for value in values]))


def _trade_off(results: Sequence[CellResult], names: Sequence[str], seed: int) -> Claim:
    """Judge (c): the same correlation over all cells, and how many quantizers the Pareto front keeps."""
    taus: list[float] = []
    clusters: list[str] = []
    kept: list[float] = []
    for task, metric in (("classification", "roc_auc"), ("regression", "r2")):
        cells = [r for r in results if r.data.get("task") == task]
        some, data = _taus(cells, names, metric)
        taus, clusters = taus + some, clusters + data
        leaks, metrics = collected(cells, advantage, names), collected(cells, number("metrics", metric), names)
        if leaks is not None and metrics is not None and len(leaks.values) == len(metrics.values):
            pairs = zip(leaks.values, metrics.values, strict=True)
            kept += [float(pareto_front(np.c_[a, -b]).sum()) for a, b in pairs]
    size = f"{np.mean(kept):.1f} of {len(names)} quantizers lie on a cell's Pareto front, on average." if kept else ""
    return Claim(
        "c",
        "Privacy and performance trade off.",
        "Kendall's tau of advantage and the task metric over quantizers, within a cell",
        _over_data_sets(taus, clusters, seed, "c"),
        more=size,
    )


def _embedders(results: Sequence[CellResult], names: Sequence[str], seed: int) -> list[Claim]:
    """Judge (d): the mean over seeds is ranked once an embedder; agreement over embedders within a data set."""
    leaks: dict[tuple[str, str], list[Floats]] = {}
    taus, shares, data = [], [], []
    for cell in results:
        one = collected([cell], advantage, names)
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
            _over_data_sets(taus, data, seed, "d"),
            threshold=0.7,
            more=f"Kendall's W: {np.mean(shares):.2f} on average over {len(shares)} data sets.",
        )
    ]


def _low_k(results: Sequence[CellResult], names: Sequence[str], seed: int) -> Claim:
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
    low = [float(np.mean(np.array(found) <= LOW_SHARE)) for found in places]
    every = [place for found in places for place in found]
    more = ""
    if every:
        parts = np.histogram(every, bins=[0, 0.25, 0.5, 0.75, 1.0])[0] / len(every)
        quarters = ", ".join(f"{part:.0%}" for part in parts)
        more = f"Share of arg maxima by quarter of the ranks, low to high: {quarters} ({len(every)} curves)."
    return Claim(
        "e",
        "lambda_k peaks at low k.",
        "share of curves whose maximum lies in the lowest quarter of k (claim: more than half)",
        _over_data_sets(low, clusters, seed, "e"),
        threshold=0.5,
        more=more,
    )


def _sparsity(leaks: Evidence, seed: int) -> list[Claim]:
    """Judge (f): 90 % sparse ternary has more bits than sign; and the spread over sparsities against that over bits."""
    names = list(leaks.quantizers)
    if SIGN not in names or SPARSE not in names:
        return []
    gap = leaks.values[:, names.index(SIGN)] - leaks.values[:, names.index(SPARSE)]
    sparse = [i for i, name in enumerate(names) if name.startswith("ternary(")]
    bits = [i for i, name in enumerate(names) if name.startswith("uniform(bits=") and "8" not in name]
    more = ""
    if len(sparse) > 1 and len(bits) > 1:
        wide = [float(np.ptp(leaks.values.mean(0)[one])) for one in (sparse, bits)]
        more = f"Range of mean advantages over sparsities {wide[0]:.3f}, over 2 to 4 bits {wide[1]:.3f}."
    return [
        Claim(
            "f",
            "Sparsity matters more than the number of bits: 90 % sparse ternary is more private than sign.",
            "advantage of sign (1 bit) minus that of 90 % sparse ternary (1.58 bits)",
            _over_data_sets(gap, leaks.clusters, seed, "f"),
            more=more,
        )
    ]


def markdown(groups: Sequence[tuple[str, Sequence[CellResult]]], *, seed: int = 0) -> str:
    """Write the claims of several runs as a page."""
    lines = [
        "# The claims of the source study, on our own numbers",
        "",
        "Written by `leaq claims`; not edited by hand. Interval: 95 %, bootstrap over data sets, n of them. A claim is",
        "supported or not supported only if its whole interval lies on one side of the threshold, and n is at least 3.",
        "Advantages are lower bounds on the leak, in the game the attack was played in; no leak found by an attack is",
        "not the same as no leak.",
    ]
    for name, results in groups:
        attacks = ", ".join(sorted({result.primary_attack for result in results}))
        data = len({result.data.get("name") for result in results})
        lines += ["", f"## {name}: {len(results)} cells, {data} data sets, attack: {attacks}", ""]
        lines += ["| claim | statistic | value [95 %] | n | verdict |", "|---|---|---|---|---|"]
        found = claims(results, seed=seed)
        for claim in found:
            value = "–"
            if claim.estimate is not None:
                value = f"{claim.estimate.value:.3f} [{claim.estimate.low:.3f}, {claim.estimate.high:.3f}]"
            n = claim.estimate.n if claim.estimate else 0
            lines.append(f"| ({claim.key}) {claim.text} | {claim.statistic} | {value} | {n} | **{claim.verdict}** |")
        lines += ["", *[f"- ({claim.key}) {claim.more}" for claim in found if claim.more]]
    return "\n".join(lines) + "\n"
