"""The frozen table of `leaq.measures.one_run`, fitted on the development settings: python -m benchmarks.fidelity.weights CACHE."""

import sys
from pathlib import Path

import numpy as np
from scipy import special, stats

from benchmarks.fidelity.collect import TRACED
from benchmarks.fidelity.level_b import RISKY
from benchmarks.fidelity.settings import SETTINGS
from leaq.measures.one_run import FEATURES, run_features
from leaq.types import Floats

RIDGE = 0.05
LEAST = 0.2
"""Agreement of the two repetitions below which nothing is learnt from a quantizer."""


def normal_scores(values: Floats) -> Floats:
    return np.asarray(special.ndtri((stats.rankdata(values) - 0.5) / len(values)))


def examples(folder: Path) -> tuple[str, list[tuple[Floats, Floats]]]:
    """Return the task of a setting, and features and risk of the members of each recorded run."""
    common, along = (np.load(folder / f"{name}.npz") for name in ("common", "none"))
    task, found = str(common["kind"][0]), []
    for spec in RISKY:
        risk = np.load(folder / f"reference-{spec}.npz")["risk"]
        if stats.spearmanr(*risk).statistic < LEAST:
            continue
        for model in range(TRACED):
            inside = common["members"][model].astype(bool)
            losses, inputs = along["trajectory"][model][:, inside], common["inputs"][inside]
            features = run_features(losses, inputs, common["targets"][inside], task)  # type: ignore[arg-type]
            found.append((features, normal_scores(risk.mean(0)[inside])))
    return task, found


def main() -> None:
    kept: dict[str, list[tuple[Floats, Floats]]] = {}
    for setting in SETTINGS:
        if setting.dev and not (setting.kind == "end to end" and setting.molecules):  # packed graphs have no distances
            task, found = examples(Path(sys.argv[1]) / setting.name.replace(" ", "-"))
            kept.setdefault(task, []).extend(found)
    for task, rows in kept.items():
        x = np.concatenate([features / np.sqrt(len(features)) for features, _ in rows])
        y = np.concatenate([risk / np.sqrt(len(risk)) for _, risk in rows])
        weights = np.linalg.solve(x.T @ x + RIDGE * len(rows) * np.eye(len(FEATURES)), x.T @ y)
        print(task, dict(zip(FEATURES, weights.round(3).tolist(), strict=True)))


if __name__ == "__main__":
    main()
