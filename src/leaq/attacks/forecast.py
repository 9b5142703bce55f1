"""What the combined attack would find with many shadow models, forecast from a few replicates under every quantizer.

Two things are known of a few replicates that are quantized in many ways:

    own     what an attack on the replicates themselves finds, each attacked with the others as shadows. It knows the
            level, too low by what few shadows cost, and ranks quantizers noisily
    rho     how much of what sets one replicate apart from the others survives quantization: the correlation of its
            deviations from the mean of the replicates with those in full precision. It ranks, and knows no level

One curve through all quantizers of an audit joins them. With z the distance between two unit normals that an advantage
of 2 Phi(z / 2) - 1 stands for,

    z_q = exp(a + b log rho_q + c (log rho_q)^2),    b and c near what they were in the development settings

is fitted to all `own` at once; each quantizer keeps the share of its distance from the curve that is more than noise
(empirical Bayes over quantizers; the noise is what pairs of replicates disagree by). The cost of few shadows is a
factor on z, fixed on the development settings; docs/fidelity.md holds what the forecast misses in others.

Own method. The attack forecast is `combined(sees=outputs)`.

An audit trains a few models anyway. With too few of them for the attack the forecast is all there is to say about it;
with enough, both are shown, and the difference tells what more shadow models are expected to add.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from leaq.attacks.combined import Combined
from leaq.attacks.few import Attacked, attacked, expected_separation, thinned, usable
from leaq.attacks.signals import normalised
from leaq.errors import NotEnoughEvidence
from leaq.lazy import special
from leaq.stats.intervals import normal_quantile, t_quantile
from leaq.stats.roc import auc, tpr_at_fpr
from leaq.types import AttackResult, Estimate, Flag, Floats, LossTable, NotComputed

MODELS = 64
"""Models of the audit that is forecast, unless told otherwise."""

COST = {
    ("combined", "classification"): 0.00,
    ("combined", "regression"): 0.51,
    ("few", "classification"): 0.40,
    ("few", "regression"): 0.60,
}
"""Logarithm of the factor on z that few shadows cost, times their number: (attack on the replicates, task)."""
SLOPE, BEND = (1.33, 0.3), (0.0, 0.3)
"""Mean and spread of the curve's b and c in the development settings, full precision being rho = 1."""
NOISE = 0.015
"""Error of an `own` that the curve is fitted with, and beside which the priors count."""
DOUBT = {"combined": 2.0, "few": 4.0}
"""How often the noise that pairs of replicates show is taken: they share records and shadows, so that it is more."""
MISS = {"combined": (0.03, 0.015), "few": (0.05, 0.03)}
"""Standard deviations of what a forecast missed by in the development settings: of log z, and of the advantage."""
TAIL = {"combined": 1.1, "few": 0.25}
"""What few shadows cost the true-positive rate beyond the advantage: share of the slope below, times their number."""
OFFSET, STEEPNESS = (0.13, 0.3), (1.0, 0.3)
"""Mean and spread of alpha, beyond that of blind guessing, and of beta in Phi^-1(TPR) = alpha + beta z."""
ROUGH = 0.15
"""Error of a Phi^-1(TPR) measured on the replicates."""
SETTINGS = 13
"""Development settings that what forecasts from fewer than 8 replicates missed by is known from."""
UNSURE = 0.08
"""Half width of an interval from which a forecast is flagged."""
FEW = Flag(
    "few-replicates",
    "Do not trust a forecast from fewer than 8 replicates: in 23 settings not used for it, it missed by 0.03 on "
    "average, and by more than 0.08 in 3 of 100 rows. Train 8 (--replicates 8): they missed by 0.016.",
)
STEPS, HALVINGS = 50, 20
HIGHEST = 0.9995
"""Advantages above it are taken for it: no distance is infinite."""
METHOD = "what such forecasts missed by, or replicates or signals disagree by, whichever is more"
SMALLEST = 0.02
"""Least correlation, and least z, that a logarithm is taken of."""


@dataclass(frozen=True)
class Forecast:
    """What the combined attack of who sees the outputs is expected to find with many shadow models.

    Attributes
    ----------
    advantage, tpr : forecast with interval; a TPR that would rest on fewer than 10 false positives is not given.
    risk : (n,) expected distance of each record's signals in and out of training, in standard deviations; NaN for
        records no replicate trained on. Larger is more exposed.
    own : advantage found on the replicates themselves, each attacked with the others as shadows.
    flags : doubts about this forecast.
    """

    advantage: Estimate
    tpr: Mapping[float, Estimate | NotComputed]
    risk: Floats
    own: float
    flags: tuple[Flag, ...] = ()


