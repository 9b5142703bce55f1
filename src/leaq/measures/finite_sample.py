"""Leak of an empirical minimiser among the given candidates at this number of training records, not asymptotically.

    G = A(z_2) + ... + A(z_n)            what the other n - 1 records add up to, per candidate
    p_k(z) = P(argmin_k G_k + A_k(z))    the law of the chosen candidate when z is a member
    leak_n = mean_z 1/2 sum_k |p_k(z) - pbar_k|

with A the losses less those of the best candidate, on records that trained no candidate. The other records are drawn
from these with replacement, so that G keeps the shape of their losses; the records standing for P is the only
approximation. The order of candidates, their number and ties need no care. In the pool game (members are a random
half of N known records) they are drawn without replacement, and a member's law is compared with a non-member's.

When n r is small, exp(-n r) misranks and this does not.

Own method; leak_n is that of Aubinais, Gassiat, Piantanida (arXiv 2310.13786).

Membership inference security of a set of candidates is 1 minus that.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.argmin_counts import ArgminCounter, Bracket, batch_error, difference_bracket, leak_by_signs, parts_of
from leaq.measures.loss_gaps import check_losses, distinct_candidates, sorted_set
from leaq.measures.rate import RateResult, rate
from leaq.measures.resampled_sums import BLOCK, MemberSampling, Normal, SampledSets, differences, weights_of
from leaq.seeds import stream
from leaq.stats.intervals import normal_quantile, percentile_interval, t_quantile
from leaq.types import Estimate, Flag, Floats, LossTable

METHOD = (
    "training sets drawn from the held-out records; median over models; bias-corrected bootstrap over records of the "
    "leak under a normal law, {b} draws"
)


@dataclass(frozen=True)
class Options:
    """How the Monte Carlo is run.

    Attributes
    ----------
    draws : training sets in each half of the bracket at first; doubled until it is closed, up to `most`.
    close : the bracket is closed when its width is below this share of its middle; else there is no number.
    error : draws are also doubled while the standard error is above this share; what is left widens the interval.
    cut : candidates looked at first, lowest mean first; doubled until their leak is within `still` of all others'.
    resamples : bootstrap resamples of the records; 0 leaves the interval to the bracket.
    bootstrap_draws : of G for each resample, from the normal law.
    pool : size N of the attacker's pool; 0 is the game of independent members.
    """

    draws: int = 2000
    most: int = 32000
    close: float = 0.03
    error: float = 0.05
    cut: int = 16
    still: float = 0.005
    resamples: int = 30
    bootstrap_draws: int = 500
    pool: int = 0


@dataclass(frozen=True)
class FiniteSample:
    """The leak of one candidate set, and how it was computed.

    Attributes
    ----------
    value : corrected for the error of m; `raw` : as plugged in, the middle of the bracket.
    split, plug_in : the Monte-Carlo bracket; `error` : its standard error; `low`, `high` : the interval.
    cut : candidates needed until the leak stopped moving; `draws` : training sets in all.
    """

    value: float
    raw: float
    split: float
    plug_in: float
    error: float
    low: float
    high: float
    cut: int
    draws: int


def finite_sample(
    table: LossTable,
    *,
    models: Sequence[int] | None = None,
    level: float = 0.95,
    seed: int = 0,
    options: Options | None = None,
) -> Estimate:
    """Tell how much the best attacker gains who sees which candidate an empirical minimiser of n_train records chose.

    Direction: smaller is safer. Range: [0, 1]; best TPR - FPR.
    Interval: bootstrap over records, which carries the error of m (relative noise about sqrt(n/N)); models are
    resampled. The value is corrected for the bias that error causes.
    Do not trust when: flagged few-records-for-n (fewer than 10 n held-out records), or the candidates are
    checkpoints of an over-fitted network, which is no empirical minimiser over them.

    Parameters
    ----------
    table : losses (s, c, n); candidates are judged on the records that did not train their model. A table of the pool
        game is played in it, with the pool its records were drawn from.
    models : which models, the first four by default.

    Raises
    ------
    NotEnoughEvidence
        If no model has two distinct candidates, or the Monte-Carlo bracket does not close.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> losses = rng.normal([[0.0], [0.1], [0.2]], 1.0, size=(3, 2000))
    >>> found = finite_sample(LossTable(losses[None], np.zeros((1, 2000), bool), "regression", "iid", n_train=100))
    >>> found.low < 0.0287 < found.high  # the truth, by drawing 40,000 training sets
    True
    """
    options = options or Options(pool=(table.pool or table.losses.shape[2]) if table.game == "pool" else 0)
    chosen = list(range(min(4, len(table.losses))) if models is None else models)
    usable = distinct_candidates(table, chosen, what="The finite-sample leak")
    found = [leak_of(losses, table.n_train, level=level, seed=seed, options=options) for losses in usable]
    return _summary(found, table, usable, level=level, seed=seed, options=options)


def leak_of(
    losses: Floats, n: int, *, level: float = 0.95, seed: int = 0, options: Options | None = None
) -> FiniteSample:
    """Return the leak of one candidate set, losses (c, N), at n training records."""
    options = options or Options()
    _check(losses, n, level, options)
    ordered = sorted_set(losses)
    A = ordered - ordered[:1]
    rng = stream(seed, "finite-sample")
    game = MemberSampling(n, options.pool)
    cut = _low_k(A, game, options, rng)
    counter = ArgminCounter(A[:cut], terms=n + 1)
    bracket, error, draws = _closed(counter, game, options, rng)
    spread, bias = _doubt(counter, game, options, level=level, rng=rng)
    raw = bracket.value
    value = min(1.0, raw * bias)
    noise = normal_quantile(level) * error
    width = float(np.hypot(spread, noise / raw)) if raw else 0.0
    slack = (bracket[1] - bracket[0]) / 2
    never = -float(np.log1p(-level)) / draws  # what no draw showed happens less often than this
    low, high = value * np.exp(-width) - slack, max(value * np.exp(width) + slack, noise, never)
    ends = (min(value, max(0.0, float(low))), max(value, min(1.0, float(high))))
    return FiniteSample(value, raw, bracket[0], bracket[1], error, *ends, cut, draws)


def _low_k(A: Floats, game: MemberSampling, options: Options, rng: np.random.Generator) -> int:
    """Return how many of the best candidates are needed to come within `still` of the leak of them all."""
    rows = max(1, min(options.draws // 4, BLOCK // A.shape[1]))
    one, two = (SampledSets.sets(A.shape[1], game, rows, rng) for _ in range(2))  # the same for every cut
    w = weights_of(A.shape[1], game)

    def leak(cut: int) -> float:
        counter = ArgminCounter(A[:cut], terms=game.n + 1)
        return difference_bracket(one.influence(counter) / rows, two.influence(counter) / rows, w).value

    everyone, cut = leak(len(A)), min(options.cut, len(A))
    while cut < len(A) and abs(leak(cut) - everyone) > options.still * everyone:
        cut = min(2 * cut, len(A))
    return cut


def _closed(
    counter: ArgminCounter, game: MemberSampling, options: Options, rng: np.random.Generator
) -> tuple[Bracket, float, int]:
    """Raise the number of draws until the bracket is closed; refuse a leak that cannot be told from its noise."""
    w = weights_of(counter.shifts.shape[1], game)
    halves: list[Floats] = [np.zeros(counter.shifts.shape) for _ in range(2)]
    values, sizes, done, todo = [], [], 0, max(1, options.draws)
    while True:
        batches = [(i, size, differences(counter, game, size, rng)) for i in range(2) for size in parts_of(todo, 4)]
        for i, size, batch in batches:
            halves[i] += batch * size
        done += todo
        bracket = difference_bracket(halves[0] / done, halves[1] / done, w)
        signs = np.sign(halves[0] + halves[1])
        values += [leak_by_signs(batch, signs, w) for _, _, batch in batches]
        sizes += [size for _, size, _ in batches]
        error = batch_error(np.array(values), np.array(sizes, dtype=np.float64))
        closed = bracket.gap <= options.close or bracket[1] < 1 / done
        if closed and (error <= options.error * bracket.value or 2 * done > options.most):
            return bracket, error, 2 * done
        if 2 * done > options.most:
            raise NotEnoughEvidence(
                f"The finite-sample leak is not settled by {options.most:,} draws: its candidates are too alike."
            )
        todo = done


def _doubt(
    counter: ArgminCounter, game: MemberSampling, options: Options, *, level: float, rng: np.random.Generator
) -> tuple[float, float]:
    """Return half the width of the interval of the logarithm, and the factor that corrects its bias.

    Resampling records repeats what drawing them did: log(resampled / estimated) has about the law of
    log(estimated / true). Its mean is the bias of the logarithm, its spread gives the interval. Both sides of the ratio
    take the normal law of G: only that moves smoothly with the weights of the records, under common draws.
    """
    if not options.resamples:
        return 0.0, 1.0
    k, N = counter.shifts.shape
    Z = rng.standard_normal((max(2, options.bootstrap_draws // 2), k))
    law, even = Normal(counter, game, Z), np.full(N, 1 / N)
    floor = 0.1 / (2 * len(Z))  # no flip was seen: the leak is below what these draws resolve
    centre = max(floor, law.leak(even))
    resampled = [max(floor, law.leak(rng.multinomial(N, even) / N)) for _ in range(options.resamples)]
    ratios = np.log(np.array(resampled) / centre)
    # Few resamples: the normal law with their spread has steadier tails than their own quantiles.
    spread = float(ratios.std(ddof=1)) * t_quantile(level, options.resamples - 1)
    return spread, float(np.exp(-ratios.mean()))


def _summary(
    found: Sequence[FiniteSample],
    table: LossTable,
    usable: Sequence[Floats],
    *,
    level: float,
    seed: int,
    options: Options,
) -> Estimate:
    """Median over models; the interval resamples models and takes each one's own interval as it is."""
    values, lows, highs = (np.array([getattr(one, name) for one in found]) for name in ("value", "low", "high"))
    value = float(np.median(values))
    s = len(values)
    picked = stream(seed, "finite-sample-models").integers(s, size=(1000, s))
    low = percentile_interval(np.median(lows[picked], axis=1), level=level)[0]
    high = percentile_interval(np.median(highs[picked], axis=1), level=level)[1]
    cut = int(np.median([one.cut for one in found]))
    flags = [
        Flag("low-k-cut", f"Rests on the {cut} best of {int(np.median([len(x) for x in usable]))} candidates."),
        Flag(
            "bias-corrected",
            f"Corrected by a factor {np.median([x.value / x.raw if x.raw else 1 for x in found]):.2f}.",
        ),
    ]
    if any(losses.shape[1] < len(losses) for losses in usable):
        flags.append(Flag("few-records", "Fewer held-out records than candidates: many of them are told apart by few."))
    fewest = min(losses.shape[1] for losses in usable)
    if fewest < 10 * table.n_train:
        text = f"{fewest} held-out records are fewer than 10 times the {table.n_train} training records."
        flags.append(Flag("few-records-for-n", f"{text} The error of the mean losses decides the number."))
    if len(usable) < len(found) or s == 1:
        flags.append(Flag("one-run", "Rests on the candidates of one training run."))
    method = METHOD.format(b=options.resamples)
    return Estimate.spanning(value, low, high, s, level, "models", method, tuple(flags))


