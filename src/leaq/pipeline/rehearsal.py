"""What each stage of an audit takes here, seen from a small part of it: a few steps, one checkpoint, a few records.

Nothing is kept: weights are the initial ones, which take as long to quantize and evaluate as trained ones.
"""

import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

from leaq.evaluation.loss_table import loss_table
from leaq.pipeline.baseline import optimizer_steps
from leaq.pipeline.calibrating import Calibrations
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.measuring import columns_for_references
from leaq.pipeline.planning import Asked
from leaq.pipeline.subjects import Subject
from leaq.quantizers import Scheme
from leaq.training import MLP, StackedModule
from leaq.training.private import PrivateTraining, train_private
from leaq.training.references import parse_references, reference_table
from leaq.training.squares import PrivateSquares, train_squares
from leaq.types import Bools, Checkpoints, Samples

STEPS = 5
"""Steps of a training that are timed."""
RECORDS = 512
"""Records that a trial evaluation runs on."""
NUMBERS = 2_000_000
"""Weights that a trial quantizes, about: more than that says no more."""
CHECKPOINTS = 4
"""Checkpoints of a trial, at most: of small networks the first call tells more of overhead than of the rest."""
SLOW = 0.5
"""Seconds from which on evaluating is tried once: the first time tells of little else then."""
CALIBRATED = 2
"""Models of a trial whose quantizer looks at records: some take minutes for each."""
ACCOUNTING = 1.2
"""Seconds in which the noise for an epsilon is found, and what was spent, on the processor of docs/scaling.md."""


class _Enough(Exception):
    """Raised out of a training of which enough steps were seen."""


def seconds_per_step(trained: Subject, samples: Samples, members: Bools, config: AuditConfig) -> float:
    """Begin to train these models, and time the steps."""
    taken, last = [], _now(config)

    def watch(_what: str, done: int, _total: int) -> None:
        nonlocal last
        taken.append(_now(config) - last)
        if done >= STEPS:
            raise _Enough
        last = _now(config)

    with suppress(_Enough):
        trained.train(samples, members, which=slice(0, len(members)), progress=watch)
    return min(taken)