def forecasts(  # noqa: PLR0913 - what a forecast is made of
    tables: Mapping[str, LossTable],
    *,
    full: str | None = None,
    models: int = MODELS,
    fprs: tuple[float, ...] = (0.01,),
    level: float = 0.95,
    seed: int = 0,
    scores: Mapping[str, Floats] | None = None,
) -> dict[str, Forecast]:
    """Tell what the combined attack would find under each quantizer with many shadow models, from a few replicates.

    Direction: smaller is safer. Range: advantage in [0, 1].
    Interval: what forecasts missed by in the development settings, or what pairs of replicates disagree by if that is
    more. Do not trust when: flagged unsure. It forecasts one attack, and a stronger one may exist.

    Parameters
    ----------
    tables : the same replicates under each quantizer, with scores (s, n); every record in for some and out for others
        in either half of them (paired halves of one pool do that with s = 4, 6, 8, ...).
    full : which of them is full precision; without it nothing is borrowed between quantizers.
    models : models of the audit that is forecast.
    scores : of the combined attack of who sees the outputs, by table, where it was run on all of its models.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 replicates or 50 records, or the halves do not cover the records.
    """
    few = {name: thinned(usable(table)[0], seed=seed) for name, table in tables.items()}
    ran = {name: attacked(table, seed=seed, scores=(scores or {}).get(name)) for name, table in few.items()}
    found = {name: _Found.of(one, few[name].task, fprs) for name, one in ran.items()}
    rho = None
    if full is not None and len(few) > 2:
        before = _deviations(few[full])
        rho = np.array([_kept(_deviations(table), before) for table in few.values()])
    doubt = DOUBT[next(iter(found.values())).kind[0]]
    z = _joined(np.stack([one.own for one in found.values()]), rho, doubt)
    measured = {fpr: np.array([one.tpr[fpr] for one in found.values()]) for fpr in fprs}
    made = {}
    for i, (name, one) in enumerate(found.items()):
        expected = z[i] * one.factor(models)
        values = np.array([_advantage(expected), *one.interval(expected, level)])
        flags = _warnings(values, few=one.kind[0] == "few", several=bool(tables[name].by_task))
        rest = Estimate(0.0, 0.0, 0.0, one.models, level, "replicates", METHOD, flags)
        tpr: dict[float, Estimate | NotComputed] = {}
        for fpr in fprs:
            trials = models * one.outside
            reason = f"TPR at {fpr:.1%} FPR would rest on {trials * fpr:.0f} false positives. Bring more records."
            line = _line(z, measured[fpr], fpr)
            ends = line[0] + line[1] * one.steeper(models) * _distance(values)
            tpr[fpr] = _estimate(special.ndtr(ends), rest) if trials * fpr >= 10 else NotComputed(reason)
        made[name] = Forecast(_estimate(values, rest), tpr, forecast_risk(tables[name]), float(one.own.mean()), flags)
    return made


def forecast(
    table: LossTable,
    *,
    models: int = MODELS,
    fprs: tuple[float, ...] = (0.01,),
    level: float = 0.95,
    seed: int = 0,
) -> Forecast:
    """Tell what the combined attack would find under one quantizer: `forecasts` with nothing to borrow from.

    Raises
    ------
    NotEnoughEvidence
        As `forecasts`.
    """
    return forecasts({"": table}, models=models, fprs=fprs, level=level, seed=seed)[""]


def forecast_risk(table: LossTable) -> Floats:
    """Tell how exposed each record will be: expected distance of its signals in and out, in standard deviations, (n,).

    Direction: larger is more exposed. Range: [0, inf), NaN for records that no replicate trained on. Do not trust
    single records: docs/fidelity.md tells how well their order agrees with the attack's own.

    Raises
    ------
    NotEnoughEvidence
        As `forecasts`.
    """
    few, pool = usable(table)
    risk = np.full(len(pool), np.nan)
    risk[pool] = expected_separation(few)
    return risk


