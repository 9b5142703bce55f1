"""Speed of the finite-sample leak: 300 candidates, 2,000 records, 2 x 4,000 training sets, against comparing them all.

The naive way adds every candidate's sum to every record's losses and takes the smallest: the same counts, nothing
pruned. It is timed on a tenth of the draws in the same process, alternating with the estimate. Times are processor
seconds of one thread, the best of several rounds. Aim: the estimate under 10 s on 2 cores.

Run: python benchmarks/finite_sample.py [rounds]
"""

import sys
import time

import numpy as np

from leaq.measures.argmin_counts import ArgminCounter
from leaq.measures.finite_sample import Options, leak_of
from leaq.measures.loss_gaps import sorted_set
from leaq.measures.resampled_sums import with_replacement

CANDIDATES, RECORDS, N_TRAIN, DRAWS, SHARE = 300, 2000, 200, 4000, 10
LIMIT = 10.0


def around() -> np.ndarray:
    """Squared losses of linear models scattered around the best one."""
    rng = np.random.default_rng(1)
    x, best = rng.normal(size=(RECORDS, 20)), rng.normal(size=20)
    y = x @ best + 2 * rng.normal(size=RECORDS)
    return ((best + 0.15 * rng.normal(size=(CANDIDATES, 20))) @ x.T - y) ** 2


def along() -> np.ndarray:
    """Logistic losses of checkpoints on the way to it, densely recorded: many are nearly as good as the best."""
    rng = np.random.default_rng(2)
    x, best = rng.normal(size=(RECORDS, 20)), rng.normal(size=20)
    y = np.sign(x @ best + 2 * rng.normal(size=RECORDS))
    path = (1 - np.exp(-4 * np.linspace(0, 1, CANDIDATES)))[:, None] * best
    return np.logaddexp(0, -((path + np.cumsum(0.01 * rng.normal(size=(CANDIDATES, 20)), 0)) @ x.T) * y)


def apart() -> np.ndarray:
    """Independent Gaussian losses with means from 0 to 0.3."""
    return np.random.default_rng(3).normal(np.linspace(0, 0.3, CANDIDATES)[:, None], 1.0, (CANDIDATES, RECORDS))


def naive(losses: np.ndarray, draws: int) -> np.ndarray:
    counter, rng = ArgminCounter(losses - losses[:1], terms=N_TRAIN), np.random.default_rng(0)
    counts, columns = np.zeros(losses.shape), np.arange(RECORDS)
    for row in with_replacement(RECORDS, N_TRAIN - 1, draws, rng) @ counter.shifts.T:
        counts[(row[:, None] + counter.shifts).argmin(0), columns] += 1
    return counts


def pruned(losses: np.ndarray, draws: int) -> np.ndarray:
    counter, rng = ArgminCounter(losses - losses[:1], terms=N_TRAIN), np.random.default_rng(0)
    return counter.count(with_replacement(RECORDS, N_TRAIN - 1, draws, rng) @ counter.shifts.T)


def seconds(work):
    started = time.process_time()
    found = work()
    return time.process_time() - started, found


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(f"{CANDIDATES} candidates x {RECORDS:,} records x 2 x {DRAWS:,} training sets of {N_TRAIN}; {rounds} rounds")
    for name, build in (("around the best", around), ("along a trajectory", along), ("independent", apart)):
        losses, best = sorted_set(build()), {}
        assert np.array_equal(naive(losses, 50), pruned(losses, 50))
        for _ in range(rounds):
            for what, work in (
                ("without interval", lambda losses=losses: leak_of(losses, N_TRAIN, options=fixed(resamples=0))),
                ("with interval", lambda losses=losses: leak_of(losses, N_TRAIN, options=fixed())),
                ("naive", lambda losses=losses: naive(losses, 2 * DRAWS // SHARE)),
            ):
                spent, found = seconds(work)
                best[what] = min(best.get(what, np.inf), spent)
                if what == "with interval":
                    estimate = found
        alone, whole, slow = best["without interval"], best["with interval"], SHARE * best["naive"]
        print(
            f"{name:20} {alone:5.2f} s, with the interval {whole:5.2f} s ({whole / LIMIT:.0%} of the limit of {LIMIT:g} s); "
            f"comparing all {slow:5.1f} s, {slow / alone:.1f} times as long; leak {estimate.value:.3f} "
            f"[{estimate.low:.3f}, {estimate.high:.3f}], {estimate.cut} of {CANDIDATES} candidates"
        )


def fixed(**more) -> Options:
    """Exactly 2 x DRAWS training sets, whatever the bracket."""
    return Options(draws=DRAWS, most=DRAWS, close=9.0, error=9.0, **more)


if __name__ == "__main__":
    main()