@dataclass(frozen=True)
class Rehearsal:
    """Quantizing and evaluating, tried on what a network is before it is trained.

    Attributes
    ----------
    model, params : a network, and its initial weights (s, ...), of the models that are trained together first.
    todo : what the audit is going to do.
    first : (s, n) on which records of the pool these models train, or by which they are calibrated.
    seen : what evaluating took, by how many candidates of how many models.
    """

    config: AuditConfig
    model: MLP | StackedModule
    params: Mapping[str, torch.Tensor]
    todo: Asked | Calibrations
    first: Bools
    seen: dict[object, tuple[float, float]] = field(default_factory=dict, compare=False)

    @property
    def weights(self) -> int:
        """How many numbers one model holds."""
        return sum(tensor.numel() for tensor in self.params.values()) // len(self.first)

    def evaluating(self) -> float:
        """Return the seconds in which one release of one of these models runs over the judged records."""
        return sum(self._evaluating(self._checkpoints(1, 1)))

    def releasing(self, quantizer: Scheme, candidates: int) -> float:
        """Return the seconds in which candidates of these models are quantized and run over the judged records."""
        s, numbers = len(self.first), max(1, self.weights)
        models = min(s, CALIBRATED if quantizer.needs.calibration else max(CALIBRATED, NUMBERS // numbers))
        tried = max(1, min(candidates, CHECKPOINTS, NUMBERS // (numbers * models)))
        calibration = self.todo.calibration(self.model, slice(0, models), quantizer, seed=self.config.seed)
        checkpoints = quantizer.recorded(self._checkpoints(models, tried))
        with _timed(self.config) as fitting:
            fitted = quantizer.fitted_to(checkpoints.last(), calibration)
            fitted.size(checkpoints.last())
        with _timed(self.config) as quantizing:
            quantized = fitted(checkpoints)
        once, each = self._evaluating(quantized)
        return (fitting[0] + once + (quantizing[0] + each) * candidates / tried) * s / models

    def _checkpoints(self, models: int, count: int) -> Checkpoints:
        held = {}
        for name, tensor in self.params.items():
            several = tensor[:models, None].expand(-1, count, *tensor.shape[1:])
            held[name] = several.to(self.config.training.device).contiguous()
        return Checkpoints(held, self.model.roles, (models, count), steps=tuple(range(1, count + 1)))

    def _evaluating(self, candidates: Checkpoints) -> tuple[float, float]:
        """Return seconds for all judged records: of what is read of the releases alone, and of running candidates.

        Quantized weights take as long as others, so that what takes long is tried once, and all else twice.
        """
        how = candidates.activations
        key = (candidates.batch, how and (how.bits, how.zero_point, how.static))
        if key not in self.seen:
            first = self._tried(candidates)
            self.seen[key] = first if sum(first) > SLOW else min(first, self._tried(candidates), key=sum)
        return self.seen[key]

    def _tried(self, candidates: Checkpoints) -> tuple[float, float]:
        judged, config = self.todo.judged, self.config
        few = np.arange(min(RECORDS, len(judged)))
        table = partial(loss_table, self.model, candidates, judged.take(few), self.first[: candidates.batch[0]][:, few])
        with _timed(config) as plain:
            table()
        more, beside = config.beside_losses, 0.0
        if more["whitebox"] or more["numbers"]:
            with _timed(config) as full:
                table(**more)
            beside = max(0.0, full[0] - plain[0])
        share = len(judged) / len(few)
        return beside * share, plain[0] * share


def private_seconds(config: AuditConfig, todo: Asked | Calibrations) -> float:
    """Return the seconds of all trainings with differential privacy: a few steps of one model are tried."""
    samples, inside = todo.pool, todo.members.sum(1)
    batch = min(config.training.batch_size, int(inside.max()))
    few = np.flatnonzero(todo.members[0])[: STEPS * batch]
    trial = config.training.but(epochs=2)
    clipped = PrivateTraining(epsilon=np.inf)  # the same steps, with no noise to be found first
    taken = []
    for _ in range(2):  # the first one loads the library
        with _timed(config) as seconds:
            train_private(samples.take(few), np.ones((1, len(few)), bool), trial, clipped, seed=config.seed)
        taken += seconds
    steps = min(taken) / (2 * -(-len(few) // batch)) * optimizer_steps(config, int(inside.max()))
    finite = sum(math.isfinite(float(text)) for text in config.dp_sgd)
    if samples.public is not None:
        with _timed(config) as squares:
            private = PrivateSquares(epsilon=np.inf)
            train_squares(samples, todo.members[:1], config.training, private, seed=config.seed)
        steps += squares[0] * len(todo.members) * len(config.dp_sgd)
    return steps + ACCOUNTING * finite


def reference_seconds(config: AuditConfig, todo: Asked | Calibrations) -> float:
    """Return the seconds of all classical models: one of each kind is tried."""
    total, pool = 0.0, columns_for_references(config, todo.pool)
    for reference in parse_references(config.references):
        with _timed(config) as seconds:
            reference_table(reference, pool, todo.members[:1], seed=config.seed)
        total += seconds[0] * len(todo.members)
    return total


@contextmanager
def _timed(config: AuditConfig) -> Iterator[list[float]]:
    """Append the seconds of what is done within to the list that is given."""
    taken, started = list[float](), _now(config)
    yield taken
    taken.append(_now(config) - started)


def _now(config: AuditConfig) -> float:
    """Return the seconds of this thread, which other work on the machine does not prolong.

    A GPU is asked and not waited for: there, the time once it is done.
    """
    if config.training.device != "cuda":
        return time.thread_time()
    torch.cuda.synchronize()
    return time.perf_counter()
