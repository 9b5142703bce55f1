"""Orders of members by one run that `benchmarks.fidelity.tried` compares with the one shipped: other features, fitted alike.

The tangent kernel is that of leaq's perceptron at the end of training, averaged over its outputs; a ridge regression of
the labels on it, its strength chosen on records outside, gives each member a leverage and a leave-one-out residual. A
network of another kind has neither; it keeps the shipped features.
"""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special, stats

from benchmarks.fidelity.collect import TRACED
from benchmarks.fidelity.level_b import RISKY
from benchmarks.fidelity.scores import Record
from benchmarks.fidelity.settings import SETTINGS
from leaq.measures.one_run import FEATURES, _shares, baselines, run_features
from leaq.types import Bools, Floats

RIDGE = 0.05
LEAST = 0.2
"""Agreement of the two repetitions below which nothing is learnt from a quantizer."""
STRENGTHS = np.geomspace(1e-4, 10, 11)
"""Of the ridge, in means of the kernel's eigenvalues."""
OUTPUTS = 4
"""Outputs whose kernels are averaged, at most."""
SHIPPED = "shipped: " + ", ".join(FEATURES)
KERNEL = ("kernel residual", "kernel leverage", "last layer residual", "last layer leverage")
BEYOND = ("LT-IQR", "last loss", "label distance", *KERNEL)
COMBINED = {
    SHIPPED: FEATURES,
    **{f"and {name}": (*FEATURES, name) for name in BEYOND},
    "and kernel residual, kernel leverage": (*FEATURES, *KERNEL[:2]),
    "trace, LT-IQR, kernel residual, label distance, near": ("trace", "LT-IQR", KERNEL[0], "label distance", "near"),
    "all of them": (*FEATURES, *BEYOND),
}
Rows = list[tuple[dict[str, Floats], Floats, float]]
"""Features of a run's members, the reference's risk of them, and how well the reference repeats itself."""


def compared(cache: Path, records: dict[str, Record]) -> dict[str, Any]:
    """Return, by combination and setting, the share of what the reference repeats, the setting left out of the fit."""
    known = {
        setting.name: _rows(cache / setting.name.replace(" ", "-"), records[setting.name])
        for setting in SETTINGS
        if setting.dev and not (setting.kind == "end to end" and setting.molecules)  # packed graphs have no distances
    }
    tasks = {name: records[name]["task"] for name in known}
    found: dict[str, Any] = {"tasks": list(tasks.values())}
    for words, names in COMBINED.items():
        share = {}
        for left, rows in known.items():
            alike = [each for name, each in known.items() if name != left and tasks[name] == tasks[left]]
            weights = _fitted(alike, names)
            share[left] = float(np.mean([_agreed(_columns(one, names) @ weights, *rest) for one, *rest in rows]))
        found[words] = {"share": share}
    return found


def _rows(folder: Path, record: Record) -> Rows:
    common, arrays = dict(np.load(folder / "common.npz")), dict(np.load(folder / "none.npz"))
    weights, task = dict(np.load(folder / "weights.npz")), str(common["kind"][0])
    risks = [np.load(folder / f"reference-{spec}.npz")["risk"].mean(0) for spec in RISKY]
    found: Rows = []
    for model in range(TRACED):
        inside = common["members"][model].astype(bool)
        features = _features(arrays["trajectory"][model].astype(float)[:, inside], common, inside, task)
        features |= _kernels({name: one[model].astype(float) for name, one in weights.items()}, common, inside, task)
        again = record["records"]["again"]
        found += [
            (features, risk[inside], repeats) for risk, repeats in zip(risks, again, strict=True) if repeats >= LEAST
        ]
    return found


def _features(losses: Floats, common: dict[str, Floats], inside: Bools, task: str) -> dict[str, Floats]:
    labels = common["targets"][inside]
    known = run_features(losses, common["inputs"][inside], labels, task)  # type: ignore[arg-type]
    rare = (
        -np.bincount(labels.astype(int))[labels.astype(int)]
        if task == "classification"
        else np.abs(labels - labels.mean())
    )
    more = {**baselines(losses), "label distance": rare.astype(float)}
    return dict(zip(FEATURES, known.T, strict=True)) | {name: _normal(values) for name, values in more.items()}


