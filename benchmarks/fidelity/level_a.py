"""Level A: rate, Chernoff exponent and finite-sample estimate against the exact leak of enumerable problems.

A linear model with weights from a codebook of at most 1,024 words; a pool of 300 records is taken for P. Nothing is
estimated from a sample, so that only the method is judged. The finite-sample estimate draws its training sets from the
records it is given: given P itself it counts what the reference counts, with other random numbers and without the
candidates it cuts off. `sampled` judges it where it sees a sample.
"""

import json
import time
from collections.abc import Callable, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import logsumexp

from leaq.data import load
from leaq.errors import NotEnoughEvidence
from leaq.measures.argmin_counts import ArgminCounter, difference_bracket
from leaq.measures.chernoff import chernoff_exponents
from leaq.measures.exact import exact_leak, two_gamma, two_gaussian, union_bound
from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.loss_gaps import LossGaps, merge_duplicates, sorted_set
from leaq.measures.resampled_sums import MemberSampling, Normal
from leaq.seeds import stream
from leaq.types import Floats

SIZES = (50, 200, 800, 3200)
POOL = 300
RECORDED = "level_a.json"
WORTH = 0.008
"""Smaller leaks do not count for the gates; no time is spent on closing their brackets."""
CLOSE = {50: 0.01, 200: 0.006, 800: 0.006, 3200: 0.03}
"""Width of the brackets, and twice the standard error, as shares of the leak: near-ties must not decide a ranking.
Cells recorded with less are computed again."""
MOST = 2**21


def words(levels: tuple[float, ...], d: int) -> Floats:
    return np.array(list(product(levels, repeat=d)))


def sparse(d: int, kept: int, scale: float) -> Floats:
    """Signs on `kept` of d weights, 0 elsewhere."""
    found = []
    for support in combinations(range(d), kept):
        for signs in product((-scale, scale), repeat=kept):
            word = np.zeros(d)
            word[list(support)] = signs
            found.append(word)
    return np.array(found)


def even(bits: int, step: float) -> tuple[float, ...]:
    """2^bits even levels around 0."""
    count = 2**bits
    return tuple(step * (i - (count - 1) / 2) for i in range(count))


CODEBOOKS: dict[str, Floats] = {
    "sign d7 x0.3": words((-0.3, 0.3), 7),
    "sign d10 x0.3": words((-0.3, 0.3), 10),
    "sign d10 x1": words((-1.0, 1.0), 10),
    "ternary d6 x0.3": words((-0.3, 0.0, 0.3), 6),
    "ternary d6 x1": words((-1.0, 0.0, 1.0), 6),
    "2-bit d5 x0.3": words(even(2, 0.3), 5),
    "2-bit d4 x0.8": words(even(2, 0.8), 4),
    "3-bit d3 x0.2": words(even(3, 0.2), 3),
    "3-bit d2 x0.5": words(even(3, 0.5), 2),
    "2 of 8 x0.5": sparse(8, 2, 0.5),
    "3 of 8 x0.5": sparse(8, 3, 0.5),
}


def synthetic(seed: int) -> tuple[Floats, Floats]:
    rng = stream(seed, "level-a")
    x = rng.standard_normal((POOL, 10)) * np.linspace(1.2, 0.4, 10)
    return x, x @ rng.normal(0, 0.6, 10) + rng.standard_normal(POOL)


def reduced(name: str) -> tuple[Floats, Floats]:
    """Return a real data set's leading principal components, standardised, and its target around 0."""
    samples = load(name)
    x = (samples.inputs - samples.inputs.mean(0)) / samples.inputs.std(0)
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    rows = stream(0, "level-a-rows").permutation(len(x))[:POOL]
    scores = (x @ axes[:10].T)[rows]
    targets = samples.targets[rows].astype(float)
    return scores / scores.std(0), (targets - targets.mean()) / targets.std()


def logistic(weights: Floats, x: Floats, y: Floats) -> Floats:
    margins = (weights @ x[:, : weights.shape[1]].T) * np.sign(y)
    return np.logaddexp(0, -margins)


