"""Variants of the forecast and of the attack on few models that `benchmarks.fidelity.tried` compares with those shipped."""

import numpy as np
from scipy import special

from leaq.attacks import forecast as shipped
from leaq.attacks import hierarchical
from leaq.attacks.decisions import pairs_of
from leaq.attacks.few import attacked, thinned, usable
from leaq.attacks.shadows import InOut, Shadows
from leaq.attacks.signals import normalised
from leaq.measures.distortion import correlation, distortion
from leaq.stats.roc import auc
from leaq.types import Bools, Floats, LossTable

LEAST = 0.02
"""Least share that a logarithm is taken of."""
HALF = 0.5
"""Share of a record's own number in what is taken for it, the rest being the mean of all."""


def forecasts(tables: list[LossTable]) -> dict[str, Floats]:
    """Return what each variant says of the advantage of 64 models, (q,); full precision is the first table."""
    few = [thinned(usable(table)[0]) for table in tables]
    each = [shipped._Found.of(attacked(table), table.task, ()) for table in few]
    own, doubt = np.stack([one.own for one in each]), shipped.DOUBT[each[0].kind[0]]
    before = shipped._deviations(few[0])
    rho = np.array([shipped._kept(shipped._deviations(table), before) for table in few])
    mean, pairs = own.mean(1), own.shape[1]
    curve = shipped._advantage(shipped._curve(mean, np.log(rho)))
    rest = mean - curve
    plain = np.clip([correlation(table, tables[0], draws=2).value for table in tables], LEAST, 1)
    moved = np.array([distortion(table, tables[0], draws=2).value for table in tables])
    apart = own - mean[:, None]
    shared = apart - apart.mean(0)
    paired = apart - apart[:1]
    noise = [(one**2).sum(1) / (pairs - 1) / pairs for one in (shared, paired)]
    tv = np.array([_total_variation(table, few[0]) for table in few])
    z = {
        "as it is": shipped._joined(own, rho, doubt),
        "own": shipped._distance(mean),
        "curve": shipped._distance(curve),
        "correlation": shipped._joined(own, plain, doubt),
        "distortion": shipped._joined(own, np.clip(1 / np.sqrt(1 + moved), LEAST, 1), doubt),
        "each noise": _shrunk(curve, rest, doubt * (HALF * noise[0] + HALF * noise[0].mean())),
        "paired": _shrunk(curve, rest, doubt * noise[1]),
        "tv": shipped._distance(tv),
        "tv curve": shipped._joined(own, np.clip(tv / max(tv[0], LEAST), LEAST, 1), doubt),
    }
    factor = each[0].factor(shipped.MODELS)
    return {name: shipped._advantage(value * factor) for name, value in z.items()}


def _shrunk(curve: Floats, rest: Floats, noise: Floats) -> Floats:
    kept = np.clip(1 - noise / max(float((rest**2).mean()), 1e-12), 0, 1)
    return shipped._distance(curve + kept * rest)


def _total_variation(table: LossTable, full: LossTable) -> float:
    """Return the mean over records of TV(N(mu_in, s^2 + q^2), N(mu_out, s^2 + q^2)).

    The shift is cross-fitted: the geometric mean of two halves of the models in full precision where they agree in
    sign. s^2 is its variance between models, q^2 that of what quantization does to a record.
    """
    signals, members = normalised(full), full.members
    half = len(signals) // 4 * 2
    first, second = (_shift(signals[part], members[part]) for part in (slice(0, half), slice(half, None)))
    agreed = np.sign(first * second) * np.sqrt(np.abs(first * second))
    known = _everyone(signals, members)
    between = (known.square_in + known.square_out) / np.maximum(known.count_in + known.count_out - 2, 1)
    noise = normalised(table) - signals
    added = ((noise - noise.mean(0)) ** 2).sum(0) / (len(noise) - 1)
    shift, between, added = (HALF * one + HALF * one.mean() for one in (agreed, between, added))
    return float((2 * special.ndtr(np.abs(shift) / np.sqrt(between + added) / 2) - 1).mean())


def borrowed(table: LossTable, full: LossTable) -> tuple[float, float]:
    """Return the advantage of the hierarchical attack on each model, without borrowing and with it.

    Borrowing, a record's expected shift is the curve plus the excess that the same shadow models show in full
    precision, times a slope that is fitted across two halves of the shadows: no noise is in both.
    """
    signals, before, members = normalised(table), normalised(full), table.members
    pairs, found = pairs_of(members), []
    for target, pair in enumerate(pairs):
        shadows = pairs != pair
        known = _everyone(signals[shadows], members[shadows])
        slope = _slope(signals[shadows], before[shadows], members[shadows])
        excess = slope * _excess(_everyone(before[shadows], members[shadows]))
        ways = (hierarchical.predictive(known), _with_prior(known, excess))
        found.append([auc(one.log_ratio(signals[target]), members[target]) for one in ways])
    areas = np.clip(np.mean(found, axis=0), 1e-6, 1 - 1e-6)
    without, with_ = shipped._advantage(np.sqrt(2) * special.ndtri(areas))
    return float(without), float(with_)


def _with_prior(known: InOut, excess: Floats) -> hierarchical.Predictive:
    """Fit the hierarchy to shadows whose shifts had the excess taken off, and give it back to the means."""
    less = InOut(
        known.mean_in - excess / 2, known.mean_out + excess / 2, known.square_in, known.square_out, known.count_in,
        known.count_out,
    )  # fmt: skip
    found = hierarchical.predictive(less)
    return hierarchical.Predictive(
        found.mean_in + excess / 2, found.mean_out - excess / 2, found.variance_in, found.variance_out,
        found.freedom_in, found.freedom_out,
    )  # fmt: skip


def _excess(known: InOut) -> Floats:
    """Return by how much each record is expected to be moved more than records of its level."""
    found = hierarchical.predictive(known)
    shift = found.mean_in - found.mean_out
    splines = hierarchical.Splines(((known.mean_in + known.mean_out) / 2)[None])
    return np.asarray(shift - splines.smoothed(shift[None], np.ones((1, len(shift))))[0])


def _slope(after: Floats, before: Floats, members: Bools) -> float:
    half = len(after) // 4 * 2
    over = under = 0.0
    for one, other in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
        moved, first, second = (
            shift - shift.mean()
            for shift in (
                _shift(after[one], members[one]), _shift(before[one], members[one]), _shift(before[other], members[other])
            )
        )  # fmt: skip
        over, under = over + float((moved * second).sum()), under + float((first * second).sum())
    return float(np.clip(over / under, 0, 2)) if under > 0 else 0.0


def _shift(signals: Floats, members: Bools) -> Floats:
    known = _everyone(signals, members)
    return known.mean_in - known.mean_out


def _everyone(signals: Floats, members: Bools) -> InOut:
    """Return the statistics of each record over all models given, (n,)."""
    return Shadows(signals, members, own=()).everyone()
