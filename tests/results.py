"""Small results built by hand: what the reading half of the house is tested with."""

from dataclasses import replace

import numpy as np

from leaq.results import CellResult, Curve, QuantizerRow, Size
from leaq.types import AttackResult, Estimate, Flag, NotComputed

NASTY = "<script>alert(1)</script>"


def estimate(value, half=0.02, n=100, **more):
    return Estimate(value, value - half, value + half, n, **more)


def attack(name, value, half=0.02, risk=None):
    fpr = np.r_[0.0, np.geomspace(1e-3, 1, 40)]
    roc = np.stack([fpr, np.minimum(1, fpr**0.7)])
    tpr = {0.01: estimate(0.03, 0.01), 0.001: NotComputed("TPR at 0.1% FPR needs more trials.")}
    sees = "sees the quantized model's outputs; knows the pool"
    return AttackResult(name, sees, "pool", estimate(value, half), estimate(0.5 + value / 2, half), tpr, roc, risk)


def row(spec, label, leak, drop=0.0, *, half=0.02, flags=(), n=30):
    risk = np.where(np.arange(n) % 7 == 0, np.nan, np.arange(n) / 10)
    reference = spec == "none"
    return QuantizerRow(
        quantizer=spec,
        label=label,
        size=Size(32.0 if reference else 4.5, 4.0, 50_000 if reference else 7_000, 1.0 if reference else 7.1),
        metrics={"roc_auc": estimate(0.9 + drop), "accuracy": estimate(0.85 + drop)},
        drops={} if reference else {"roc_auc": estimate(drop, 0.002), "accuracy": estimate(drop, 0.002)},
        measures={"r": estimate(0.01, 0.005), "n_r": estimate(2.0, 1.0), "distortion": NotComputed("needs outputs")},
        attacks={
            "threshold": attack("threshold", leak / 2, half),
            "lira": attack("lira", leak, half, risk),
            "lira(shadows=full_precision)": attack("lira(shadows=full_precision)", leak * 0.9, half),
        },
        curves={"lambda_k": Curve((2.0, 3.0, 4.0), (1.0, 0.5, 0.2), (0.9, 0.2, 0.1), (1.0, 0.8, 0.6))},
        flags=flags,
    )


def cell(*rows, name="toy", **changes):
    rows = rows or (
        row("none", "full precision", 0.30),
        row("uniform(bits=8)", "8-bit", 0.29, -0.001),
        row("uniform(bits=3)", "3-bit", 0.20, -0.010),
        row("sign", "sign", 0.05, -0.030),
        row("ternary(sparsity=0.9)", "ternary 90% sparse", 0.01, -0.4, flags=(Flag("no-skill", "Predicts nothing."),)),
    )
    result = CellResult(
        config={
            "source": f"/home/ada/secret/{name}.csv",
            "target": "y",
            "quantizers": ["study"],
            "replicates": 16,
            "seed": 3,
            "level": 0.95,
            "embedder": "identity",
            "task": "classification",
            "training": {"hidden": [8], "epochs": 5},
        },
        data={"name": name, "task": "classification", "n": 30, "n_train": 15, "classes": {"a": 15, "b": 15}},
        rows=rows,
        primary_metric="roc_auc",
        primary_attack="lira",
        environment={"versions": {"leaq": "0.1.0", "torch": "2.13.0"}, "python": "3.11.7"},
        timings={"models_seconds": 3.21, "peak_memory_bytes": 8.6e8},
        private={"ids": list(range(100, 130))},
        flags=(Flag("unquantized-rest", "Biases stay in full precision."),),
    )
    return replace(result, **changes)


def nasty():
    """Strings that would be markup, script, Markdown or a formula if anything forgot to escape them."""
    rows = (
        row("none", "full precision", 0.30),
        row("sign", f"{NASTY}|`x`", 0.05, -0.03, flags=(Flag("odd", f"A doubt {NASTY}"),)),
    )
    return cell(*rows, name=NASTY, flags=(Flag("odd", f"</script>{NASTY}"),))
