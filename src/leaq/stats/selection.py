"""Choosing the best of many, and saying how good it is without the luck that made it win."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Bools, Floats, Ints


@dataclass(frozen=True)
class Choice:
    """The choice among k estimates: the smallest, or one that is preferred among those not told apart from it.

    Attributes
    ----------
    chosen : position of the choice.
    smallest : position of the smallest estimate.
    tied : (k,) which ones are not told apart from the smallest, itself included.
    value : the chosen estimate, raised by what being chosen flatters it on average.
    low, high : interval that holds for all k at once, so also for the one that was chosen.
    optimism : how much lower than its truth the choice's estimate is on average.
    again : (k,) share of draws in which each would be chosen.
    """

    chosen: int
    smallest: int
    tied: Bools
    value: float
    low: float
    high: float
    optimism: float
    again: Floats


def choose_smallest(
    values: Floats,
    draws: Floats,
    *,
    level: float = 0.95,
    order: Sequence[int] | None = None,
    apart: Floats | None = None,
) -> Choice:
    """Choose the smallest of (k,) values, given (b, k) resamples of all of them together.

    The interval is the max-t one: value +- c sd with c the `level` quantile of ``max_j |draw_j - value_j| / sd_j``, so
    that its coverage does not suffer from the choice. The optimism of the choice is estimated by letting the resamples
    choose: mean of ``value_w - draw_w`` over draws, w the choice of the draw.

    Parameters
    ----------
    order : positions, most preferred first; which one is taken among those not told apart from the smallest.
    apart : (k, k) how much larger than the first one the second must be to be told apart from it; by default nothing
        is a tie.

    Do not trust when the draws do not carry the dependence between the values: independent draws are wide enough for
    positively dependent values (models and records are shared), not for negatively dependent ones.
    Sources: Westfall and Young (1993), chapter 2 (max-t); Efron and Tibshirani (1993), section 10.2 (optimism).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> values = np.array([0.3, 0.1, 0.2])
    >>> draws = values + 0.01 * rng.normal(size=(1000, 3))
    >>> choose_smallest(values, draws).chosen
    1
    >>> tied = choose_smallest(values, draws, order=(2, 1, 0), apart=np.full((3, 3), 0.15))
    >>> tied.chosen, tied.smallest, tied.tied.tolist()
    (2, 1, [False, True, True])
    """
    values, draws = _checked(values, draws)
    size = len(values)
    places = np.argsort(np.arange(size) if order is None else np.asarray(order))
    margins = np.zeros((size, size)) if apart is None else np.asarray(apart, float)
    chosen, tied = _picked(values[None], places, margins)
    pick = int(chosen[0])
    half = _simultaneous(values, draws, level)[pick]
    winners, _ = _picked(draws, places, margins)
    optimism = max(0.0, float(np.mean(values[winners] - draws[np.arange(len(draws)), winners])))
    return Choice(
        chosen=pick,
        smallest=int(values.argmin()),
        tied=tied[0],
        value=float(values[pick]) + optimism,
        low=float(values[pick] - half),
        high=float(values[pick] + half),
        optimism=optimism,
        again=np.bincount(winners, minlength=size) / len(draws),
    )


def _picked(draws: Floats, places: Ints, margins: Floats) -> tuple[Ints, Bools]:
    """Return for each of (b, k) draws the position that is chosen, and which are not told apart from the smallest."""
    least = draws.argmin(1)
    tied: Bools = draws - draws.min(1, keepdims=True) <= margins[least]
    chosen: Ints = np.where(tied, places, len(places)).argmin(1)
    return chosen, tied


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
