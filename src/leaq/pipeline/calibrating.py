"""The game of calibration: was this record among those that a quantizer was calibrated on?

A pool of records is set aside that no model trains on. One model, trained on all other records, is calibrated many
times, each time on its own random half of the pool: calibrations 2i and 2i + 1 on complementary halves. So a record is
a member of half of the calibrations, and every calibration is attacked with the others as shadows, whose members the
attacker drew himself. Nothing is trained but that one model, which the attacker holds: it was published in full
precision too. In a second row each calibration is that of a model of its own, trained on the same records from its own
initial weights: the attacker then knows how the model was trained and not which one it was.

Trained on none of the pool, a model in full precision knows nothing of it: what is found here is the calibration's.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch

from leaq.data.splits import halves
from leaq.errors import InvalidInput
from leaq.evaluation.loss_table import loss_table
from leaq.models.protocols import Layered, Model
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.measuring import GROUPED, how_of
from leaq.pipeline.planning import Asked, ReleaseTables, asked, set_aside
from leaq.pipeline.rows import Released, attacked_row
from leaq.pipeline.subjects import Subject
from leaq.quantizers import Calibration, Identity, ReleaseSet, Scheme
from leaq.quantizers.calibration import RECORDS
from leaq.results import QuantizerRow
from leaq.types import Bools, Checkpoints, Flag, LossTable, NotComputed, Progress, Samples, silent

UNKNOWN = ", model unknown"
"""Behind the specification of a quantizer whose attacker does not hold the model in full precision."""
SMALLEST = 1e-9
"""Of a model's mean squared error, added to each record's before its logarithm is taken."""
UNCALIBRATED = NotComputed("Looks at no calibration records, so it gives none away.")
NO_REFERENCE = (
    "No model in full precision knows the calibration records, so none is a shadow to learn from. Use lira, whose "
    "shadows are calibrated."
)
KNOWN_MODEL = Flag(
    "known-model",
    "The attacker holds the model in full precision, sees what rounding did to each layer on each record, and "
    "calibrates the model himself on records of his own choice. Rests on one trained model.",
)
UNKNOWN_MODEL = Flag(
    "unknown-model",
    "The attacker does not hold the model in full precision: his calibrations are of other models, trained on the same "
    "records from other initial weights.",
)


@dataclass(frozen=True)
class Calibrations:
    """Who calibrates what.

    Attributes
    ----------
    training : records that train every model.
    pool : records asked about, none of which trains a model.
    members : (s, n) which of them calibrate.
    quantizers : full precision first; a calibrated one has a second row, with the model unknown.
    """

    training: Samples
    pool: Samples
    members: Bools
    quantizers: tuple[Scheme, ...]

    drawn: ClassVar[None] = None
    sets: ClassVar[tuple[ReleaseSet, ...]] = ()
    releases: ClassVar[tuple[Scheme, ...]] = ()
    what: ClassVar[str] = "calibrations"

    @property
    def judged(self) -> Samples:
        """Records asked about: the pool, which is small."""
        return self.pool

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What was done to the records."""
        text = (
            f"The game is about calibration: {len(self.training)} records trained the model, and each calibration "
            f"looks at a random half of {len(self.pool)} others. Which records trained the model is another question "
            "(game pool)."
        )
        return (Flag("calibration-game", text),)

    @property
    def keys(self) -> tuple[str, ...]:
        """Under which names calibrated quantizers are found: the model known, and unknown."""
        calibrated = [quantizer.spec() for quantizer in self.quantizers if quantizer.needs.calibration]
        return tuple(key for spec in calibrated for key in (spec, spec + UNKNOWN))

    @property
    def contrasts(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """What holding the model is worth to the attacker."""
        known = self.keys[::2]
        return {"leak_vs_unknown": {key: (key + UNKNOWN,) for key in known}}

    def trainings(self, first: Bools) -> tuple[tuple[Samples, Bools], ...]:
        """Return what is trained for the first calibrations: a model for each, and the one that is known."""
        everybody = np.ones((len(first), len(self.training)), dtype=bool)
        return (self.training, everybody), (self.training, everybody[:1])

    def candidates(self, _config: AuditConfig) -> int:
        """Return how many candidates of each calibration there are: itself."""
        return 1

    def runs(self, _config: AuditConfig) -> Iterator[tuple[Scheme, int]]:
        """Yield what calibrates, and full precision, twice: of the model that is known, and of others."""
        for quantizer in self.quantizers:
            yield from [(quantizer, 1)] * (1 + self.twice(quantizer))

    def twice(self, quantizer: Scheme) -> bool:
        """Whether a quantizer has a second row, with the model unknown, or is what drops there are from."""
        return quantizer.needs.calibration or isinstance(quantizer, Identity)

    def calibration(self, model: Model, which: slice, _scheme: Scheme, *, seed: int) -> Calibration:
        """Return what some calibrations show a quantizer: all their members."""
        most = int(self.members.sum(1).max())
        return Calibration(model, self.pool.inputs, self.members[which], seed=seed, first=which.start, most=most)


def planned(config: AuditConfig, samples: Samples, *, outputs: bool = False) -> Asked | Calibrations:
    """Return what an audit of these records is going to do, by the game that is played; `outputs` are kept if asked."""
    if config.game == "calibration":
        return calibrations(config, samples)
    if config.game == "series" and not any(flag.code in GROUPED for flag in samples.flags):
        raise InvalidInput(
            "The game series asks about groups of records. Found none. Name their column with group, or split "
            "molecules by scaffold or cluster."
        )
    return replace(asked(config, samples), outputs=outputs)


def calibrations(config: AuditConfig, samples: Samples) -> Calibrations:
    """Return what this game is going to do with the records: at most 512 of them are asked about, at most half of all.

    So that a half is what a quantizer looks at, and the model has enough to train on.

    Raises
    ------
    InvalidInput
        If no quantizer is calibrated, one is calibrated elsewhere, or what only the game pool knows is asked for.
    """
    calibrated = [one for one in config.schemes if one.needs.calibration]
    if not calibrated or any(quantizer.calibrated == "elsewhere" for quantizer in calibrated):
        raise InvalidInput(
            "The game calibration asks which records a quantizer was calibrated on, so quantizers must name one "
            f"that is calibrated on members. Found {', '.join(config.quantizers)}. Name one, e.g. gptq(bits=4)."
        )
    if config.released:
        raise InvalidInput("A released file is asked about its training (game pool). Found the game calibration.")
    if any(quantizer.earlier for quantizer in config.schemes):
        raise InvalidInput(
            "The game calibration knows one model, trained to its end. Found a quantizer that looks at earlier "
            "weights. Leave out stop and average."
        )
    if config.together:
        raise InvalidInput(
            "Several releases together are attacked in the game pool. Found the game calibration. Leave out together."
        )
    if config.dp_sgd:
        raise InvalidInput(
            "Differential privacy in training is compared in the game pool. Found the game calibration, which trains "
            "no model on the records asked about. Leave out dp_sgd."
        )
    share = min(0.5, 2 * RECORDS / len(samples))
    training, pool = set_aside(samples, share=share, seed=config.seed)
    quantizers = (Identity(), *config.schemes)
    return Calibrations(training, pool, halves(pool, config.models, seed=config.seed), tuple(dict.fromkeys(quantizers)))


def calibrate(
    config: AuditConfig, todo: Calibrations, subject: Subject, *, which: slice, progress: Progress = silent
) -> ReleaseTables:
    """Run some calibrations of every quantizer, and evaluate them on the pool."""
    count = which.stop - which.start

    def trained(first: int, models: int, progress: Progress = silent) -> tuple[Model, Checkpoints]:
        everybody = np.ones((models, len(todo.training)), dtype=bool)
        made = subject.train(todo.training, everybody, which=slice(first, first + models), progress=progress)
        return made.model, made.checkpoints.last()

    model, known = trained(0, 1)
    one = known.at(np.zeros(count, dtype=np.int64))
    _, unknown = trained(1 + which.start, count, progress)
    found: ReleaseTables = {}
    for done, quantizer in enumerate(todo.quantizers, start=1):
        for released, more in ((one, ""), (unknown, UNKNOWN))[: 1 + todo.twice(quantizer)]:
            fitted = quantizer.fitted_to(released, todo.calibration(model, which, quantizer, seed=config.seed))
            rounded, read = fitted(released), config.beside_losses
            table = loss_table(
                model, rounded, todo.pool, todo.members[which], whitebox=read["whitebox"], numbers=read["numbers"]
            )
            if read["whitebox"] and not more and not isinstance(quantizer, Identity):
                table = with_errors(table, model, todo.pool, known=known, rounded=rounded)
            table = replace(table, game="calibration", quantizer=quantizer.spec())
            found[quantizer.spec() + more] = table, fitted.size(released)
        progress("evaluating", done, len(todo.quantizers))
    return found


def with_errors(
    table: LossTable, model: Model, samples: Samples, *, known: Checkpoints, rounded: Checkpoints
) -> LossTable:
    """Add to the statistics of the weights what rounding did to each layer's outputs, record by record.

    The logarithm of the mean square of (W' - W) x, for whoever holds the model in full precision, W, beside the
    released one, W': a calibrated quantizer makes it small on the records it looked at, and on no others. x is what the
    layer reads in full precision. Layers that are not read once a record are left out; all, of a model whose layers
    cannot be looked into.

    Parameters
    ----------
    known : batch (1,), in full precision. rounded : batch (s,).
    """
    if not isinstance(model, Layered) or table.whitebox is None:
        return table
    like = next(iter(known.params.values()))
    x = torch.tensor(samples.inputs, dtype=like.dtype, device=like.device)[None]
    found = [table.whitebox]
    with torch.no_grad():
        for name, (read, _) in model.layer_inputs(known.params, x, x.new_ones(x.shape[:2])).items():
            weight = known.params[name]
            if weight.ndim == 3 and read.shape == (1, len(samples), weight.shape[2]):
                moved = [(read[0] @ (one - weight[0]).T).square().mean(1) for one in rounded.params[name]]
                errors = torch.stack(moved).double().cpu().numpy()
                least = SMALLEST * np.maximum(errors.mean(1, keepdims=True), SMALLEST)
                found.append(np.log(errors + least)[:, :, None])
    return replace(table, whitebox=np.concatenate(found, axis=2))


def measure_calibrations(config: AuditConfig, todo: Calibrations, found: ReleaseTables) -> tuple[QuantizerRow, ...]:
    """Return the rows of the game: metrics on records that neither trained nor calibrated, and the attacks."""
    rows = []
    for quantizer in todo.quantizers:
        calibrated = quantizer.needs.calibration
        for more, known in (("", KNOWN_MODEL), (UNKNOWN, UNKNOWN_MODEL))[: 1 + calibrated]:
            names = quantizer.spec() + more, quantizer.label() + more
            (table, size), (reference, _) = found[names[0]], found[Identity().spec() + more]
            how = replace(how_of(config, todo.pool.inputs, task=table.task), lacking={"reference": NO_REFERENCE})
            released = Released(names, table, size, reference, full=isinstance(quantizer, Identity))
            if calibrated:
                rows.append(attacked_row(replace(released, flags=(known,)), how))
            else:
                row = attacked_row(released, replace(how, attacks=()))
                rows.append(replace(row, attacks={attack.spec(): UNCALIBRATED for attack in how.attacks}))
    return tuple(rows)