@dataclass(frozen=True)
class _Found:
    """What the attack on the replicates found under one quantizer.

    Attributes
    ----------
    kind : the attack, and the task; several targets count as a classification.
    outside : non-members of a replicate.
    own : (pairs,) advantage by pair of complementary replicates.
    apart : by how much the signals disagree that are looked at by themselves.
    tpr : by false-positive rate.
    """

    kind: tuple[str, str]
    models: int
    outside: float
    own: Floats
    apart: float
    tpr: Mapping[float, float]

    @classmethod
    def of(cls, attack: Attacked, task: str, fprs: tuple[float, ...]) -> "_Found":
        """Advantages come from the area under the curve: it is steadier than the best threshold."""
        members = attack.members
        areas = np.array([[auc(*one) for one in zip(scores, members, strict=True)] for scores in attack.scores])
        areas = areas - 2 * (1 - areas) * attack.blind[:, None]  # what is certain owes nothing to chance
        each = _advantage(np.sqrt(2) * special.ndtri(areas.clip(1e-6, 1 - 1e-6)))
        apart, each = float(np.ptp(each.mean(1))), each.mean(0)
        own = np.array([each[attack.pairs == pair].mean() for pair in np.unique(attack.pairs)])
        tpr = {f: float(np.mean([tpr_at_fpr(s.ravel(), members.ravel(), f) for s in attack.scores])) for f in fprs}
        kind = (attack.attack, "regression" if task == "regression" else "classification")
        return cls(kind, len(members), float((~members).sum(1).mean()), own, apart, tpr)

    def factor(self, models: int) -> float:
        """Return what more shadows multiply z with."""
        return float(np.exp(COST[self.kind] * self._fewer(models)))

    def steeper(self, models: int) -> float:
        """Return what more shadows multiply the true-positive rate's slope in z with."""
        return 1 + TAIL[self.kind[0]] * self._fewer(models)

    def _fewer(self, models: int) -> float:
        return max(0.0, 1 / (self.models - 2) - 1 / max(1, models - 2))

    def interval(self, z: float, level: float) -> tuple[float, float]:
        """Return the ends of the interval around a forecast."""
        relative, absolute = MISS[self.kind[0]]
        disagree = float(self.own.std(ddof=1)) / np.sqrt(len(self.own))
        few = self.kind[0] == "few"
        reach = t_quantile(level, SETTINGS - 1) if few else normal_quantile(level)
        slope = z * np.exp(-(z**2) / 8) / np.sqrt(2 * np.pi)  # of the advantage in log z
        half = max(reach * float(np.hypot(relative * slope, absolute)), reach * disagree, self.apart / 2)
        return max(0.0, float(_advantage(z)) - half), min(1.0, float(_advantage(z)) + half)


def _deviations(table: LossTable) -> Floats:
    """Return what sets each replicate apart from their mean, (s, n): a move that all make is none of it."""
    signals = normalised(table)
    return np.asarray(signals - signals.mean(0))


def _kept(after: Floats, before: Floats) -> float:
    """Return the correlation of deviations after quantization with those before."""
    scale = float(np.sqrt((after**2).sum() * (before**2).sum()))
    return float(np.clip((after * before).sum() / scale, SMALLEST, 1.0)) if scale > 0 else SMALLEST


def _joined(own: Floats, rho: Floats | None, doubt: float) -> Floats:
    """Return z of each quantizer, (q,): its own, drawn to the curve through all by how noisy it is.

    Parameters
    ----------
    own : (q, pairs) advantages found on the replicates.
    rho : (q,) what is kept of deviations; without it z is each quantizer's own.
    """
    mean = own.mean(1)
    if rho is None:
        return _distance(mean)
    curve = _advantage(_curve(mean, np.log(rho)))
    rest = mean - curve
    apart = own - mean[:, None]
    apart = apart - apart.mean(0)  # what a pair has more of under every quantizer moves the level, not the order
    pairs = own.shape[1]
    noise = (apart**2).sum() / ((pairs - 1) * max(1, len(own) - 2)) / pairs
    kept = max(0.0, 1 - doubt * noise / max(float((rest**2).mean()), 1e-12))
    return _distance(curve + kept * rest)


def _curve(own: Floats, log_rho: Floats) -> Floats:
    """Fit z = exp(a + b log rho + c log(rho)^2) to advantages by penalised Gauss-Newton steps; return z, (q,)."""
    terms = np.stack([np.ones_like(log_rho), log_rho, log_rho**2], axis=1)
    centre = np.array([0.0, SLOPE[0], BEND[0]])
    penalty = np.diag([0.0, SLOPE[1] ** -2, BEND[1] ** -2])
    at = np.array([np.log(max(float(_distance(own.max())), SMALLEST)), SLOPE[0], BEND[0]])

    def misses(coefficients: Floats) -> tuple[float, Floats, Floats]:
        z = np.exp(np.clip(terms @ coefficients, -20, 3))
        rest = (own - _advantage(z)) / NOISE
        off = coefficients - centre
        return float(rest @ rest + off @ penalty @ off), rest, z

    loss, rest, z = misses(at)
    for _ in range(STEPS):
        slope = (z * np.exp(-(z**2) / 8) / np.sqrt(2 * np.pi) / NOISE)[:, None] * terms
        step = np.linalg.solve(slope.T @ slope + penalty + 1e-9 * np.eye(3), slope.T @ rest - penalty @ (at - centre))
        for _ in range(HALVINGS):
            new, *more = misses(at + step)
            if new <= loss:
                break
            step /= 2
        else:
            break
        at, loss, (rest, z) = at + step, new, more
    return z


