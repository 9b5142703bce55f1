"""Level A on samples: the finite-sample estimate sees records drawn from P, the exact leak is counted on P itself.

P is a pool of a few thousand records. The estimate gets max(2,000, 10 n) independent draws from it, as a user's
held-out records are: its error is then mostly the sample's, not the method's, and its interval must say so. The same
sample under a normal law of the other records' sum shows what drawing them from the records changes.

Run: python -m benchmarks.fidelity.sampled
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.fidelity.level_a import CODEBOOKS, logistic, normal_leak, squared, taus
from leaq.data import load
from leaq.errors import NotEnoughEvidence
from leaq.measures.exact import exact_leak
from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.loss_gaps import merge_duplicates, sorted_set
from leaq.seeds import stream
from leaq.types import Floats

RECORDED = "level_a_sampled.json"
SIZES = (50, 200)
BOOKS = ("sign d7 x0.3", "2-bit d4 x0.8", "3-bit d2 x0.5", "2 of 8 x0.5")
OPTIONS = Options(draws=4000, most=64000, close=0.05)


def synthetic(seed: int, records: int = 2000) -> tuple[Floats, Floats]:
    rng = stream(seed, "level-a-sampled")
    x = rng.standard_normal((records, 10)) * np.linspace(1.2, 0.4, 10)
    return x, x @ rng.normal(0, 0.6, 10) + rng.standard_normal(records)


def digits() -> tuple[Floats, Floats]:
    """Even against odd digits on the leading principal components: 1,797 real records."""
    samples = load("digits")
    x = samples.inputs - samples.inputs.mean(0)
    _, _, axes = np.linalg.svd(x, full_matrices=False)
    scores = x @ axes[:10].T
    return scores / scores.std(0), np.where(samples.targets % 2 == 0, 1.0, -1.0)


PROBLEMS: dict[str, tuple[Callable[[], tuple[Floats, Floats]], Callable[[Floats, Floats, Floats], Floats]]] = {
    "synthetic, logistic": (lambda: synthetic(1), logistic),
    "synthetic, squared": (lambda: synthetic(2), squared),
    "digits PCA, logistic": (digits, logistic),
}


def cell(losses: Floats, n: int, seed: int) -> dict[str, float]:
    started = time.process_time()
    exact = exact_leak(losses, n, seed=n, most=64000)
    row: dict[str, float] = {"exact": exact.value, "exact_error": exact.error, "exact_gap": exact.gap}
    if exact.value <= 0.01:
        return row
    records = max(2000, 10 * n)
    picked = stream(seed, "level-a-sample", n).integers(losses.shape[1], size=records)
    sample = merge_duplicates(losses[:, picked])
    try:
        found = leak_of(sample, n, seed=seed, options=OPTIONS)
    except NotEnoughEvidence as err:
        return {**row, "refused": str(err)}  # type: ignore[dict-item]
    ordered = sorted_set(sample)[: found.cut]
    row |= {"records": records, "raw": found.raw, "value": found.value, "low": found.low, "high": found.high}
    row |= {"cut": found.cut, "normal": normal_leak(ordered - ordered[:1], n, draws=4000)}
    return {**row, "seconds": time.process_time() - started}


def run(results: Path) -> list[dict[str, object]]:
    """Compute every cell that is not recorded yet; write after each."""
    path = results / RECORDED
    rows: list[dict[str, object]] = json.loads(path.read_text()) if path.exists() else []
    done = {(row["problem"], row["codebook"], row["n"]) for row in rows}
    for n in SIZES:
        for problem, (data, loss) in PROBLEMS.items():
            for i, book in enumerate(BOOKS):
                if (problem, book, n) in done:
                    continue
                losses = merge_duplicates(loss(CODEBOOKS[book], *data()))
                rows.append({"problem": problem, "codebook": book, "n": n, **cell(losses, n, seed=i)})
                path.write_text(json.dumps(rows, indent=1) + "\n")
                print(problem, book, n, rows[-1], flush=True)
    return rows


def counted(row: dict[str, object]) -> bool:
    """Whether a cell has a closed exact bracket, a leak above 0.01 and an estimate."""
    return float(row["exact_gap"]) <= 0.03 and float(row["exact"]) > 0.01 and "value" in row  # type: ignore[arg-type]


def summary(rows: list[dict[str, object]]) -> dict[str, object]:
    """Errors by estimate, tau-b by n, and how many intervals hold the exact leak."""
    kept = [row for row in rows if counted(row)]
    held = [float(row["low"]) <= float(row["exact"]) <= float(row["high"]) for row in kept]  # type: ignore[arg-type]
    errors = {
        name: np.array([float(row[name]) / float(row["exact"]) - 1 for row in kept])  # type: ignore[arg-type]
        for name in ("value", "raw", "normal")
    }
    return {
        "cells": len(rows), "counted": len(kept), "held": sum(held), "errors": errors,
        "tau": {name: taus(kept, name, 1) for name in errors},
    }  # fmt: skip


if __name__ == "__main__":
    run(Path(__file__).parent / "results")
