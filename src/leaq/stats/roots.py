"""Where a function of one number is zero. SciPy has it too, beside what takes a third of a second to load."""

from collections.abc import Callable

STEPS = 200
"""More than halving alone needs for any tolerance of float64."""


def zero_of(function: Callable[[float], float], low: float, high: float, *, tolerance: float) -> float:
    """Return where a continuous function is zero between two places at which its signs differ.

    Source: Chandrupatla (1997), Advances in Engineering Software 28:145: inverse quadratic interpolation where the
    last three places allow it, halving where not.

    Parameters
    ----------
    tolerance : how far from a zero the returned place may lie, about.

    Examples
    --------
    >>> round(zero_of(lambda x: x**2 - 2, 0.0, 2.0, tolerance=1e-9), 6)
    1.414214

    Raises
    ------
    ValueError
        If both signs are the same.
    """
    new, other = low, high
    at_new, at_other = function(low), function(high)
    if at_new * at_other > 0:
        raise ValueError(f"zero_of: signs must differ at both ends. Found {at_new} at {low} and {at_other} at {high}.")
    share = 0.5
    for _ in range(STEPS):
        place = new + share * (other - new)
        value = function(place)
        if (value > 0) == (at_new > 0):
            former, at_former = new, at_new
        else:
            former, at_former, other, at_other = other, at_other, new, at_new
        new, at_new = place, value
        best, least = (new, at_new) if abs(at_new) < abs(at_other) else (other, at_other)
        nearest = (tolerance + 4e-16 * abs(best)) / abs(other - former)
        if nearest > 0.5 or least == 0:
            break
        where, height = (new - other) / (former - other), (at_new - at_other) / (at_former - at_other)
        share = 0.5
        if height**2 < where and (1 - height) ** 2 < 1 - where:
            share = at_new / (at_other - at_new) * at_former / (at_other - at_former)
            share += (former - new) / (other - new) * at_new / (at_former - at_new) * at_other / (at_former - at_other)
        share = min(1 - nearest, max(nearest, share))
    return best
