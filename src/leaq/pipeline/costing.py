"""What an audit will cost, said before it starts: models, steps, and seconds measured on this machine."""

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from leaq.attacks.rescoring import jackknife_parts
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import asked
from leaq.pipeline.subjects import Subject, subject_of
from leaq.pipeline.subjects.artefact import Artefact
from leaq.system.environment import limited_threads
from leaq.training import MLP, StackedModule
from leaq.training.mlp import layer_groups
from leaq.types import LAYER_ROLES, Bools, Samples
from leaq.types.tasks import Layout

__all__ = ["Cost", "cost"]

STEPS = 5
"""Steps of a training that are timed."""
RECORDS = 512
"""Records one trial evaluation runs on."""
LIBRARIES = 550_000_000
"""Bytes that torch, numpy and the rest take before anything is computed."""
HELD = 3
"""Copies of a chunk's checkpoints at the worst moment: as recorded, quantized, and what evaluation makes of them."""
RESAMPLED = 3
"""Tables of resampled records that are held at once, (draws, n): of attacks, metrics and indicators."""
EVIDENCE = 6
"""Numbers a signal that the combined attack holds of every record and model."""
BATCHES = 10
"""Bytes of a record and model while training: who is a member, and the order of the batches of half of them."""
MEASURING = {"row": 0.4, "record": 2.3e-5, "part": 1.0e-6, "output": 4e-7}
"""Seconds that measuring takes on the processor of docs/performance.md: a row, and of a record and model by itself, for
each part of the models that a jackknife leaves out, and for each output."""
YARDSTICK = 5e-3
"""Seconds that the same processor takes for `_yardstick`."""


@dataclass(frozen=True)
class Cost:
    """What is going to be trained and evaluated, and roughly how long that takes here.

    `seconds` covers training and evaluation, extrapolated from a few steps, and measuring, in proportion to records,
    models, quantizers and outputs; quantizing comes on top.
    `memory` is the largest number of bytes held at once, by arithmetic: within a quarter where it was measured (see
    docs/scaling.md), linear in records, models, checkpoints, quantizers and outputs. Of a training of the user's
    neither is known beforehand.
    """

    attacked: int
    shadows: int
    """Shadow models each attacked model has, its complement left out."""
    steps: int
    quantizers: int
    candidates: int
    seconds: float
    memory: float = 0.0
    released: bool = False
    """Whether a file that was trained elsewhere is attacked; it has no complement, and all others are its shadows."""
    recipe: str = ""
    """The training of the user's, as it was named, or empty."""
    trainings: int = 0
    """How often it is called."""

    def sentence(self) -> str:
        """Say it in one sentence.

        Examples
        --------
        >>> Cost(16, 14, 660, 10, 320, 41.2, 1.63e9).sentence()  # doctest: +NORMALIZE_WHITESPACE
        'Attacks 16 models with 14 shadow models each: 660 training steps, 10 quantizers of 320 candidates. Training,
        evaluating and measuring take about 41 s here, quantizing comes on top. Needs about 1.6 GB of memory.'
        """
        shadows = f"{self.shadows} shadow model{'' if self.shadows == 1 else 's'}"
        whom = f"the released file with {shadows}" if self.released else f"{self.attacked} models with {shadows} each"
        if self.recipe:
            return (
                f"Attacks {whom}: {self.trainings} trainings by {self.recipe}, {self.quantizers} quantizers. How long "
                "a training takes, and how much memory, is not known before it is done."
            )
        duration = f"about {self.seconds:.0f} s" if self.seconds < 120 else f"about {self.seconds / 60:.0f} min"
        duration = "less than a second" if self.seconds < 1 else duration
        return (
            f"Attacks {whom}: {self.steps} training steps, "
            f"{self.quantizers} quantizers of {self.candidates} candidates. Training, evaluating and measuring take "
            f"{duration} here, quantizing comes on top. Needs about {self.memory / 1e9:.1f} GB of memory."
        )