def _line(z: Floats, tpr: Floats, fpr: float) -> tuple[float, float]:
    """Return alpha and beta of Phi^-1(TPR) = alpha + beta z through all quantizers, near what they usually are."""
    terms = np.stack([np.ones_like(z), z], axis=1)
    expected = np.array([float(special.ndtri(fpr)) + OFFSET[0], STEEPNESS[0]])
    penalty = np.diag([OFFSET[1] ** -2, STEEPNESS[1] ** -2])
    values = special.ndtri(np.clip(tpr, fpr / 3, 0.999))
    right = terms.T @ values / ROUGH**2 + penalty @ expected
    alpha, beta = np.linalg.solve(terms.T @ terms / ROUGH**2 + penalty, right)
    return float(alpha), float(beta)


def _advantage(z: "Floats | float") -> Floats:
    """Return the advantage of telling two unit normals z apart."""
    return np.asarray(2 * special.ndtr(np.asarray(z) / 2) - 1)


def _distance(advantage: "Floats | float") -> Floats:
    """Return the distance of two unit normals that are told apart with an advantage; 0 where it is negative."""
    return np.asarray(2 * special.ndtri((1 + np.clip(advantage, 0.0, HIGHEST)) / 2))


def _estimate(values: Floats, like: Estimate) -> Estimate:
    """Return value, low and high as an estimate that rests on what another does."""
    value, low, high = (float(one) for one in values)
    return replace(like, value=value, low=low, high=high)


def _warnings(values: Floats, *, few: bool, several: bool) -> tuple[Flag, ...]:
    half = float(values[2] - values[1]) / 2
    flags = [FEW] if few else []
    if half > UNSURE:
        text = f"it may be off by {half:.2f}. Train more replicates (--replicates 8 or more)."
        flags.append(Flag("unsure", f"Do not trust this forecast: {text}"))
    if several:
        flags.append(
            Flag("several-targets-forecast", "Forecasts were never checked where a record has several targets.")
        )
    return tuple(flags)


FORECAST = Combined(sees="outputs").spec()
"""The attack that is forecast."""
FPR = 0.01
GAP = "same models; the two intervals set against each other end to end, so that it is wider than its level says"
Number = Estimate | NotComputed


def audit_forecasts(
    tables: Mapping[str, LossTable],
    attacks: Mapping[str, Mapping[str, AttackResult | NotComputed]],
    *,
    full: str | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, dict[str, Number]]:
    """Return, by quantizer, what an audit says of the attack beforehand: "forecast", "forecast_tpr", "forecast_gap".

    ``forecast_gap``, given where the attack was run, is the forecast for 64 models minus what it found with those of
    the audit. Direction: nearer 0, less is expected of more models. Range: [-2, 2].

    Parameters
    ----------
    tables : released models by quantizer, with scores.
    attacks : what was run on each; only the combined attack of who sees the outputs is looked at.
    full : which of them is full precision; without it nothing is borrowed between quantizers.
    """
    runs = {name: mine.get(FORECAST) for name, mine in attacks.items()}
    scores = {n: one.scores for n, one in runs.items() if isinstance(one, AttackResult) and one.scores is not None}
    try:
        ahead = forecasts(tables, full=full, fprs=(FPR,), level=level, seed=seed, scores=scores)
    except NotEnoughEvidence as err:
        missing = NotComputed(str(err))
        return {name: {"forecast": missing, "forecast_tpr": missing} for name in tables}
    found: dict[str, dict[str, Number]] = {}
    for name, one in ahead.items():
        found[name] = {"forecast": one.advantage, "forecast_tpr": one.tpr[FPR]}
        run, said = runs.get(name), one.advantage
        if isinstance(run, AttackResult):
            ends = (said.value - run.advantage.value, said.low - run.advantage.high, said.high - run.advantage.low)
            found[name]["forecast_gap"] = Estimate(*ends, said.n, said.level, said.unit, GAP, said.flags)
    return found
