"""What the strongest attack would find, forecast from a few replicates and without its shadow models.

Every record is in for half of a few full-precision replicates and out for the others; quantizing them costs no
training. LiRA lives on how far a record's signal moves when it is trained on, against how much the signal varies
between models. Both are read off the replicates:

    g(o)      mean move of records whose signal, when held out, is o: moves from one half of the replicates, o from the
              other, so that their errors are independent (a running mean over records sorted by o)
    s_in, s_out   spread between models of records near o
    tau = SPREAD |g(o)|   spread of the moves around g(o), too small to be read off few replicates

An audit with 64 models is then simulated with these laws, and LiRA is run on it: its weaknesses (few shadows, one
variance for all records) are simulated with it. Own method; the attack is that of arXiv 2112.03570v2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from leaq.attacks.decisions import cross_fitted_decisions, signed, thresholds_by_others
from leaq.attacks.lira import online_scores
from leaq.attacks.signals import normalised
from leaq.errors import NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.intervals import percentile_interval
from leaq.stats.roc import tpr_at_fpr
from leaq.types import Bools, Estimate, Flag, Floats, Ints, LossTable, NotComputed

__all__ = ["SHADOWS", "Forecast", "forecast", "forecast_risk"]

SHADOWS = 64
"""Models of the audit that is forecast, unless told otherwise."""

SPREAD = 0.4
"""tau / |g|: between the values that miss the advantage and the TPR of the development settings of docs/fidelity.md
least (0.3 to 0.6). In proportion to the move: an easy record, which hardly moves, has no room to differ."""
CALIBRATED = (0.0, 0.6)
"""Range of advantages in the development settings; a forecast outside is an extrapolation and flagged."""
FEWEST = 4
FEWEST_RECORDS = 50
WINDOW = 41
"""Records in the running mean, at most a tenth of all."""
MOST_RECORDS = 4000
"""Records of a simulated audit at most; more would change the forecast by less than its interval."""
CHECKED = 16
"""Models of a simulated audit on which the loss-threshold attack is run, as a check."""
TOLERANCE = 0.05
"""Largest miss of the loss-threshold attack, which the replicates measure, before the forecast is flagged."""


@dataclass(frozen=True)
class Forecast:
    """What LiRA with `shadows` models is expected to find.

    Attributes
    ----------
    advantage, tpr : forecast with interval; a TPR that would rest on fewer than 10 false positives is not given.
    risk : (n,) expected effect size of each record (move over spread), NaN for records no replicate trained on.
    checked, measured : loss-threshold advantage in the simulated audit and in the replicates themselves.
    """

    advantage: Estimate
    tpr: Mapping[float, Estimate | NotComputed]
    risk: Floats
    checked: float
    measured: float
    flags: tuple[Flag, ...] = ()


def forecast(
    table: LossTable,
    *,
    shadows: int = SHADOWS,
    fprs: tuple[float, ...] = (0.01,),
    level: float = 0.95,
    seed: int = 0,
    draws: int = 12,
) -> Forecast:
    """Tell what LiRA with many equally quantized shadow models would find, from a few replicates.

    Direction: smaller is safer. Range: advantage in [-1, 1].
    Interval: records resampled, audits simulated anew, and widened by the miss of the loss-threshold attack; it does
    not cover that the replicates might be unusual.
    Do not trust when: flagged unchecked (the simulated audit misses the loss-threshold advantage the replicates
    measure) or outside-calibration. It forecasts one attack, and a stronger one may exist.

    Parameters
    ----------
    table : scores (s, n) of at least 4 replicates under one quantizer, every record in for some and out for others in
        either half of them (paired halves of one pool do that with s = 4, 6, 8, ...).
    shadows : models of the forecast audit.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 replicates or 50 records, or the halves do not cover the records.
    """
    signals, members, pool = _usable(table)
    rng = stream(seed, "forecast")
    laws = _laws(signals, members)
    audits = []
    for draw in range(draws + 1):
        rows = _rows(int(pool.sum()), rng, first=draw == 0)
        audits.append(_simulated_audit(laws.take(rows), shadows, fprs, kind=table.score_kind, rng=rng))
    measured = _threshold_advantage(signals, members, table.score_kind)
    values = np.array(audits)  # (draws + 1, 2 + fprs): advantage, threshold, TPRs
    centre = values.mean(0)
    miss = abs(float(centre[1]) - measured)
    n = len(signals)
    method = f"{draws} simulated audits of resampled records, widened by the miss of the threshold attack"

    def estimate(column: int, slack: float, top: float) -> Estimate:
        low, high = percentile_interval(values[1:, column], level=level)
        value = float(centre[column])
        return Estimate(
            value,
            max(-1.0, min(low, value) - slack),
            min(top, max(high, value) + slack),
            n,
            level,
            "replicates",
            method,
        )

    trials = shadows * float((~members).sum(1).mean())
    tpr: dict[float, Estimate | NotComputed] = {}
    for i, fpr in enumerate(fprs):
        enough = trials * fpr >= 10
        reason = f"TPR at {fpr:.1%} FPR would rest on {trials * fpr:.0f} false positives. Bring more records."
        tpr[fpr] = estimate(2 + i, miss * float(centre[2 + i]), 1.0) if enough else NotComputed(reason)
    flags = _doubts(float(centre[0]), float(centre[1]), measured)
    tpr = {fpr: item.flagged(*flags) if isinstance(item, Estimate) else item for fpr, item in tpr.items()}
    risk = _risk(laws, pool)
    return Forecast(estimate(0, miss, 1.0).flagged(*flags), tpr, risk, float(centre[1]), measured, flags)


def forecast_risk(table: LossTable) -> Floats:
    """Tell how exposed each record will be: expected distance of its signals in and out, in standard deviations, (n,).

    Direction: larger is more exposed. Range: [0, inf), NaN for records that no replicate trained on. Without the
    simulated audits of `forecast`, whose `risk` is the same. Do not trust single records: see docs/fidelity.md.

    Raises
    ------
    NotEnoughEvidence
        As `forecast`.
    """
    signals, members, pool = _usable(table)
    return _risk(_laws(signals, members), pool)


def _risk(laws: "_Laws", pool: Bools) -> Floats:
    risk = np.full(len(pool), np.nan)
    risk[pool] = np.abs(laws.move) / np.sqrt((laws.spread_in**2 + laws.spread_out**2) / 2)
    return risk


def _rows(n: int, rng: np.random.Generator, *, first: bool) -> Ints:
    """Draw the records of one simulated audit: all of them first, then resampled; never more than `MOST_RECORDS`."""
    if first and n <= MOST_RECORDS:
        return np.arange(n)
    return rng.integers(n, size=min(n, MOST_RECORDS))


@dataclass(frozen=True)
class _Laws:
    """Per record (n,): held-out level, mean move, spreads, tau; and standardised residuals to draw noise from."""

    level: Floats
    move: Floats
    spread_in: Floats
    spread_out: Floats
    tau: Floats
    noise_in: Floats
    noise_out: Floats

    def take(self, rows: "np.ndarray") -> "_Laws":
        return _Laws(
            self.level[rows], self.move[rows], self.spread_in[rows], self.spread_out[rows],
            self.tau[rows], self.noise_in, self.noise_out,
        )  # fmt: skip


def _usable(table: LossTable) -> tuple[Floats, Bools, Bools]:
    """Signals and members (s, m) on the records of the pool, and which records these are."""
    s = len(table.members) // 2 * 2
    if s < FEWEST:
        raise NotEnoughEvidence(
            f"A forecast needs at least {FEWEST} replicates. Found {len(table.members)}. Add --replicates."
        )
    members = table.members[:s]
    pool: Bools = np.asarray(members.any(0))
    halves = (members[: s // 4 * 2][:, pool], members[s // 4 * 2 :][:, pool])
    covered = all((half.any(0) & ~half.all(0)).all() for half in halves)
    if pool.sum() < FEWEST_RECORDS or not covered:
        raise NotEnoughEvidence(
            f"A forecast needs at least {FEWEST_RECORDS} records, each in for one and out for another replicate of "
            f"both halves. Found {int(pool.sum())} records. Train on paired halves of the pool."
        )
    return np.asarray(normalised(table)[:s][:, pool], dtype=np.float64), members[:, pool], pool


def _means(signals: Floats, members: Bools) -> tuple[Floats, Floats]:
    """Mean signal of each record over models that trained on it and over the others."""
    return (signals * members).sum(0) / members.sum(0), (signals * ~members).sum(0) / (~members).sum(0)


def _laws(signals: Floats, members: Bools) -> _Laws:
    half = len(signals) // 4 * 2
    parts = (slice(0, half), slice(half, None))
    inside, outside = zip(*[_means(signals[part], members[part]) for part in parts], strict=True)
    # The move comes from one part and what it is sorted by from the other: no noise is in both.
    moves = [running_mean(outside[1 - i], inside[i] - outside[i]) for i in range(2)]
    move = (moves[0] + moves[1]) / 2
    mean_in, mean_out = _means(signals, members)
    count_in, count_out = members.sum(0), (~members).sum(0)
    residual_in = (signals - mean_in) * np.sqrt(count_in / np.maximum(count_in - 1, 1))
    residual_out = (signals - mean_out) * np.sqrt(count_out / np.maximum(count_out - 1, 1))
    variance_in = running_mean(mean_out, (residual_in**2 * members).sum(0) / count_in)
    variance_out = running_mean(mean_out, (residual_out**2 * ~members).sum(0) / count_out)
    tiny = 1e-12 * max(1.0, float(np.var(signals)))
    spread_in, spread_out = np.sqrt(np.maximum(variance_in, tiny)), np.sqrt(np.maximum(variance_out, tiny))
    # Means of few models vary more than the levels they estimate: shrink them to the levels' own spread.
    noise = float(np.mean(variance_out / count_out))
    total = float(np.var(mean_out))
    shrink = np.sqrt(max(0.0, 1 - noise / total)) if total > 0 else 0.0
    return _Laws(
        level=mean_out.mean() + shrink * (mean_out - mean_out.mean()),
        move=move,
        spread_in=spread_in,
        spread_out=spread_out,
        tau=SPREAD * np.abs(move),
        noise_in=(residual_in / spread_in)[members],
        noise_out=(residual_out / spread_out)[~members],
    )


def running_mean(key: Floats, values: Floats) -> Floats:
    """Mean of `values` over the records nearest in the order of `key`, (n,); the window shrinks at the ends."""
    n = len(key)
    half = max(2, min(WINDOW, n // 10) // 2)
    order = np.argsort(key, kind="stable")
    sums = np.cumsum(np.r_[0.0, values[order]])
    low, high = np.maximum(np.arange(n) - half, 0), np.minimum(np.arange(n) + half + 1, n)
    result = np.empty(n)
    result[order] = (sums[high] - sums[low]) / (high - low)
    return result


def _simulated_audit(
    laws: _Laws, models: int, fprs: tuple[float, ...], *, kind: str, rng: np.random.Generator
) -> list[float]:
    """LiRA's and the loss threshold's advantage, and LiRA's TPRs, in one audit drawn from the laws."""
    n = len(laws.level)
    models = models // 2 * 2
    ranks = rng.permuted(np.tile(np.arange(n), (models // 2, 1)), axis=1)
    members = np.repeat(ranks < n // 2, 2, axis=0)
    members[1::2] = ~members[1::2]
    move = laws.move + laws.tau * rng.standard_normal(n)
    inside = laws.level + move + laws.spread_in * rng.choice(laws.noise_in, members.shape)
    outside = laws.level + laws.spread_out * rng.choice(laws.noise_out, members.shape)
    signals = np.where(members, inside, outside)
    attacked = range(0, len(members), 2)  # one of each pair: the other adds little
    scores = online_scores(signals, members, attacked)
    truth = members[::2]
    thresholds = thresholds_by_others(scores, truth)
    if thresholds is None:  # as `scoring` does with so few models
        decisions = cross_fitted_decisions(scores, truth, np.arange(n), seed=0)
    else:
        decisions = scores > thresholds[:, None]
    hits = signed(decisions, truth)
    tprs = [tpr_at_fpr(scores.ravel(), truth.ravel(), fpr) for fpr in fprs]
    return [float(hits.mean()), _threshold_advantage(signals[:CHECKED], members[:CHECKED], kind), *tprs]


def _threshold_advantage(signals: Floats, members: Bools, kind: str) -> float:
    """Signed advantage of a loss threshold (large margins, or small residuals), averaged over models."""
    scores = signals if kind == "margin" else -np.abs(signals)
    decisions = cross_fitted_decisions(scores, members, np.arange(signals.shape[1]), seed=0)
    return float(signed(decisions, members).mean())


def _doubts(advantage: float, checked: float, measured: float) -> tuple[Flag, ...]:
    flags = []
    if abs(checked - measured) > TOLERANCE:
        text = f"the simulated audit gives the loss threshold {checked:.2f}, the replicates measure {measured:.2f}"
        flags.append(Flag("unchecked", f"Do not trust this forecast: {text}."))
    if not CALIBRATED[0] <= advantage <= CALIBRATED[1]:
        text = f"The forecast was developed on advantages of {CALIBRATED[0]:.1f} to {CALIBRATED[1]:.1f}."
        flags.append(Flag("outside-calibration", text))
    return tuple(flags)
