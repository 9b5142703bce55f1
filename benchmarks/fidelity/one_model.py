"""The frozen constants of `leaq.attacks.one_model`, fitted on the development settings: python -m benchmarks.fidelity.one_model CACHE."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from scipy import special

from benchmarks.fidelity.collect import REPLICATES, TRACED, Arrays, part_of
from benchmarks.fidelity.settings import SETTINGS, quantizers_of
from leaq.attacks.one_model import distance, features, foretold, from_one_model
from leaq.stats.roc import auc
from leaq.types import Bools, Floats

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


def examples(folder: Path, specs: tuple[str, ...], truth: Floats | None = None) -> tuple[Floats, Floats]:
    """Return the features of each quantizer and model, (q, 16, 5), and the advantage of the reference, (q,).

    The reference is read from the cache unless it is given.
    """
    common = dict(np.load(folder / "common.npz"))
    found, full = [], []
    for spec in specs:
        arrays = dict(np.load(folder / f"{spec}.npz"))
        tables = [part_of(arrays, common, slice(model, model + 1)) for model in range(REPLICATES)]
        full = full or tables
        found.append([features(*pair)[0] for pair in zip(tables, full, strict=True)])
    if truth is None:
        truth = np.array([np.load(folder / f"reference-{spec}.npz")["advantages"].mean() for spec in specs])
    return np.array(found), truth


def fitted(known: list[tuple[Floats, Floats]]) -> Floats:
    """Return coefficients by ridge regression: settings count alike, examples by how far an advantage moves."""
    size = known[0][0].shape[-1]
    left, right = RIDGE * np.diag([0.0, *[1.0] * (size - 1)]), np.zeros(size)
    for found, truth in known:
        aim = distance(truth)
        z = np.exp(aim)
        weight = ((z * np.exp(-(z**2) / 8) / np.sqrt(2 * np.pi) + FLAT) ** 2 / len(truth) / found.shape[1])[
            :, None, None
        ]
        left += np.einsum("qmi,qmj->ij", found * weight, found)
        right += (found * weight * aim[:, None, None]).sum((0, 1))
    return np.asarray(np.linalg.solve(left, right))


def left_out(known: list[tuple[Floats, Floats]]) -> list[float]:
    """Return by how much each setting is missed when it is left out of the fit, mean over quantizers and models."""
    found = []
    for i, (features_, truth) in enumerate(known):
        said = foretold(features_, fitted(known[:i] + known[i + 1 :]))
        found.append(float(np.abs(said - truth[:, None]).mean()))
    return found


def with_recording(folder: Path, known: tuple[Floats, Floats], kind: str) -> tuple[Floats, Floats]:
    """Return the examples of recorded models with one more feature, of how their losses fell along the run."""
    features_, truth = known
    losses = np.load(folder / "none.npz")["trajectory"].astype(float)
    members = np.load(folder / "common.npz")["members"].astype(bool)
    more = [_fell(losses[model], members[model], kind) for model in range(TRACED)]
    column = np.broadcast_to(np.array(more)[None, :, None], (len(truth), TRACED, 1))
    return np.concatenate([features_[:, :TRACED], column], axis=2), truth


RECORDED = {
    "fall of the loss": "how far losses fell from the first checkpoint on",
    "fall of its logarithm": "how far their logarithms did",
    "fall from the middle": "how far losses fell in the second half",
    "mean along the run": "mean loss along the run",
}


def _fell(losses: Floats, members: Bools, kind: str) -> float:
    """Return l(z) of the area under the curve by which members are told from others, from losses (c, n) of one run."""
    logarithms = np.log(losses + 1e-6 * losses.mean())
    scores = {
        "fall of the loss": losses[0] - losses[-1],
        "fall of its logarithm": logarithms[0] - logarithms[-1],
        "fall from the middle": losses[len(losses) // 2] - losses[-1],
        "mean along the run": -losses.mean(0),
    }
    area = auc(scores[kind], members)
    return float(np.log(max(np.sqrt(2) * special.ndtri(np.clip(area, 1e-4, 1 - 1e-4)), 0.0) + 0.05))


def main() -> None:
    dev = [setting for setting in SETTINGS if setting.dev]
    folders = [Path(sys.argv[1]) / setting.name.replace(" ", "-") for setting in dev]
    known = [examples(f, ("none", *quantizers_of(s))) for f, s in zip(folders, dev, strict=True)]
    squares = []
    for i, (found, truth) in enumerate(known):
        said = foretold(found, fitted(known[:i] + known[i + 1 :]))
        squares.append(float(((said - truth[:, None]) ** 2).mean()))
    for setting, missed in zip(dev, left_out(known), strict=True):
        print(f"{setting.name}, left out: missed by {missed:.3f}")
    print("COEFFICIENTS", tuple(fitted(known).round(3).tolist()), "MISS", round(float(np.sqrt(np.mean(squares))), 3))


if __name__ == "__main__":
    main()