def _check(losses: Floats, n: int, level: float, options: Options) -> None:
    check_losses(losses)
    if len(losses) < 2:
        raise NotEnoughEvidence(f"The finite-sample leak compares at least 2 candidates. Found {len(losses)}.")
    if losses.shape[1] < 4:
        raise NotEnoughEvidence(f"The finite-sample leak needs at least 4 records. Found {losses.shape[1]}.")
    if n < 1:
        raise InvalidInput(f"finite_sample: n must be at least 1. Found {n}.")
    if not 0 < level < 1:
        raise InvalidInput(f"finite_sample: level must be between 0 and 1. Found {level}.")
    if min(options.draws, options.cut) < 1 or min(options.pool, options.resamples) < 0 or options.resamples == 1:
        raise InvalidInput(
            f"finite_sample: needs draws and cut >= 1, pool >= 0, and no or at least 2 resamples. Found {options}."
        )
    if options.pool and n >= options.pool:
        raise InvalidInput(f"finite_sample: n members must leave non-members in the pool. Found {n} of {options.pool}.")


@dataclass(frozen=True, repr=False)
class Security(Estimate):
    """An estimate of the security; what version 0.1 returned in its place, the rate, is understood for a version."""

    table: LossTable | None = field(default=None, compare=False)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the rate by its former place."""
        if name.startswith("_") or self.table is None or name not in {each.name for each in fields(RateResult)}:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warnings.warn(
            f"leaq.mis(table).{name} is leaq.rate(table).{name}; leaq.mis returns the security 1 - leak.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(rate(self.table), name)


def mis(table: LossTable, **options: Any) -> Security:
    """Return the membership inference security of a loss table's candidates at this number of records: 1 - leak.

    Direction: larger is safer. Range: [0, 1]; 1 = no attacker gains anything. The leak is that of the learner that
    picks the best candidate on its training records; what else a released model gives away is not in it. Attributes of
    `leaq.rate`'s result, which this name returned in version 0.1, are still found, with a warning.

    Parameters
    ----------
    options : of `leaq.measures.finite_sample.finite_sample`: models, level, seed, options.

    Raises
    ------
    NotEnoughEvidence
        If no model has two distinct candidates.

    Examples
    --------
    >>> import numpy as np
    >>> losses = np.random.default_rng(0).normal([[0.0], [0.1], [0.2]], 1.0, size=(3, 2000))
    >>> found = mis(LossTable(losses[None], np.zeros((1, 2000), bool), "regression", "iid", n_train=100))
    >>> found.low < 1 - 0.0287 < found.high  # the truth, by drawing 40,000 training sets
    True
    """
    leak = finite_sample(table, **options)
    turned = {"value": 1 - leak.value, "low": 1 - leak.high, "high": 1 - leak.low, "method": f"1 - leak; {leak.method}"}
    return Security(**(vars(leak) | turned), table=table)
