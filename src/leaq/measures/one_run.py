"""Which records one recorded training run exposes most, without any other model.

A record is exposed where training on it moves the model's answer. One run shows a shadow of that: how long its loss
stayed high, and how far it lies from the records that could have stood in for it. Five features of the members, each as
normal scores of its ranks, are weighed by one frozen table a task:

    trace        mean loss over the recorded checkpoints
    log trace    mean of its logarithm
    early        mean loss over the first quarter of them
    near         distance of the inputs to the nearest other member
    strange      difference of the label from those of the five nearest members

`WEIGHTS` were fitted once, by ridge regression of the normal scores of the combined attack's risk on these features,
in 8 classifications and 4 regressions among the development settings (``benchmarks.fidelity.weights``), and are
frozen. How well the order agrees with the attack's in other settings is in docs/fidelity.md.

Own method; the interquartile range of the loss trace, LT-IQR, is that of arXiv 2411.05743v3.
"""

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.lazy import special
from leaq.types import Estimate, Floats, Task

FEATURES = ("trace", "log trace", "early", "near", "strange")
WEIGHTS: Mapping[Task, tuple[float, ...]] = MappingProxyType(
    {"classification": (0.076, 0.319, 0.086, 0.288, 0.193), "regression": (0.299, 0.07, 0.13, 0.372, 0.121)}
)
"""One a feature, in the order of `FEATURES`."""
AGREES = Estimate(
    0.91, 0.79, 1.04, 21, 0.95, "settings", "rank correlation with the attack's risk over its repetition's"
)
"""How well such an order agreed with the attack's own in settings not used for it; above 1 where that one is noisy."""
WORST = 0.40
"""The same in the setting where it agreed least."""
FEWEST = 50
NEIGHBOURS = 5
TINY = 1e-6
ROWS = 2**22
"""Distances held at once."""


def record_risk(losses: Floats, inputs: Floats, targets: npt.ArrayLike, task: Task) -> Floats:
    """Rank the members of one recorded run by how exposed they are expected to be, (n,).

    Direction: larger is more exposed. Range: (0, 1), the share of members expected to be less exposed. It is an order,
    and tells nothing of the level: the most exposed record of a model that leaks nothing is not exposed. Do not trust
    single records.

    Parameters
    ----------
    losses : (c, n) loss of each member at the recorded checkpoints, in order.
    inputs : (n, ...) what the model is given of them.
    targets : (n,) class codes or values.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 50 members or 4 checkpoints.
    InvalidInput
        If shapes do not match or a loss is not finite.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> inputs = np.r_[rng.normal(size=(80, 3)), [[9.0, 9.0, 9.0]]]
    >>> losses = np.r_[np.full(80, 0.1), 2.0] * np.linspace(1, 0.5, 6)[:, None]
    >>> risk = record_risk(losses, inputs, np.r_[np.zeros(80, int), 1], "classification")
    >>> int(risk.argmax()), round(float(risk.max()), 2)
    (80, 0.99)
    """
    return np.asarray(_shares(run_features(losses, inputs, targets, task) @ np.array(WEIGHTS[task])))


def run_features(losses: Floats, inputs: Floats, targets: npt.ArrayLike, task: Task) -> Floats:
    """Return the normal scores of the features of each member, (n, 5); see `record_risk`."""
    losses, labels = np.asarray(losses, dtype=np.float64), np.asarray(targets)
    flat = np.asarray(inputs, dtype=np.float64).reshape(len(inputs), -1)
    if losses.ndim != 2 or losses.shape[1] != len(labels) or len(flat) != len(labels):
        raise InvalidInput(
            "record_risk: losses (c, n), inputs (n, ...) and targets (n,) must be of the same records. "
            f"Found {losses.shape}, {flat.shape} and {labels.shape}."
        )
    if not np.isfinite(losses).all():
        raise InvalidInput(
            f"record_risk: losses must be finite. Found {int((~np.isfinite(losses)).sum())} that are not."
        )
    if len(labels) < FEWEST or len(losses) < 4:
        raise NotEnoughEvidence(
            f"Risk from one run needs at least {FEWEST} members and 4 checkpoints. "
            f"Found {len(labels)} and {len(losses)}. Record more often."
        )
    near, who = _nearest(flat)
    if task == "regression":
        values = labels.astype(np.float64)
        strange = np.abs(values - values[who].mean(1))
    else:
        strange = (labels[who] != labels[:, None]).mean(1)
    unit = max(float(losses.mean()), 1e-300)
    features = (
        losses.mean(0),
        np.log(losses.clip(0) / unit + TINY).mean(0),
        losses[: max(1, len(losses) // 4)].mean(0),
        near,
        strange,
    )
    return np.stack([special.ndtri(_shares(one)) for one in features], axis=1)


def baselines(losses: Floats) -> dict[str, Floats]:
    """Return the published orders of members by one run's losses (c, n), each (n,); larger is more exposed.

    LT-IQR is that of arXiv 2411.05743v3. The last loss is the vulnerability score it is compared with there.
    """
    return {"LT-IQR": lt_iqr(losses), "last loss": np.asarray(losses[-1])}


def lt_iqr(losses: Floats) -> Floats:
    """Return the interquartile range of each record's loss over the recorded checkpoints, (c, n) -> (n,).

    Direction: larger is more exposed. Source: arXiv 2411.05743v3; a published baseline of `record_risk`.
    """
    high, low = np.quantile(losses, [0.75, 0.25], axis=0)
    return np.asarray(high - low)


def _shares(values: Floats) -> Floats:
    """Return mid-ranks as shares in (0, 1)."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray(((ends - counts / 2)[inverse]) / len(values))


def _nearest(inputs: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return the distance to the nearest other record, (n,), and the nearest few, (n, k); columns standardised."""
    spread = inputs.std(0)
    x = (inputs - inputs.mean(0)) / np.where(spread > 0, spread, 1.0)
    squares = (x**2).sum(1)
    near, who = np.empty(len(x)), np.empty((len(x), NEIGHBOURS), dtype=np.int64)
    step = max(1, ROWS // len(x))
    for start in range(0, len(x), step):
        part = np.arange(start, min(start + step, len(x)))
        apart = np.maximum(squares[part, None] + squares - 2 * x[part] @ x.T, 0.0)
        apart[np.arange(len(part)), part] = np.inf
        who[part] = np.argpartition(apart, NEIGHBOURS, axis=1)[:, :NEIGHBOURS]
        near[part] = np.sqrt(apart.min(1))
    return near, who
