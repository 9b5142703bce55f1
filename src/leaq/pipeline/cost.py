"""What an audit will cost, said before it starts: models, steps, memory, and the seconds of every stage here."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from leaq.attacks.registry import parse_attacks
from leaq.attacks.resampling import jackknife_parts
from leaq.measures.condensed import NARROW
from leaq.pipeline.calibrating import Calibrations, planned
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import Asked
from leaq.pipeline.rehearsal import Rehearsal, private_seconds, reference_seconds, seconds_per_step
from leaq.pipeline.subjects import subject_of
from leaq.pipeline.subjects.artefact import Artefact
from leaq.system.environment import duration, limited_threads
from leaq.training.mlp import layer_groups
from leaq.types import LAYER_ROLES, Samples
from leaq.types.tasks import Layout

LIBRARIES = 490_000_000
"""Bytes that torch, numpy and the rest take before anything is computed."""
PRIVATE = 120_000_000
"""Bytes that the library of DP-SGD takes."""
HELD = 3
"""Copies of a chunk's checkpoints at the worst moment: as recorded, quantized, and what evaluation makes of them."""
RESAMPLED = 3
"""Tables of resampled records that are held at once, (draws, n): of attacks, metrics and indicators."""
OUTPUTS = 28
"""Bytes of each output of a chunk while it is evaluated: of full precision and of one quantizer, as it comes and in
double precision, and what is compared between the two."""
EVIDENCE = 6
"""Numbers a signal that the combined attack holds of every record and model."""
BATCHES = 10
"""Bytes of a record and model while training: who is a member, and the order of the batches of half of them."""
MEASURING = {"row": 0.37, "record": 3.1e-5, "part": 6.2e-7, "output": 1.9e-7}
"""Seconds that measuring takes on the processor of docs/scaling.md: a row, and of a record and model by itself, for
each part of the models that a jackknife leaves out, and for each output."""
ATTACKED = 0.5
"""Share of a row that attacks on outputs take: all there is of a reference, and of each release of several together."""
PROBE = 5e-3
"""Seconds that the same processor takes for `_probe`."""
TRIES = 20
"""How often that is tried: the quickest counts, so that work beside it on the machine does not."""
WORTH_SAYING = 0.02
"""Share of all seconds from which on a stage is named."""


@dataclass(frozen=True)
class Cost:
    """What is going to be done, and roughly how long that takes here.

    Attributes
    ----------
    attacked, shadows : models that are attacked, and shadow models each has, its complement left out.
    steps : of training; 0 where a recipe trains.
    quantizers, candidates : rows, and candidates of each.
    stages : seconds by what takes them. Training, quantizing and evaluating, and the trainings with differential
        privacy and of references are extrapolated from small trials; measuring is in proportion to records, models,
        rows and outputs. Loading and embedding were done before, drawing a page comes after.
    memory : largest number of bytes held at once, by arithmetic: within a quarter where it was measured (see
        docs/scaling.md), linear in records, models, checkpoints, quantizers and outputs.
    released : whether a file that was trained elsewhere is attacked; it has no complement, all others are its shadows.
    recipe, trainings : the training of the user's as it was named, or empty, and how often it is called. How long it
        takes, and how much memory, is not known beforehand.
    what : what is attacked: models, or calibrations of one.
    """

    attacked: int
    shadows: int
    steps: int
    quantizers: int
    candidates: int
    stages: Mapping[str, float] = field(default_factory=dict)
    memory: float = 0.0
    released: bool = False
    recipe: str = ""
    trainings: int = 0
    what: str = "models"

    @property
    def seconds(self) -> float:
        """Seconds of everything."""
        return sum(self.stages.values())

    def sentence(self) -> str:
        """Say it in a few words.

        Examples
        --------
        >>> stages = {"training": 11.0, "quantizing and evaluating": 10.2, "measuring": 20.0}
        >>> Cost(16, 14, 660, 10, 320, stages, 1.63e9).sentence()  # doctest: +NORMALIZE_WHITESPACE
        'Attacks 16 models with 14 shadow models each: 660 training steps, 10 quantizers of 320 candidates. Takes about
        41 s here (training 11 s, quantizing and evaluating 10 s, measuring 20 s) and about 1.6 GB of memory.'
        """
        shadows = f"{self.shadows} shadow {self.what.removesuffix('s')}{'' if self.shadows == 1 else 's'}"
        whom = (
            f"the released file with {shadows}" if self.released else f"{self.attacked} {self.what} with {shadows} each"
        )
        if self.recipe:
            return (
                f"Attacks {whom}: {self.trainings} trainings by {self.recipe}, {self.quantizers} quantizers. How long "
                "a training takes, and how much memory, is not known before it is done. What follows takes "
                f"{self._takes()}, quantizing and evaluating not counted."
            )
        return (
            f"Attacks {whom}: {self.steps} training steps, {self.quantizers} quantizers of {self.candidates} "
            f"candidates. Takes {self._takes()} and about {self.memory / 1e9:.1f} GB of memory."
        )

    def _takes(self) -> str:
        if self.seconds < 1:
            return "less than a second here"
        least = max(0.5, WORTH_SAYING * self.seconds)
        named = [f"{name} {duration(taken)}" for name, taken in self.stages.items() if taken >= least]
        return f"about {duration(self.seconds)} here ({', '.join(named)})"


