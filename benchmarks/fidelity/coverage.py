"""How often the intervals of r and of the finite-sample leak hold the truth, on a named grid that includes ties.

Losses of k candidates are independent with the means of a grid cell, Gaussian or (skewed) exponential with variance 1,
so that both truths are known: r from its formula, the leak from sums that are drawn from their own law, without records.

Run: python -m benchmarks.fidelity.coverage [runs]
"""

import json
import sys
from pathlib import Path

import numpy as np

from leaq.measures.argmin_counts import ArgminCounter, leak_bracket
from leaq.measures.finite_sample import FiniteSample, Options, leak_of
from leaq.measures.rate import rate
from leaq.seeds import stream
from leaq.types import Floats, LossTable

RECORDED = Path(__file__).parent / "results" / "coverage.json"
GRID = {
    "clear": [0.0, 0.5, 0.8],
    "near": [0.0, 0.05, 0.1, 0.5],
    "one tie": [0.0, 0.0, 0.5],
    "all tied": [0.0] * 5,
    "many": [0.0] + [0.3] * 19,
}
RUNS = 200
N_TRAIN, RECORDS, RATE_RECORDS = 30, 600, 400
OPTIONS = Options(draws=1000, close=0.1, error=0.1)


def losses_of(name: str, skewed: bool, seed: int, records: int) -> Floats:
    means, rng = np.array(GRID[name])[:, None], stream(seed, "coverage", name)
    noise = rng.exponential(1, (len(means), records)) - 1 if skewed else rng.standard_normal((len(means), records))
    return means + noise


def true_rate(name: str) -> float:
    """Variances are 1 and candidates independent: sigma_k^2 = 2."""
    best, *others = sorted(GRID[name])
    return min((mean - best) ** 2 / 4 for mean in others)


def true_leak(name: str, skewed: bool, *, draws: int = 60_000) -> float:
    """Draw the others' sums from their own law (normal or gamma); 4,000 attacked records; middle of the bracket."""
    counter = ArgminCounter(losses_of(name, skewed, 10**6, 4000), terms=N_TRAIN)
    rng, halves = stream(0, "coverage-truth", name, int(skewed)), []
    for _ in range(2):
        counts = np.zeros(counter.shifts.shape)
        for _ in range(draws // 2000):
            shape = (2000, len(counts))
            n = N_TRAIN - 1
            noise = rng.gamma(n, 1, shape) - n if skewed else np.sqrt(n) * rng.standard_normal(shape)
            counts += counter.count((n * np.array(GRID[name]) + noise) / counter.unit)
        halves.append(counts / draws)
    return leak_bracket(halves[0], halves[1]).value


def rate_intervals(name: str, skewed: bool, runs: int) -> list[tuple[float, float]]:
    found = []
    for seed in range(runs):
        losses = losses_of(name, skewed, seed, RATE_RECORDS)
        table = LossTable(losses[None], np.zeros((1, RATE_RECORDS), bool), "regression", "iid", 100)
        r = rate(table, draws=20, seed=seed).r
        found.append((r.low, r.high))
    return found


def leaks(name: str, skewed: bool, runs: int) -> list[FiniteSample]:
    return [
        leak_of(losses_of(name, skewed, seed, RECORDS), N_TRAIN, seed=seed, options=OPTIONS) for seed in range(runs)
    ]


def cell(name: str, skewed: bool, runs: int) -> dict[str, object]:
    r, leak = true_rate(name), true_leak(name, skewed)
    rates, found = rate_intervals(name, skewed, runs), leaks(name, skewed, runs)
    return {
        "cell": name, "skewed": skewed, "runs": runs, "r": r,
        "r_coverage": float(np.mean([low <= r <= high for low, high in rates])),
        "leak": leak, "mean_raw": float(np.mean([one.raw for one in found])),
        "mean_value": float(np.mean([one.value for one in found])),
        "leak_coverage": float(np.mean([one.low <= leak <= one.high for one in found])),
        "too_low": float(np.mean([one.high < leak for one in found])),
        "too_high": float(np.mean([one.low > leak for one in found])),
        "width": float(np.median([one.high / max(one.low, 1e-12) for one in found])),
    }  # fmt: skip


def run(runs: int = RUNS) -> list[dict[str, object]]:
    rows = []
    for name in GRID:
        for skewed in (False, True):
            rows.append(cell(name, skewed, runs))
            print(json.dumps(rows[-1]), flush=True)
    return rows


def record(runs: int = RUNS) -> None:
    RECORDED.write_text(json.dumps(run(runs), indent=1) + "\n")


if __name__ == "__main__":
    record(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS)