def cost(samples: Samples, config: AuditConfig) -> Cost:
    """Time a few steps and one forward pass of what the audit would run, and multiply."""
    todo, subject = asked(config, samples), subject_of(config)
    released = isinstance(subject, Artefact)
    trained = subject.shadows if isinstance(subject, Artefact) else subject
    samples, members, judged = todo.pool, todo.members[int(released) :], len(todo.judged)
    known: dict[str, Any] = {
        "attacked": len(config.attacked),
        "shadows": config.trained if released else max(0, config.models - 2),
        "quantizers": len(todo.quantizers),
        "released": released,
    }
    model = trained.network(samples)
    if model is None:
        return Cost(**known, steps=0, candidates=0, seconds=0.0, recipe=config.recipe, trainings=len(members))
    parts = trained.parts(samples, len(members))
    steps = config.training.steps(int(members[0].sum())) * len(parts)
    first = members[parts[0]]
    params = model.init(0, range(len(first)))
    training = _seconds_per_step(trained, samples, first, config) * steps
    evaluating = _seconds_per_record(model, params, samples, config) * judged / len(first)
    measuring = _seconds_of_measuring(judged, config, outputs=max(1, len(samples.classes)))
    each = 1 if released else config.training.checkpoints
    weights = sum(tensor.numel() for tensor in params.values()) // len(first)
    gradients = 2 + len(layer_groups(sum(role in LAYER_ROLES for role in model.roles.values())))
    memory = _memory(
        samples,
        config,
        judged=judged,
        held=weights * len(first),
        gradients=gradients if config.whitebox else 0,
        quantizers=len(todo.quantizers),
    )
    return Cost(
        **known,
        steps=steps,
        candidates=config.models * each,
        seconds=training + (evaluating * config.models * each + measuring) * len(todo.quantizers),
        memory=float(memory),
    )


class _Enough(Exception):
    """Raised out of a training of which enough steps were seen."""


def _seconds_per_step(trained: Subject, samples: Samples, members: Bools, config: AuditConfig) -> float:
    """Begin to train these models, and time the steps."""
    taken, last = [], time.perf_counter()

    def watch(_what: str, done: int, _total: int) -> None:
        nonlocal last
        if config.training.device == "cuda":
            torch.cuda.synchronize()  # a GPU is asked, not waited for
        taken.append(time.perf_counter() - last)
        if done >= STEPS:
            raise _Enough
        last = time.perf_counter()

    with suppress(_Enough):
        trained.train(samples, members, which=slice(0, len(members)), progress=watch)
    return min(taken)


def _seconds_of_measuring(judged: int, config: AuditConfig, *, outputs: int) -> float:
    """Return what one row takes here: what it takes elsewhere, by how fast either machine is."""
    parts = jackknife_parts(-(-config.models // 2), judged * config.models)
    each = MEASURING["record"] + MEASURING["part"] * parts + MEASURING["output"] * outputs
    share = len(config.attacks) / len(AuditConfig(source=config.source).attacks)
    return (MEASURING["row"] + judged * config.models * each) * share * _yardstick() / YARDSTICK


def _yardstick() -> float:
    """Return the seconds of a sort, a search and a product as measuring does them: what it is made of."""
    rng, taken = np.random.default_rng(0), []
    values, weights = rng.random(2**16), rng.random((200, 4096))
    with limited_threads(1):
        for _ in range(5):
            started = time.perf_counter()
            np.searchsorted(np.sort(values[:4096]), values)
            (weights @ values.reshape(4096, 16)).sum()
            taken.append(time.perf_counter() - started)
    return min(taken)


def _memory(samples: Samples, config: AuditConfig, *, judged: int, held: int, gradients: int, quantizers: int) -> int:
    """Return the bytes an audit holds at most: checkpoints of one chunk of models, all loss tables, one measurement."""
    layout, n, training = Layout.of(samples.tasks), judged, config.training
    outputs = max(1, len(samples.classes)) if layout is None else 2 * layout.outputs  # once joint, once by task
    size: int = 8 if training.dtype == "float64" else 4
    table = 8 * n * config.models * (training.checkpoints + outputs + 1 + gradients)
    signals = 2 * (1 + gradients)  # normalised and raw
    measuring = 8 * n * (RESAMPLED * config.draws + config.models * EVIDENCE * signals)
    checkpoints = HELD * size * held * training.checkpoints
    pool = 2 * samples.inputs.nbytes + BATCHES * len(samples) * config.models
    return int(LIBRARIES + checkpoints + quantizers * table + measuring + pool)


def _seconds_per_record(
    model: MLP | StackedModule, params: dict[str, torch.Tensor], samples: Samples, config: AuditConfig
) -> float:
    device = torch.device(config.training.device)
    there = {name: tensor.to(device) for name, tensor in params.items()}
    x = torch.tensor(samples.inputs[:RECORDS], dtype=torch.float32, device=device)
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        with torch.no_grad():
            model.forward(there, x).cpu()  # a GPU is waited for
        taken.append(time.perf_counter() - started)
    return min(taken) / len(x)
