"""Results made up for tests: what a study would have found, without computing it."""

from leaq.results import CellResult, Curve, QuantizerRow, Size
from leaq.types import AttackResult, Estimate, Flag, NotComputed


def estimate(value, half=0.01, n=40):
    return Estimate(value, value - half, value + half, n)


def row(name, leak, metric, *, drop=0.0, key="roc_auc", peak=0, half=0.01, flags=()):
    attack = NotComputed("Add replicates.")
    if leak is not None:
        attack = AttackResult("lira", "outputs", "pool", estimate(leak, half), estimate(0.5 + leak / 2))
    heights = [0.0] * 10
    heights[peak] = 1.0
    return QuantizerRow(
        name,
        name,
        Size(32.0, 32.0, 320, 1.0) if name == "none" else Size(1.0, 1.0, 10, 32.0),
        metrics={key: estimate(metric)},
        drops={} if name == "none" else {key: estimate(drop, 0.001)},
        attacks={"lira": attack},
        curves={"lambda_k": Curve(tuple(range(10)), tuple(heights))},
        flags=tuple(Flag(code, code) for code in flags),
    )


def cell(rows, *, data="a", task="classification", embedder="ecfp4", seed=0):
    return CellResult(
        config={"source": data, "embedder": embedder, "seed": seed},
        data={"name": data, "task": task, "n": 100, "n_train": 50},
        rows=tuple(rows),
        primary_metric="roc_auc" if task == "classification" else "r2",
        primary_attack="lira",
    )
