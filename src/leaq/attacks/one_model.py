"""What the combined attack with shadow models would find, estimated from one model with its members and others.

Without shadow models an attacker has one number a record, its loss, and no idea which records are hard. What he finds
is too little, but by how much follows from few things. With z the distance between two unit normals that an area under
the ROC curve of the loss stands for, and l(z) = log(z + 0.05),

    l(z of the attack) = a + b [regression] + c l(z of the loss in full precision)
                         + d (l(z of the loss) - l(z of the loss in full precision)) + e log rho

where rho is the correlation of the members' margins or residuals with those in full precision: the part of an order of
quantizers that carries no noise of an attack. `COEFFICIENTS` were fitted once, on the development settings of Level B
(``benchmarks.fidelity.one_model``), and are frozen; `MISS` is what each of these was missed by when it was left out.
docs/fidelity.md tells what the estimate misses in other settings.

Own method. The attack estimated is `combined(sees=outputs)` with 64 models.
"""

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.lazy import special
from leaq.stats.intervals import t_quantile
from leaq.stats.roc import placements
from leaq.types import Bools, Estimate, Flag, Floats, LossTable

COEFFICIENTS = (0.58, -0.084, 0.664, 0.327, 0.16)
"""One a feature, in the order of the equation."""
MISS = 0.087
"""Standard deviation of what settings that were left out were missed by: of the advantage."""
SETTINGS = 13
"""Settings that both constants rest on."""
SEEN = (89, 250)
"""Records that models of these settings were trained on; more than twice away from it is flagged."""
FEWEST = 50
SMALLEST = 0.05
"""What is added to a z whose logarithm is taken: about the error of one from 500 records."""
LEAST = 0.02
"""Least correlation that a logarithm is taken of."""
CERTAIN = 1e-4
"""Areas are at least that far from 0 and 1: no distance is infinite."""
ROUGH = Flag(
    "one-model",
    "An estimate from one model is rough: in 23 settings not used for it, it missed the attack by 0.08 on average and "
    "by 0.14 in the worst. It is no attack and proves nothing; name the recipe, and the attack is run.",
)
METHOD = "one model; what such estimates missed by in settings left out, and the choice of records"


def from_one_model(table: LossTable, full: LossTable | None = None, *, level: float = 0.95) -> Estimate:
    """Estimate the advantage that the combined attack with 64 shadow models would find, from one model without any.

    Direction: smaller is safer. Range: [0, 1].
    Interval: what such estimates missed by in the development settings when each was left out (t, 12 degrees of
    freedom), and the choice of records. Do not trust when: members and non-members differ in more than membership, or
    the model was trained in a way the settings do not hold. It is an estimate and no attack: it proves no leak.

    Parameters
    ----------
    table : one model under one quantizer, with scores, losses of members and non-members.
    full : the same model and records in full precision; None if this is it.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 50 members or non-members, several targets, or no scores.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> members = (np.arange(400) < 200)[None]
    >>> margins = rng.normal(size=(1, 400)) + members
    >>> losses = np.logaddexp(0, -margins)[:, None]
    >>> table = LossTable(losses, members, "classification", "iid", 200, scores=margins, score_kind="margin")
    >>> found = from_one_model(table)
    >>> found.low < 0.5 < found.high
    True
    """
    found, error = features(table, full or table)
    middle = float(foretold(found, COEFFICIENTS))
    z = float(np.exp(found[2]) - SMALLEST)
    moved = np.log(np.maximum(z + np.array([-error, error]), 0.0) + SMALLEST) - found[2]
    ends = foretold(found + np.outer(moved, [0, 0, 1, 0, 0]), COEFFICIENTS)
    half = t_quantile(level, SETTINGS - 1) * float(np.hypot(MISS, np.ptp(ends) / 2))
    low, high = max(0.0, middle - half), min(1.0, middle + half)
    return Estimate(middle, low, high, table.members.shape[1], level, "records", METHOD, _warnings(table.n_train))


def features(table: LossTable, full: LossTable) -> tuple[Floats, float]:
    """Return the five features of one model, and the error of z of the loss in full precision.

    Raises
    ------
    NotEnoughEvidence
        As `from_one_model`.
    """
    members = table.members[0]
    fewest = int(min(members.sum(), (~members).sum()))
    if fewest < FEWEST:
        raise NotEnoughEvidence(
            f"An estimate from one model needs at least {FEWEST} members and as many others. Found {fewest}."
        )
    if table.scores is None or full.scores is None or table.by_task:
        raise NotEnoughEvidence(
            "An estimate from one model needs one class or value a record, under a loss that says what outputs mean."
        )
    before, error = _apart(full.released[0], members)
    after, _ = _apart(table.released[0], members)
    pair = np.stack([table.scores[0], full.scores[0]])[:, members]
    spread = pair.std(1)
    same = float(np.corrcoef(pair)[0, 1]) if (spread > 0).all() else 0.0
    base = np.log(max(before, 0.0) + SMALLEST)
    last = np.log(np.clip(same, LEAST, 1.0))
    return np.array([1.0, table.task == "regression", base, np.log(max(after, 0.0) + SMALLEST) - base, last]), error


def foretold(found: Floats, coefficients: "Floats | tuple[float, ...]") -> Floats:
    """Return the advantage that features (..., 5) stand for."""
    z = np.exp(found @ np.asarray(coefficients)) - SMALLEST
    return np.asarray(2 * special.ndtr(np.maximum(z, 0.0) / 2) - 1)


def distance(advantage: "Floats | float") -> Floats:
    """Return l(z) of an advantage."""
    z = 2 * special.ndtri((1 + np.clip(advantage, 0.01, 1 - 5 * CERTAIN)) / 2)
    return np.asarray(np.log(z + SMALLEST))


def _apart(losses: Floats, members: Bools) -> tuple[float, float]:
    """Return z of the area under the curve of the loss, and its standard error (DeLong)."""
    places = placements(-losses, members)
    inside, outside = places[members], places[~members]
    area = float(np.clip(inside.mean(), CERTAIN, 1 - CERTAIN))
    error = float(np.sqrt(inside.var(ddof=1) / len(inside) + outside.var(ddof=1) / len(outside)))
    z = np.sqrt(2) * float(special.ndtri(area))
    return float(z), error * np.sqrt(2) * float(np.sqrt(2 * np.pi) * np.exp(z**2 / 4))


def _warnings(n_train: int) -> tuple[Flag, ...]:
    low, high = SEEN
    if low / 2 <= n_train <= 2 * high:
        return (ROUGH,)
    text = (
        f"Do not trust the estimate from one model: it was calibrated on models trained on {low} to {high} records, "
        f"and this one was trained on {n_train:,}. Name the recipe, and the attack is run."
    )
    return (ROUGH, Flag("one-model-far", text))
