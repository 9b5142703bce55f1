"""The frozen constants of `leaq.attacks.one_model`, fitted on the development settings: python -m benchmarks.fidelity.one_model CACHE."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fidelity.collect import REPLICATES, TRACED, Arrays, part_of
from benchmarks.fidelity.settings import SETTINGS, quantizers_of
from leaq.attacks.one_model import distance, features, foretold, from_one_model
from leaq.types import Floats

RIDGE = 0.003
FLAT = 0.03
"""Weight of an example whose advantage hardly moves with its distance, beside those whose does."""
NAME = "estimate from one model"


def estimates(found: dict[str, Arrays], specs: tuple[str, ...]) -> list[dict[str, Any]]:
    """Return what is estimated from each of some models, values in the order of the quantizers."""
    made = []
    for model in range(TRACED):
        tables = [part_of(found[spec], found["common"], slice(model, model + 1)) for spec in specs]
        each = [from_one_model(table, tables[0]) for table in tables]
        told = {"advantage": "value", "low": "low", "high": "high"}
        numbers = {name: [round(getattr(one, field), 3) for one in each] for name, field in told.items()}
        made.append({**numbers, "flagged": [bool(one.flags) for one in each]})
    return made


def examples(folder: Path, specs: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Return the features of each quantizer and model, (q, 16, 5), and the advantage of the reference, (q,)."""
    common = dict(np.load(folder / "common.npz"))
    found, truth, full = [], [], []
    for spec in specs:
        arrays = dict(np.load(folder / f"{spec}.npz"))
        tables = [part_of(arrays, common, slice(model, model + 1)) for model in range(REPLICATES)]
        full = full or tables
        found.append([features(*pair)[0] for pair in zip(tables, full, strict=True)])
        truth.append(np.load(folder / f"reference-{spec}.npz")["advantages"].mean())
    return np.array(found), np.array(truth)


def fitted(known: list[tuple[Floats, Floats]]) -> Floats:
    """Return coefficients by ridge regression: settings count alike, examples by how far an advantage moves."""
    left, right = RIDGE * np.diag([0.0, 1, 1, 1, 1]), np.zeros(5)
    for found, truth in known:
        aim = distance(truth)
        z = np.exp(aim)
        weight = ((z * np.exp(-(z**2) / 8) / np.sqrt(2 * np.pi) + FLAT) ** 2 / len(truth) / found.shape[1])[
            :, None, None
        ]
        left += np.einsum("qmi,qmj->ij", found * weight, found)
        right += (found * weight * aim[:, None, None]).sum((0, 1))
    return np.asarray(np.linalg.solve(left, right))


def main() -> None:
    dev = [setting for setting in SETTINGS if setting.dev]
    folders = [Path(sys.argv[1]) / setting.name.replace(" ", "-") for setting in dev]
    known = [examples(f, ("none", *quantizers_of(s))) for f, s in zip(folders, dev, strict=True)]
    squares = []
    for i, (found, truth) in enumerate(known):
        said = foretold(found, fitted(known[:i] + known[i + 1 :]))
        squares.append(float(((said - truth[:, None]) ** 2).mean()))
        print(f"{dev[i].name}, left out: missed by {np.abs(said - truth[:, None]).mean():.3f}")
    print("COEFFICIENTS", tuple(fitted(known).round(3).tolist()), "MISS", round(float(np.sqrt(np.mean(squares))), 3))


if __name__ == "__main__":
    main()