def estimated_cost(samples: Samples, config: AuditConfig) -> Cost:
    """Try a small part of what the audit would run, and multiply; with as many threads as the caller allows."""
    todo, subject = planned(config, samples), subject_of(config)
    released = isinstance(subject, Artefact)
    trained = subject.shadows if isinstance(subject, Artefact) else subject
    members = todo.members[int(released) :]
    parts = trained.parts(todo.pool, len(members))
    known = Cost(
        attacked=len(config.attacked),
        shadows=config.trained if released else max(0, config.models - 2),
        steps=0,
        quantizers=len(todo.quantizers),
        candidates=config.models * todo.candidates(config),
        released=released,
        what=todo.what,
    )
    model, first = trained.network(todo.pool), members[parts[0]]
    if model is None:
        trainings = len(members) + len(parts) * (len(todo.trainings(first)) - 1)
        return replace(known, candidates=0, stages=_measuring(config, todo), recipe=config.recipe, trainings=trainings)
    trial = Rehearsal(config, model, model.init(0, range(len(first))), todo, first)
    runs = todo.trainings(first)
    steps = sum(config.training.steps(int(inside[0].sum())) for _, inside in runs)
    each = sum(seconds_per_step(trained, *run, config) for run in runs) / len(runs)
    releasing = sum(trial.releasing(*run) for run in todo.runs(config))
    stages = {
        "training": steps * each * len(parts),
        "quantizing and evaluating": releasing * len(members) / len(first),
        **_measuring(config, todo, evaluating=trial.evaluating() * config.models),
    }
    memory = _memory(config, todo, trial)
    return replace(known, steps=steps * len(parts), stages={k: v for k, v in stages.items() if v > 0}, memory=memory)


def _measuring(config: AuditConfig, todo: Asked | Calibrations, *, evaluating: float = 0.0) -> dict[str, float]:
    """Return the seconds of everything behind the loss tables, of models that an audit trains beside included.

    `evaluating` are the seconds in which a release of every model runs over the judged records.
    """
    row = _seconds_of_a_row(config, todo)
    found = {
        "measuring": row * len(todo.keys),
        "releases together": ATTACKED * row * sum(len(one.quantizers) for one in todo.sets),
    }
    if config.dp_sgd:
        private = len(config.dp_sgd) * (1 if todo.pool.public is None else 2)
        found["DP-SGD"] = private_seconds(config, todo) + private * (evaluating + row)
    if config.references:
        found["references"] = reference_seconds(config, todo) + ATTACKED * row * len(config.references)
    return found


def _seconds_of_a_row(config: AuditConfig, todo: Asked | Calibrations) -> float:
    """Return what measuring one row takes here: what it takes elsewhere, by how fast either machine is."""
    judged, pool = len(todo.judged), todo.judged
    parts = jackknife_parts(-(-config.models // 2), judged * config.models)
    each = MEASURING["record"] + MEASURING["part"] * parts + MEASURING["output"] * max(1, len(pool.classes))
    usual = parse_attacks(AuditConfig(source=config.source).attacks)
    share = len(parse_attacks(config.attacks)) / len(usual) * (1 + len(pool.tasks))
    return (MEASURING["row"] + judged * config.models * each) * share * _probe() / PROBE


def _probe() -> float:
    """Return the seconds of a sort, a search and a product as measuring does them: what it is made of."""
    rng, taken = np.random.default_rng(0), []
    values, weights = rng.random(2**16), rng.random((200, 4096))
    with limited_threads(1):
        for _ in range(TRIES):
            started = time.thread_time()
            np.searchsorted(np.sort(values[:4096]), values)
            (weights @ values.reshape(4096, 16)).sum()
            taken.append(time.thread_time() - started)
    return min(taken)


def _memory(config: AuditConfig, todo: Asked | Calibrations, trial: Rehearsal) -> float:
    """Return the bytes an audit holds at most: checkpoints of one chunk of models, all loss tables, one measurement."""
    samples, n, training = todo.judged, len(todo.judged), config.training
    layout, layers = Layout.of(samples.tasks), sum(role in LAYER_ROLES for role in trial.model.roles.values())
    outputs = max(1, len(samples.classes)) if layout is None else layout.outputs
    kept, wide = (outputs, 0) if outputs <= NARROW else (1, OUTPUTS * n * len(trial.first) * outputs)
    kept += 0 if layout is None else 2 * outputs  # each task has a table of its own, of losses and outputs
    gradients = 2 + len(layer_groups(layers)) if config.beside_losses["whitebox"] else 0
    size: int = 8 if training.dtype == "float64" else 4
    table = 8 * n * config.models * (training.checkpoints + kept + 1 + gradients)
    beside = bool(config.dp_sgd) + bool(config.references)  # one table at a time
    tables = len(todo.quantizers) + len(todo.releases) + beside
    signals = 2 * (1 + gradients)  # normalised and raw
    measuring = 8 * n * (RESAMPLED * config.draws + config.models * EVIDENCE * signals)
    checkpoints = HELD * size * trial.weights * len(trial.first) * training.checkpoints
    pool = 2 * todo.pool.inputs.nbytes + BATCHES * len(todo.pool) * config.models
    libraries = LIBRARIES + PRIVATE * bool(config.dp_sgd)
    return float(libraries + checkpoints + tables * table + measuring + pool + wide)