def squared(weights: Floats, x: Floats, y: Floats) -> Floats:
    return (weights @ x[:, : weights.shape[1]].T - y) ** 2


PROBLEMS: dict[str, tuple[Callable[[], tuple[Floats, Floats]], Callable[[Floats, Floats, Floats], Floats]]] = {
    "synthetic, logistic": (lambda: synthetic(1), logistic),
    "synthetic, squared": (lambda: synthetic(2), squared),
    "breast_cancer PCA, logistic": (lambda: reduced("breast_cancer"), logistic),
    "diabetes PCA, squared": (lambda: reduced("diabetes"), squared),
}


def cell(losses: Floats, n: int, most: int) -> dict[str, float]:
    started = time.process_time()
    exact = exact_leak(losses, n, seed=n, most=most // 256)
    worth = exact.value > WORTH
    if worth:
        exact = exact_leak(losses, n, seed=n, most=most, close=CLOSE[n])
    seconds = time.process_time() - started
    found = LossGaps.of(losses)
    ordered = sorted_set(losses)
    r_c = chernoff_exponents(ordered[1:] - ordered[0])
    row = {
        "exact": exact.value, "exact_error": exact.error, "exact_gap": exact.gap, "exact_draws": exact.draws,
        "codewords": exact.codewords, "r": found.rate, "n_r": n * found.rate,
        "asymptotic": float(np.exp(-n * found.rate)), "n_r_chernoff": n * float(r_c.min()),
        "union_bound": union_bound(losses, n), "log_union": float(logsumexp(-n * r_c) + np.log(2)),
        "exact_seconds": seconds,
    }  # fmt: skip
    if worth:
        row["normal"] = normal_leak(ordered - ordered[:1], n)
    started = time.process_time()
    close = CLOSE[n]
    options = Options(resamples=0, draws=2000, most=8000)  # not counted
    if worth:
        options = Options(resamples=0, draws=16000, most=most, close=close, error=close / 2, still=0.001)
    try:
        estimate = leak_of(losses, n, seed=n, options=options)
        row |= {"finite": estimate.raw, "finite_gap": estimate.plug_in - estimate.split, "cut": estimate.cut,
                "finite_error": estimate.error, "finite_draws": estimate.draws}  # fmt: skip
    except NotEnoughEvidence as err:
        row["refused"] = str(err)  # type: ignore[assignment]
    return {**row, "finite_seconds": time.process_time() - started}


def normal_leak(A: Floats, n: int, draws: int = 8000) -> float:
    """Return the leak if the other records' sum were normal: middle of the bracket, two halves of `draws`."""
    counter, w, rng = ArgminCounter(A, terms=n + 1), np.full(A.shape[1], 1 / A.shape[1]), stream(n, "normal-leak")
    first, second = (
        Normal(counter, MemberSampling(n), rng.standard_normal((draws // 2, len(A)))).differences(w) for _ in "12"
    )
    return difference_bracket(first, second, w).value


def run(results: Path, most: int = MOST, sizes: Sequence[int] = SIZES) -> list[dict[str, object]]:
    """Compute every cell that is not recorded yet, or not to `CLOSE`; write after each."""
    path = results / RECORDED
    rows: list[dict[str, object]] = json.loads(path.read_text()) if path.exists() else []
    done = {(row["problem"], row["codebook"], row["n"]) for row in rows if precise(row, most)}
    for n in sizes:
        for problem, (data, loss) in PROBLEMS.items():
            for codebook, weights in CODEBOOKS.items():
                if (problem, codebook, n) in done:
                    continue
                losses = merge_duplicates(loss(weights, *data()))
                rows = [row for row in rows if (row["problem"], row["codebook"], row["n"]) != (problem, codebook, n)]
                rows.append({"problem": problem, "codebook": codebook, "n": n, **cell(losses, n, most)})
                path.write_text(json.dumps(rows, indent=1) + "\n")
                print(problem, codebook, n, f"{rows[-1]['exact']:.4f}", rows[-1].get("finite"), flush=True)
    return rows


def precise(row: dict[str, Any], most: int) -> bool:
    """Whether a recorded cell needs no more draws."""
    close = CLOSE[row["n"]]
    enough = row["exact_gap"] <= close and row["exact_error"] <= close / 2 * row["exact"]
    return enough or row["exact"] <= WORTH or 2 * row["exact_draws"] > most


def counted(row: dict[str, object]) -> bool:
    """Whether a cell counts for the gates: bracket closed to 3 %, leak above 0.01."""
    return float(row["exact_gap"]) <= 0.03 and float(row["exact"]) > 0.01  # type: ignore[arg-type]


INDICATORS = {"finite": 1, "normal": 1, "asymptotic": 1, "n_r_chernoff": -1, "log_union": 1}
"""What is ranked against the exact leak, with the sign of a perfect ranking. The union bound is ranked before it is cut
off at 1: on every counted cell it is above 1, so that what is left of it would rank nothing."""


def summary(rows: list[dict[str, object]]) -> dict[str, object]:
    """Errors of the finite-sample estimate and Kendall tau-b of every indicator with the exact leak, by n."""
    kept = [row for row in rows if counted(row)]
    errors = {
        name: np.array([float(row[name]) / float(row["exact"]) - 1 for row in kept if name in row])  # type: ignore[arg-type]
        for name in ("finite", "normal")
    }
    return {
        "cells": len(rows), "counted": len(kept), "refused": sum("refused" in row for row in kept), "errors": errors,
        "tau": {name: taus(kept, name, sign) for name, sign in INDICATORS.items()},
        "bounded": sum(float(row["union_bound"]) < 1 for row in kept),  # type: ignore[arg-type]
        "least_union": min((float(row["log_union"]) for row in kept), default=float("nan")),  # type: ignore[arg-type]
    }  # fmt: skip


def taus(rows: list[dict[str, object]], name: str, sign: int, exact: str = "exact") -> dict[str, float]:
    """Kendall tau-b by n, averaged over the problems that have at least four cells."""
    found = {}
    for n in SIZES:
        values = []
        for problem in dict.fromkeys(row["problem"] for row in rows):
            part = [row for row in rows if row["n"] == n and row["problem"] == problem and name in row]
            if len(part) >= 4:
                a, b = ([float(row[key]) for row in part] for key in (exact, name))  # type: ignore[arg-type]
                values.append(sign * stats.kendalltau(a, b).statistic)
        if values:
            found[str(n)] = float(np.mean(values))
    return found


def slopes() -> list[dict[str, float | str]]:
    """Slope of -log leak against n in the two-candidate closed forms, against r_C and r, at n r_C up to 20."""
    found: list[dict[str, float | str]] = []
    for delta in (0.2, 0.4):
        r = delta**2 / 2
        found.append(_slope(f"Gaussian, delta {delta}", lambda n, d=delta: two_gaussian(n, delta=d, sigma=1.0), r, r))
    for shape, shift in ((1.0, 0.5), (1.0, 0.8), (2.0, 1.0)):
        r = (shape - shift) ** 2 / (2 * shape)
        r_c = shape * np.log(shape / shift) - shape + shift
        name = f"Gamma({shape:g}) - {shift:g}"
        found.append(_slope(name, lambda n, a=shape, s=shift: two_gamma(n, shape=a, shift=s), r, r_c))
    return found


def _slope(name: str, leak: Callable[[int], float], r: float, r_c: float) -> dict[str, float | str]:
    """Slope between n r_C = 10 and 20."""
    low, high = round(10 / r_c), round(20 / r_c)
    slope = -(leak(high) - leak(low)) / (high - low)
    return {
        "name": name,
        "r": r,
        "r_C": float(r_c),
        "slope": float(slope),
        "over_r_C": float(slope / r_c),
        "over_r": float(slope / r),
    }
