import pytest
from hypothesis import given
from hypothesis import strategies as st

from leaq.stats.digits import decimals, format_bound, format_estimate, format_value
from leaq.types import Estimate

INF = float("inf")


@given(value=st.floats(-100, 100), half=st.floats(1e-6, 50))
def test_rounding_moves_no_end_of_the_interval_by_a_tenth_of_its_half_width(value, half):
    estimate = Estimate(value, value - half, value + half, 9)
    step = 10.0 ** -decimals(estimate)
    assert step / 2 <= max(0.11 * half, 0.5)
    assert decimals(estimate) == 0 or step > 0.009 * half  # and shows no digit that says nothing


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [(-0.0001, 2, "0.00"), (0.0, 6, "0"), (4.2e-7, 6, "4.2e-07"), (INF, 3, "∞"), (-INF, 3, "-∞"), (12.345, 1, "12.3")],
)
def test_a_value_is_never_minus_nothing_and_never_lost(value, places, text):
    assert format_value(value, places) == text


@pytest.mark.parametrize(
    ("estimate", "text"),
    [
        (Estimate(0.5, -INF, INF, 1), "+0.500 [-∞, ∞]"),
        (Estimate(-0.2, -0.3, -0.1, 1), "-0.20 [-0.30, -0.10]"),
        (Estimate(0.0001, -0.2, 0.2, 1), "0.00 [-0.20, 0.20]"),
        (Estimate(0.0, 0.0, 0.0, 1), "0.0 [0.0, 0.0]"),
        (Estimate(2.6e-5, -0.00019, 0.0003, 1), "+0.00003 [-0.00019, 0.00030]"),
    ],
)
def test_an_estimate_is_written_with_its_sign_and_its_ends(estimate, text):
    assert format_estimate(estimate, sign=True) == text


@given(low=st.floats(-20, 20), places=st.integers(0, 4))
def test_a_bound_is_never_written_above_what_was_found(low, places):
    written, above = float(format_bound(low, places)), float(format_bound(low, places, upper=True))
    assert low - 1.0001 * 10**-places <= written <= low
    assert low <= above <= low + 1.0001 * 10**-places


@pytest.mark.parametrize(("low", "text"), [(0.0, "0.00"), (1.7, "1.70"), (0.29, "0.29"), (4.6664, "4.66"), (INF, "∞")])
def test_a_bound_keeps_the_digits_it_has(low, text):
    assert format_bound(low) == text


@pytest.mark.parametrize(
    ("value", "low", "high", "said"),
    [
        (0.0654, 0.0024, 0.1285, "0.065 [0.002, 0.129]"),
        (-0.0654, -0.1285, -0.0004, "-0.0654 [-0.1285, -0.0004]"),
        (0.0654, -0.0024, 0.1285, "0.07 [0.00, 0.13]"),
        (0.0654, 0.0, 0.1285, "0.07 [0.00, 0.13]"),
        (0.0654, 1e-7, 0.1285, "0.07 [0.00, 0.13]"),
    ],
)
def test_an_interval_that_excludes_zero_is_seen_to_do_so_where_a_few_digits_show_it(value, low, high, said):
    assert format_estimate(Estimate(value, low, high, 100)) == said
