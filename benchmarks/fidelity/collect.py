"""Level B, first half: train once per setting, evaluate under every quantizer, keep what the measures need.

What is kept (in the cache folder, never in the repository): attack signals of all models, and the losses of
sampled candidates of a few. Finished settings are not run again.
"""

import json
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.fidelity.candidates import ensemble, neighbour_table, trajectory
from benchmarks.fidelity.settings import Setting, quantizers_of, sampled_too
from leaq.data.splits import halves
from leaq.evaluation import evaluate
from leaq.measures.indicators import correlation, distortion
from leaq.quantizers import Calibration, build
from leaq.seeds import stream
from leaq.training import train
from leaq.types import Bools, Checkpoints, Floats, LossTable, Samples

REFERENCE = 64
"""Models LiRA attacks, each with the others as shadows: 62, as the target's complement knows the answer."""
AGAIN = 64
"""Further models for the same attack once more: no target and no shadow in common with the first."""
REPLICATES = 8
"""Further models, which only the forecast sees, in groups of four."""
SAMPLED = 4
"""Models whose candidates are sampled."""
MOVES = 200
SEED = 20261124


def collect(setting: Setting, cache: Path) -> dict[str, dict[str, Floats]]:
    """Return the arrays of one setting by quantizer, from the cache where they are there."""
    quantizers = quantizers_of(setting)
    folder = cache / setting.name.replace(" ", "-")
    folder.mkdir(parents=True, exist_ok=True)
    missing = [spec for spec in ("none", *quantizers) if not (folder / f"{spec}.npz").exists()]
    if missing or not (folder / "common.npz").exists():
        _run(setting, folder, ("none", *quantizers), missing)
    found = {spec: dict(np.load(folder / f"{spec}.npz")) for spec in ("none", *quantizers)}
    found["common"] = dict(np.load(folder / "common.npz"))
    return found


def membership(samples: Samples, models: int, outside: float) -> Bools:
    """Paired halves of the pool; the last share `outside` of a random order belongs to nobody."""
    order = stream(SEED, "outside").permutation(len(samples))
    pool = np.sort(order[: round((1 - outside) * len(samples))])
    members = np.zeros((models, len(samples)), dtype=bool)
    members[:, pool] = halves(samples.take(pool), models, seed=SEED)
    return members


def _run(setting: Setting, folder: Path, quantizers: tuple[str, ...], missing: list[str]) -> None:
    samples = setting.samples()
    members = membership(samples, REFERENCE + AGAIN + REPLICATES, setting.outside)
    seconds = _timings(samples, members, setting)
    started = time.process_time()
    parts = []
    kept = None
    for start in range(0, len(members), 24):  # few enough models at once for their checkpoints to fit into memory
        model, checkpoints = train(samples, members[start : start + 24], setting.training, seed=SEED, first=start)
        parts.append(checkpoints.last())
        if kept is None:
            kept = checkpoints.at((slice(0, SAMPLED), slice(None)))
    seconds["all_stacked"] = time.process_time() - started
    assert kept is not None
    released = Checkpoints(
        {name: torch.cat([part.params[name] for part in parts]) for name in parts[0].params},
        parts[0].roles,
        (len(members),),
    )
    reference = evaluate(model, released, samples, members)
    np.savez(
        folder / "common.npz",
        members=members,
        targets=samples.targets,
        groups=samples.groups,
        kind=np.array([samples.task, setting.kind]),
        seconds=np.array(json.dumps(seconds)),
    )
    for spec in quantizers:
        if spec in missing:
            started = time.process_time()
            arrays = _one(model, spec, released, kept, samples, members=members, reference=reference)
            arrays["seconds"] = np.array(time.process_time() - started)
            np.savez(folder / f"{spec}.npz", **arrays)


def _one(model, spec, released, kept, samples, *, members, reference):  # noqa: PLR0913, PLR0917
    """Everything kept of one quantizer."""
    quantizer = build(spec)
    calibration = None
    if quantizer.needs.calibration:  # every model on its own members
        calibration = Calibration(model, samples.inputs, members, seed=SEED)
    table = evaluate(model, quantizer(released, calibration), samples, members, quantizer=spec)
    few = slice(0, 8)
    arrays = {"scores": table.scores.astype(np.float32)}
    if spec != "none":
        part, full = _models(table, few), _models(reference, few)
        arrays["distortion"] = np.array(distortion(part, full, draws=2).value)
        arrays["correlation"] = np.array(correlation(part, full, draws=2).value)
    if not sampled_too(spec):
        return arrays
    run = evaluate(model, trajectory(quantizer, kept), samples, members[:SAMPLED], quantizer=spec)
    arrays["trajectory"] = run.losses.astype(np.float32)
    if spec != "none":
        ends = kept.last()
        arrays["neighbours"] = neighbour_table(
            quantizer, ends, samples, members[:SAMPLED], moves=MOVES, seed=SEED
        ).losses.astype(np.float32)
    outside = ~members.any(0)
    ends = released.at(slice(0, 32))
    everyone = members[:32].any(0)[None]
    together = evaluate(model, ensemble(quantizer, ends), samples, everyone, quantizer=spec)
    arrays["ensemble"] = together.losses[:, :, outside].astype(np.float32)
    return arrays


def _models(table: LossTable, which: slice) -> LossTable:
    from dataclasses import replace

    return replace(
        table,
        losses=table.losses[which],
        members=table.members[which],
        scores=table.scores[which],
        outputs=table.outputs[which],
    )


def _timings(samples: Samples, members: Bools, setting: Setting) -> dict[str, float]:
    """Seconds of processor time to train one model alone, and four stacked; the better of two interleaved rounds."""
    seconds: dict[str, float] = {}
    for _ in range(2):
        for count in (1, 4):
            started = time.process_time()
            train(samples, members[:count], setting.training, seed=SEED)
            name = f"stacked_{count}"
            seconds[name] = min(seconds.get(name, np.inf), time.process_time() - started)
    return seconds