def _normal(values: Floats) -> Floats:
    return np.asarray(special.ndtri(_shares(values)))


def _kernels(weights: dict[str, Floats], common: dict[str, Floats], inside: Bools, task: str) -> dict[str, Floats]:
    """Return residual and leverage of the tangent kernel and of the last layer's; zeros for what is no perceptron."""
    layers = [name.removesuffix(".weight") for name in weights if name.endswith(".weight")]
    inputs = common["inputs"].reshape(len(inside), -1).astype(float)
    joined = zip([inputs.shape[1], *(weights[f"{one}.weight"].shape[0] for one in layers)], layers, strict=False)
    if any(weights[f"{one}.weight"].shape[1:] != (wide,) for wide, one in joined):
        return dict.fromkeys(KERNEL, np.zeros(int(inside.sum())))
    targets = common["targets"].astype(float)
    if task == "classification":
        targets = np.eye(int(targets.max()) + 1)[targets.astype(int)]
    targets = targets.reshape(len(inside), -1)
    targets = (targets - targets[inside].mean(0)) / max(float(targets[inside].std()), 1e-12)
    told = [_left_out(kernel, targets, inside) for kernel in _tangent(weights, layers, inputs)]
    return dict(zip(KERNEL, map(_normal, itertools.chain(*told)), strict=True))


def _tangent(weights: dict[str, Floats], layers: list[str], inputs: Floats) -> tuple[Floats, Floats]:
    """Return the tangent kernel (n, n) of all layers, averaged over outputs, and that of the last layer alone."""
    at = (inputs - weights.get("input.mean", 0.0)) / weights.get("input.scale", 1.0)
    into, before = [at], []
    for layer in layers:
        before.append(into[-1] @ weights[f"{layer}.weight"].T + weights[f"{layer}.bias"])
        into.append(np.maximum(before[-1], 0))
    outputs = min(before[-1].shape[1], OUTPUTS)
    whole = np.zeros((len(inputs), len(inputs)))
    for output in range(outputs):
        slope = np.zeros_like(before[-1])
        slope[:, output] = 1
        for at_layer in reversed(range(len(layers))):
            whole += (into[at_layer] @ into[at_layer].T + 1) * (slope @ slope.T) / outputs
            if at_layer:
                slope = (slope @ weights[f"{layers[at_layer]}.weight"]) * (before[at_layer - 1] > 0)
    return whole, into[-2] @ into[-2].T + 1


def _left_out(kernel: Floats, targets: Floats, inside: Bools) -> tuple[Floats, Floats]:
    """Return each member's leave-one-out residual and leverage in the ridge regression that predicts others best."""
    values, vectors = np.linalg.eigh(kernel[np.ix_(inside, inside)])
    across = kernel[np.ix_(~inside, inside)]
    best = np.inf
    for strength in STRENGTHS * values.mean():
        inverse = (vectors / (values + strength)) @ vectors.T
        weights = inverse @ targets[inside]
        miss = float(((across @ weights - targets[~inside]) ** 2).mean())
        if miss < best:
            best, diagonal = miss, np.diag(inverse)
            found = np.sqrt(((weights / diagonal[:, None]) ** 2).sum(1)), 1 - strength * diagonal
    return found


def _columns(features: dict[str, Floats], names: tuple[str, ...]) -> Floats:
    return np.stack([features[name] for name in names], axis=1)


def _fitted(settings: list[Rows], names: tuple[str, ...]) -> Floats:
    """Return weights by ridge regression of the risk's normal scores; settings count alike."""
    left, right = RIDGE * len(settings) * np.eye(len(names)), np.zeros(len(names))
    for rows in settings:
        for features, risk, _ in rows:
            x = _columns(features, names)
            left += x.T @ x / (len(risk) * len(rows))
            right += x.T @ _normal(risk) / (len(risk) * len(rows))
    return np.asarray(np.linalg.solve(left, right))


def _agreed(values: Floats, risk: Floats, repeats: float) -> float:
    return float(stats.spearmanr(values, risk).statistic / repeats)
