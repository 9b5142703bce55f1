"""The DP-SGD baseline: what differential privacy costs and buys on the same data, beside what quantization does.

The heads of an audit are trained again with DP-SGD at several epsilons, on the same halves of the records, and measured
by the same attacks; the rows join those of the quantizers in every table and figure. Where there are public records,
linear heads by differentially private least squares stand beside them at the same epsilons.
"""

import math
from dataclasses import replace
from functools import partial

from leaq.evaluation.loss_table import loss_table
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.measuring import measure, with_forecasts
from leaq.pipeline.planning import Asked
from leaq.quantizers import Identity
from leaq.results import QuantizerRow
from leaq.training.private import PrivateTraining, train_private
from leaq.training.squares import PrivateSquares, train_squares
from leaq.types import Flag, LossTable, NotComputed, Progress, silent

Private = PrivateTraining | PrivateSquares
ONE_CANDIDATE = NotComputed("A DP-SGD model is no choice among quantized candidates.")


def optimizer_steps(config: AuditConfig, n_train: int) -> int:
    """Return how many optimizer steps the baseline of an audit takes, on average over Poisson batches.

    Examples
    --------
    >>> optimizer_steps(AuditConfig(source="wine", dp_sgd=("1", "8"), replicates=4, training={"epochs": 3}), 89)
    72
    """
    batches = math.ceil(n_train / min(config.training.batch_size, n_train))
    return len(config.dp_sgd) * config.models * config.training.epochs * batches


def private_rows(
    config: AuditConfig, todo: Asked, reference: LossTable, *, progress: Progress = silent
) -> tuple[QuantizerRow, ...]:
    """Train the heads of an audit under DP-SGD and measure them as released models in full precision.

    Direction: a smaller epsilon is the stronger guarantee; (epsilon, delta) bounds the advantage of every attack by
    (e^epsilon - 1 + 2 delta) / (e^epsilon + 1), also of those not run.

    Parameters
    ----------
    reference : losses of the ordinary heads in full precision, on the same halves: what a drop is from.
    """
    samples, members = todo.pool, todo.members
    rows = []
    trainings: list[Private] = [PrivateTraining(epsilon=float(text)) for text in config.dp_sgd]
    if samples.public is not None:
        trainings += [PrivateSquares(epsilon=float(text)) for text in config.dp_sgd]
    for private in trainings:
        if isinstance(private, PrivateSquares):  # no accountant counts what is spent
            mlp, weights = train_squares(samples, members, config.training, private, seed=config.seed)
            spent = math.inf
        else:
            mlp, weights, spent = train_private(
                samples, members, config.training, private, seed=config.seed, progress=progress
            )
        wanted = partial(loss_table, quantizer=private.spec(), numbers=True, codes=config.beside_losses["codes"])
        table = todo.of_pool(wanted(mlp, weights, todo.judged, todo.judged_members))
        row = measure(
            private,  # type: ignore[arg-type]  # has a specification, a label and flags, and is applied to nothing
            table, reference.released_only(), size=Identity().size(weights), config=config,
            features=todo.features,
        )  # fmt: skip
        row = with_forecasts([row], {row.quantizer: (table, row.size)}, config)[0]
        rows.append(_finished(row, private.describe(int(members.sum(1).max()), config.training), spent))
    return tuple(rows)


def _finished(row: QuantizerRow, said: str, spent: float) -> QuantizerRow:
    """State the guarantee; take out what has no meaning for a row that is no quantizer."""
    measures = {name: value for name, value in row.measures.items() if name not in ("distortion", "correlation")}
    measures |= {name: ONE_CANDIDATE for name in ("r", "n_r", "asymptotic") if name in measures}
    if math.isfinite(spent):
        said += f" Spent: ε={spent:.3f}."
    return replace(row, measures=measures, flags=(*row.flags, Flag("dp-sgd", said)))
