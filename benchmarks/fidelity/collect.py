"""Level B, first half: train once per setting, evaluate under every quantizer, keep what measures and forecasts need.

What is kept (in the cache folder, never in the repository) suffices to develop and score forecasts without training
again: attack signals of all models under every quantizer, outputs and weights of the replicates, their losses along
training, losses of sampled neighbours. Finished quantizers of a setting are not run again.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.fidelity.candidates import neighbour_table, trajectory
from benchmarks.fidelity.settings import Setting, make_of, quantizers_of, sampled_too
from leaq.data.splits import halves
from leaq.errors import LeaqError
from leaq.evaluation import evaluate_checkpoints
from leaq.quantizers import Calibration, build
from leaq.training import train, train_modules
from leaq.types import Bools, Checkpoints, Floats, LossTable, Samples

REPLICATES = 16
"""Models that only the forecasts see, in groups of 8 and of 4; no reference is among them."""
REFERENCE = 64
"""Models of each of the two repetitions of the reference; each is attacked with 62 others, its complement left out."""
MODELS = REPLICATES + 2 * REFERENCE
TRACED = 8
"""Replicates whose losses along training are kept in full precision."""
SAMPLED = 4
"""Replicates whose quantized losses along training are kept, and whose neighbours are sampled."""
MOVES = 200
SEED = 20261126

Arrays = dict[str, Floats]


def collect(setting: Setting, cache: Path) -> dict[str, Arrays]:
    """Return the arrays of one setting by quantizer, from the cache where they are there."""
    specs = ("none", *quantizers_of(setting))
    folder = cache / setting.name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    missing = [spec for spec in specs if not (folder / f"{spec}.npz").exists()]
    if missing or not (folder / "common.npz").exists():
        _run(setting, folder, missing)
    found = {spec: dict(np.load(folder / f"{spec}.npz")) for spec in specs}
    found["common"] = dict(np.load(folder / "common.npz"))
    return found


def _run(setting: Setting, folder: Path, missing: list[str]) -> None:
    samples = setting.samples()
    members = halves(samples, MODELS, seed=SEED)
    seconds = _timings(samples, members, setting)
    started = time.process_time()
    parts = []
    traced: Checkpoints | None = None
    for start in range(0, MODELS, REPLICATES):  # few enough at once for their checkpoints to fit into memory
        model, checkpoints = _train(setting, samples, members[start : start + REPLICATES], first=start)
        parts.append(checkpoints.last())
        traced = traced or checkpoints.at((slice(0, TRACED), slice(None)))
    seconds["all_stacked"] = time.process_time() - started
    assert traced is not None
    released = Checkpoints(
        {name: torch.cat([part.params[name] for part in parts]) for name in parts[0].params}, parts[0].roles, (MODELS,)
    )
    np.savez(
        folder / "common.npz",
        members=members, targets=samples.targets, groups=samples.groups, ids=samples.ids, inputs=samples.inputs,
        kind=np.array([samples.task, setting.kind]), seconds=np.array(json.dumps(seconds)),
    )  # fmt: skip
    np.savez(
        folder / "weights.npz",
        **{name: tensor[:REPLICATES].numpy() for name, tensor in released.params.items()},
    )
    for spec in missing:
        started = time.process_time()
        arrays = _one(model, spec, released, traced, samples, members=members)
        arrays["seconds"] = np.array(time.process_time() - started)
        np.savez(folder / f"{spec}.npz", **arrays)


def _train(setting: Setting, samples: Samples, members: Bools, *, first: int = 0) -> tuple[Any, Checkpoints]:
    if setting.make is None:
        return train(samples, members, setting.training, seed=SEED, first=first)
    return train_modules(make_of(setting, samples), samples, members, setting.training, seed=SEED, first=first)


def _one(model, spec, released, traced, samples, *, members) -> Arrays:  # noqa: PLR0917
    """Everything kept of one quantizer."""
    quantizer = build(spec)
    calibration = None
    if quantizer.needs.calibration:  # every model on its own members
        calibration = Calibration(model, samples.inputs, members, seed=SEED)
    table = evaluate_checkpoints(model, quantizer(released, calibration), samples, members, quantizer=spec)
    few = slice(0, REPLICATES)
    arrays = {
        "scores": table.scores.astype(np.float32),
        "outputs": table.outputs[few].astype(np.float32),
    }
    run = traced if spec == "none" else _along(model, quantizer, traced, samples, members=members)
    if run is not None:
        along = evaluate_checkpoints(model, run, samples, members[: run.batch[0]], quantizer=spec)
        arrays["trajectory"] = along.losses.astype(np.float32)
    if sampled_too(spec) and hasattr(model, "hidden"):
        ends = traced.last().at(slice(0, SAMPLED))
        arrays["neighbours"] = neighbour_table(
            quantizer, ends, samples, members[:SAMPLED], moves=MOVES, seed=SEED
        ).losses.astype(np.float32)
    return arrays


def _along(model, quantizer, traced: Checkpoints, samples: Samples, *, members: Bools) -> Checkpoints | None:
    """Return the first replicates' quantized checkpoints; None where a quantizer has no grid to freeze."""
    some = traced.at((slice(0, SAMPLED), slice(None)))
    calibration = None
    if quantizer.needs.calibration:
        calibration = Calibration(model, samples.inputs, members[:SAMPLED], seed=SEED)
    try:
        return trajectory(quantizer, some, calibration=calibration)
    except LeaqError:
        return None


def part_of(arrays: Arrays, common: Arrays, which: slice) -> LossTable:
    """Return some models' scores as a table; its losses are those that the scores tell."""
    members, task = common["members"][which].astype(bool), str(common["kind"][0])
    scores = arrays["scores"][which].astype(float)
    losses = np.logaddexp(0, -scores) if task == "classification" else scores**2
    return LossTable(
        losses[:, None], members, task, "pool", int(members[0].sum()),  # type: ignore[arg-type]
        scores=scores, targets=common["targets"], groups=common["groups"],
        outputs=arrays["outputs"][which].astype(float) if which.stop <= REPLICATES else None,
        score_kind="margin" if task == "classification" else "residual",
    )  # fmt: skip


def _timings(samples: Samples, members: Bools, setting: Setting) -> dict[str, float]:
    """Seconds of processor time to train one model alone, and eight stacked, by a shortened rule scaled up.

    A sixteenth of the epochs at least: what does not grow with epochs is then counted often, for either.
    """
    epochs = max(2, setting.training.epochs // 16)
    short = replace(setting, training=setting.training.model_copy(update={"epochs": epochs, "checkpoints": 1}))
    seconds: dict[str, float] = {}
    for _ in range(2):
        for count in (1, 4, 8):
            started = time.process_time()
            _train(short, samples, members[:count])
            taken = (time.process_time() - started) * setting.training.epochs / epochs
            seconds[f"stacked_{count}"] = min(seconds.get(f"stacked_{count}", np.inf), taken)
    return seconds
