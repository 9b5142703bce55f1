"""What differential privacy costs and buys on the same data, beside what quantization does.

The heads of an audit are trained again with DP-SGD at several epsilons, on the same halves of the records, and
measured by the same attacks; the rows join those of the quantizers in every table and figure.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from leaq.cell import AuditConfig
from leaq.data.splits import halves
from leaq.errors import InvalidInput
from leaq.evaluation import evaluate, with_numbers
from leaq.measuring import measure
from leaq.planning import asked
from leaq.preparing import prepare
from leaq.quantizers import Identity
from leaq.results import CellResult, QuantizerRow
from leaq.training import chunks, train
from leaq.training.private import PrivateTraining, train_private
from leaq.types import Bools, Flag, LossTable, NotComputed, Progress, Samples, silent

__all__ = ["EPSILONS", "optimizer_steps", "private_rows", "with_yardstick"]

EPSILONS = (1.0, 3.0, 8.0, math.inf)
ONE_CANDIDATE = NotComputed("A DP-SGD model is no choice among quantized candidates.")


def with_yardstick(
    result: CellResult, *, epsilons: Sequence[float] = EPSILONS, progress: Progress = silent
) -> CellResult:
    """Return the result of an audit with one more row an epsilon.

    Examples
    --------
    ``leaq.report(with_yardstick(leaq.audit("breast_cancer")), "report.html")``
    """
    config = AuditConfig.from_dict(dict(result.config))
    rows = private_rows(config, epsilons=epsilons, progress=progress)
    return replace(result, rows=(*result.rows, *rows))


def optimizer_steps(result: CellResult, epsilons: Sequence[float] = EPSILONS) -> int:
    """Return how many optimizer steps the yardstick of a result takes, on average over Poisson batches."""
    config = AuditConfig.from_dict(dict(result.config))
    n_train = int(result.data["n_train"])
    batches = math.ceil(n_train / min(config.training.batch_size, n_train))
    return len(epsilons) * config.models * config.training.epochs * batches


def private_rows(
    config: AuditConfig, *, epsilons: Sequence[float] = EPSILONS, progress: Progress = silent
) -> tuple[QuantizerRow, ...]:
    """Train the heads of `config` under DP-SGD and measure them as released models in full precision.

    Direction: a smaller epsilon is the stronger guarantee; (epsilon, delta) bounds the advantage of every attack by
    (e^epsilon - 1 + 2 delta) / (e^epsilon + 1), also of those not run.
    """
    if config.game != "pool":
        raise InvalidInput(f"The yardstick trains models, so it is of the game pool. Found game {config.game}.")
    samples, config = prepare(config)
    samples = asked(config, samples).pool
    members = halves(samples, config.replicates, seed=config.seed)
    reference = _plain_table(config, samples, members)
    rows = []
    for epsilon in epsilons:
        private = PrivateTraining(epsilon=epsilon)
        mlp, weights, spent = train_private(
            samples, members, config.training, private, seed=config.seed, progress=progress
        )
        table = with_numbers(evaluate(mlp, weights, samples, members, quantizer=private.spec()), weights, samples)
        size = Identity().size(weights)
        known = {"size": size, "config": config, "features": samples.inputs}
        row = measure(private, table, reference, **known)  # type: ignore[arg-type]
        rows.append(_finished(row, private.describe(int(members.sum(1).max()), config.training), spent))
    return tuple(rows)


def _plain_table(config: AuditConfig, samples: Samples, members: Bools) -> LossTable:
    """Losses of the ordinary heads in full precision, on the same halves."""
    parts = []
    for which in chunks(samples, len(members), config.training):
        model, checkpoints = train(samples, members[which], config.training, seed=config.seed, first=which.start)
        parts.append(evaluate(model, checkpoints.last(), samples, members[which]))
    return LossTable.stack(parts)


def _finished(row: QuantizerRow, said: str, spent: float) -> QuantizerRow:
    """State the guarantee; take out what has no meaning for a row that is no quantizer."""
    measures = {name: value for name, value in row.measures.items() if name not in ("distortion", "correlation")}
    measures |= {name: ONE_CANDIDATE for name in ("r", "n_r", "asymptotic") if name in measures}
    if math.isfinite(spent):
        said += f" Spent: ε={spent:.3f}."
    return replace(row, measures=measures, flags=(*row.flags, Flag("dp-sgd", said)))
