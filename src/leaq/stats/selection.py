"""Choosing the best of many, and saying how good it is without the luck that made it win."""

from dataclasses import dataclass

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Floats

__all__ = ["Choice", "choose_smallest", "pairs_factor", "surely_at_least"]


@dataclass(frozen=True)
class Choice:
    """The smallest of k estimates.

    Attributes
    ----------
    chosen, runner_up : positions; `runner_up` is None where there is no other.
    value : the chosen estimate, raised by what winning flatters it on average.
    low, high : interval that holds for all k at once, so also for the one that was chosen.
    optimism : how much lower than its truth the winner's estimate is on average.
    best : (k,) share of draws in which each is the smallest.
    behind : interval of how much larger the runner-up is, for all pairs at once, so also for the two that came first.
    """

    chosen: int
    runner_up: int | None
    value: float
    low: float
    high: float
    optimism: float
    best: Floats
    behind: tuple[float, float]


def choose_smallest(values: Floats, draws: Floats, *, level: float = 0.95) -> Choice:
    """Choose the smallest of (k,) values, given (b, k) resamples of all of them together.

    The interval is the max-t one: value +- c sd with c the `level` quantile of ``max_j |draw_j - value_j| / sd_j``, so
    that its coverage does not suffer from the choice. The winner's optimism is estimated by letting the resamples
    choose: mean of ``value_w - draw_w`` over draws, w the winner of the draw.

    Do not trust when the draws do not carry the dependence between the values: independent draws are wide enough for
    positively dependent values (models and records are shared), not for negatively dependent ones.
    Sources: Westfall and Young (1993), chapter 2 (max-t); Efron and Tibshirani (1993), section 10.2 (optimism).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = np.array([0.3, 0.1, 0.2])
    >>> choice = choose_smallest(values, values + 0.01 * rng.normal(size=(1000, 3)))
    >>> choice.chosen, choice.runner_up, choice.behind[0] > 0
    (1, 2, True)
    """
    values, draws = _checked(values, draws)
    order = np.argsort(values, kind="stable")
    chosen = int(order[0])
    half = _simultaneous(values, draws, level)[chosen]
    winners = draws.argmin(1)
    optimism = float(np.mean(values[winners] - draws[np.arange(len(draws)), winners]))
    runner_up = int(order[1]) if len(values) > 1 else None
    return Choice(
        chosen=chosen,
        runner_up=runner_up,
        value=float(values[chosen]) + max(0.0, optimism),
        low=float(values[chosen] - half),
        high=float(values[chosen] + half),
        optimism=max(0.0, optimism),
        best=np.bincount(winners, minlength=len(values)) / len(draws),
        behind=_behind(values, draws, (chosen, runner_up), level),
    )


def surely_at_least(values: Floats, draws: Floats, *, level: float = 0.95) -> Floats:
    """Return the lower ends (k,) of intervals that hold for all k values at once."""
    low: Floats = values - _simultaneous(values, draws, level)
    return low


def _simultaneous(values: Floats, draws: Floats, level: float) -> Floats:
    """Half widths (k,) that hold for all k at once."""
    moved = draws - values
    half: Floats = _factor(moved, level) * np.sqrt(np.mean(moved**2, axis=0))
    return half


def pairs_factor(draws: Floats, *, level: float = 0.95) -> float:
    """Return how many standard errors hold for all k (k - 1) / 2 differences of (b, k) joint draws at once: max-t.

    All pairs, because which pair is looked at is decided by the values: that the smallest of k equal values lies behind
    the largest by more than one pair's interval happens far more often than its level says.

    Examples
    --------
    >>> draws = np.random.default_rng(0).normal(size=(4000, 6))
    >>> pairs_factor(draws[:, :2]) < 2.2 < 2.6 < pairs_factor(draws)  # one pair, and fifteen
    True
    """
    moved = draws - draws.mean(0)
    first, second = np.triu_indices(draws.shape[1], 1)
    return _factor(moved[:, first] - moved[:, second], level) if len(first) else 0.0


def _checked(values: Floats, draws: Floats) -> tuple[Floats, Floats]:
    values, draws = np.asarray(values, float), np.asarray(draws, float)
    if values.ndim != 1 or draws.ndim != 2 or draws.shape[1] != len(values) or len(values) == 0 or len(draws) < 2:
        raise InvalidInput(f"Needs (k,) values and (b, k) draws. Found shapes {values.shape} and {draws.shape}.")
    return values, draws


def _factor(moved: Floats, level: float) -> float:
    """Return the max-t quantile of (b, m) deviations: how many standard errors hold for all m at once."""
    spread = np.sqrt(np.mean(moved**2, axis=0))
    safe = np.where(spread > 0, spread, 1.0)
    return float(np.quantile((np.abs(moved) / safe).max(1), level))


def _behind(values: Floats, draws: Floats, choice: tuple[int, int | None], level: float) -> tuple[float, float]:
    """Interval of how far the runner-up lies behind, for all pairs at once."""
    chosen, runner_up = choice
    if runner_up is None:
        return 0.0, 0.0
    moved = (draws - values)[:, runner_up] - (draws - values)[:, chosen]
    half = pairs_factor(draws, level=level) * float(np.sqrt(np.mean(moved**2)))
    gap = values[runner_up] - values[chosen]
    return float(gap - half), float(gap + half)
