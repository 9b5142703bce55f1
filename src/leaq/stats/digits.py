"""How many digits a number deserves: those its interval supports."""

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from leaq.types import Estimate

MOST = 8
"""Decimals, at most."""
FINER = 2
"""Decimals more than the interval supports that are written, at most, to show that it excludes 0."""


def decimals(estimate: Estimate) -> int:
    """Return how many decimals make the interval's half width show two digits (one from 3 up).

    Examples
    --------
    >>> decimals(Estimate(0.3123, 0.27, 0.35, 100))
    3
    >>> decimals(Estimate(12.3, 2.0, 40.0, 100))
    0
    """
    half = (estimate.high - estimate.low) / 2
    if not math.isfinite(half) or half <= 0:
        half = abs(estimate.value) / 100 if math.isfinite(estimate.value) and estimate.value else 1.0
    exponent = math.floor(math.log10(half))
    leading = half / 10**exponent
    return int(min(MOST, max(0, -exponent + (1 if leading < 5 else 0))))


def format_value(value: float, places: int) -> str:
    """Write a number with fixed decimals, in scientific notation where that says nothing, infinities as words."""
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if places >= 6 and abs(value) < 1e-3:
        return f"{value:.2g}" if value else "0"
    text = f"{value:.{places}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def format_estimate(estimate: Estimate, *, interval: bool = True, sign: bool = False) -> str:
    """Write an estimate with the digits its interval supports, and a few more where these show that it excludes 0.

    Examples
    --------
    >>> format_estimate(Estimate(0.3123, 0.268, 0.351, 100))
    '0.312 [0.268, 0.351]'
    >>> format_estimate(Estimate(0.3123, 0.2, 0.4, 100), interval=False, sign=True)
    '+0.31'
    >>> format_estimate(Estimate(0.0654, 0.0024, 0.1285, 100))
    '0.065 [0.002, 0.129]'
    """
    places = decimals(estimate)
    nearest = estimate.low if estimate.low > 0 else estimate.high if estimate.high < 0 else math.inf
    places = next((more for more in range(places, places + FINER + 1) if round(nearest, more) != 0), places)
    text = format_value(estimate.value, places)
    if sign and estimate.value > 0 and float(text.replace("∞", "inf")) != 0:
        text = "+" + text
    if not interval:
        return text
    return f"{text} [{format_value(estimate.low, places)}, {format_value(estimate.high, places)}]"


def format_bound(value: float, places: int = 2, *, upper: bool = False) -> str:
    """Write a bound, a lower one rounded down and an upper one up: what was found keeps within what is written.

    Examples
    --------
    >>> format_bound(0.1654), format_bound(4.6665), format_bound(0.29)
    ('0.16', '4.66', '0.29')
    >>> format_bound(0.0602, 3, upper=True)
    '0.061'
    """
    if not math.isfinite(value):
        return format_value(value, places)
    way = ROUND_CEILING if upper else ROUND_FLOOR
    kept = Decimal(str(float(value))).quantize(Decimal(1).scaleb(-places), rounding=way)
    return format_value(float(kept), places)
