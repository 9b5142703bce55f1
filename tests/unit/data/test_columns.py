"""Numbers in the forms files keep them in, and words that only look like some."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from leaq.data import load
from leaq.data.columns import row_numbers, settle, too_exact
from leaq.errors import InvalidInput


def read(values):
    found = settle(pd.DataFrame({"c": values}))
    return found.frame["c"].tolist(), [flag.code for flag in found.flags], [problem.found for problem in found.problems]


@pytest.mark.parametrize(("values", "numbers", "flags"), [
    (["\u20130.5", "1.5", "\u22122"], [-0.5, 1.5, -2.0], ["thousands"]),
    (["0,5", "-1,25", "2"], [0.5, -1.25, 2.0], ["decimal-commas"]),
    (["1.234,5", "12,0"], [1234.5, 12.0], ["decimal-commas"]),
    (["1.234,5", "1.234"], [1234.5, 1234.0], ["decimal-commas"]),
    (["1,234.5", "12", "1,234"], [1234.5, 12.0, 1234.0], ["thousands"]),
    (["1'234.5", "-12'000", "7"], [1234.5, -12000.0, 7.0], ["thousands"]),
    (["1 234,5", "-2\u00a0000,25", "7,5"], [1234.5, -2000.25, 7.5], ["decimal-commas"]),
    (["\u22121.5", "2.5"], [-1.5, 2.5], ["thousands"]),
    ([10**400, 1], [float("inf"), 1.0], []),
    (["1e-3", " 2.5 "], [0.001, 2.5], ["numbers-as-text"]),
    ([True, False], [True, False], []),
    (pd.array([1, 2], dtype="Int64"), [1, 2], []),
])  # fmt: skip
def test_numbers_are_numbers(values, numbers, flags):
    assert read(values) == (numbers, flags, [])


@pytest.mark.parametrize("values", [["a", "b"], ["01234", "00017"], ["1", "2", "3", "3b"] * 5, ["NA", "DE"]])
def test_words_are_words(values):
    assert read(values) == (values, [], [])


@pytest.mark.parametrize(("values", "found"), [
    (["0,5", "0.5", "1,25"], "comma may set off thousands or decimals"),
    (["1,234", "56,789"], "comma may set off thousands or decimals"),
    ([1 + 2j, 3j], "complex numbers"),
    (pd.date_range("2026-01-01", periods=2), "dates or times"),
    ([[1], [2]], "values of type list"),
    ([*map(str, range(30)), "?"], r"numbers but for 1 row (31): '?'"),
    ([*(f"{i},5" for i in range(30)), "unknown", "lost"], r"numbers but for 2 rows (31, 32): 'unknown', 'lost'"),
])  # fmt: skip
def test_what_is_neither_is_a_problem(values, found):
    assert found in read(values)[2][0]


def test_row_numbers_are_told_from_counts_of_things():
    assert row_numbers(pd.Series(range(7, 47))) == "count"
    assert row_numbers(pd.Series([i * i for i in range(40)])) == "unique"
    assert row_numbers(pd.Series([i // 2 for i in range(40)])) is None
    assert row_numbers(pd.Series([i / 7 for i in range(40)])) is None


@pytest.mark.parametrize("values", [
    ["5%", "7 %", "12.5%"], ["3 mg", "7 mg", "10 mg"], ["$5.00", "$7.00"], ["<1", "2", ">3"], ["(5)", "(7)", "6"],
    ["10-19", "20-29"], ["2020-01-05", "2021-03-01"], ["12,00 €", "13,00 €"], ["1/20", "3/20"], ["12:30", "07:15"],
])  # fmt: skip
def test_numbers_with_something_beside_them_are_words_and_said_to_be(values):
    assert read(values * 10) == (values * 10, ["numbers-among-words"], [])
    assert "To use them as numbers" in settle(pd.DataFrame({"c": values * 10})).flags[0].text


@pytest.mark.parametrize(
    "values", [["A1", "B2"], ["c1ccccc1", "CCO"], ["yes", "2nd"], ["-", "+"], ["low", "high", "3"]]
)
def test_words_with_numbers_in_them_are_words(values):
    assert read(values * 10) == (values * 10, [], [])


def test_row_numbers_with_gaps_and_numbers_of_persons_are_told(rng):
    kept = np.flatnonzero(rng.random(200) < 0.8)
    assert row_numbers(pd.Series(kept)) == "count"  # an index after rows were left out
    assert row_numbers(pd.Series(rng.permutation(kept))) == "unique"
    assert row_numbers(pd.Series(np.arange(200) // 2)) == "rising"
    assert row_numbers(pd.Series(rng.permutation(np.arange(200) // 2 + 500))) == "rising"
    assert row_numbers(pd.Series(rng.integers(0, 100, 200))) is None  # a count of things
    assert row_numbers(pd.Series(np.arange(200) // 40)) is None  # a sorted code of few levels


def test_integers_that_no_feature_tells_apart_are_named():
    assert too_exact(pd.Series(np.arange(40, dtype=np.uint64) + 2**60))
    assert not too_exact(pd.Series(np.arange(40) + 2**50))
    assert not too_exact(pd.Series(np.arange(40) * 1e18))


@pytest.mark.parametrize(
    "values",
    [
        [10**20 + at for at in range(40)],
        [str(10**20 + at) for at in range(40)],
        ["-9223372036854775809", *map(str, range(39))],
        [Decimal(10**17 + at) for at in range(40)],
    ],
)
def test_integers_beyond_64_bits_are_named_too(values):
    """A file with such integers comes as texts or objects; as floats all would be one number."""
    assert "integers beyond 9e+15" in settle(pd.DataFrame({"c": pd.Series(values, dtype=object)})).problems[0].found


def test_large_measurements_are_numbers():
    values = [6.02e23 + at * 1e20 for at in range(40)]
    assert not settle(pd.DataFrame({"c": [f"{value:.6e}" for value in values]})).problems


@pytest.mark.parametrize(
    ("values", "flags"),
    [
        ([*"123456", "?"], ["numbers-among-words"]),
        ([*"01", "unknown"], ["numbers-among-words"]),
        (["1", "2", "3", "3b"], []),
    ],
)
def test_a_few_numbers_with_words_among_them_are_categories_and_said_to_be(values, flags):
    assert read(values * 10) == (values * 10, flags, [])


def test_commas_that_stand_twice_set_off_thousands():
    assert read(["1,042,999", "-31,500", "7"]) == ([1042999, -31500, 7], ["thousands"], [])


def test_what_pandas_calls_a_category_is_one_but_for_ordered_numbers():
    assert read(pd.Categorical([3, 1, 3] * 10))[0] == ["3", "1", "3"] * 10
    assert read(pd.Categorical([3, 1, 3] * 10, ordered=True))[0] == [3, 1, 3] * 10
    assert read(pd.Categorical(np.arange(90) / 7))[0] == (np.arange(90) / 7).tolist()  # numbers, to save memory
    assert set(read(pd.cut(pd.Series(np.arange(30.0)), [-1, 9, 30]))[0]) == {"(-1, 9]", "(9, 30]"}
    assert read([b"p", b"q"] * 10)[0] == ["p", "q"] * 10


def test_bins_bytes_and_errors_of_spreadsheets_are_what_they_are():
    """Bins as a target were values of type Interval, bytes that are no text a traceback, errors a class."""
    numbers = np.linspace(0, 1, 30)
    frame = pd.DataFrame({"a": numbers, "y": pd.cut(numbers, 3)})
    assert len(load(frame, target="y").classes) == 3
    held = frame.assign(c=[bytes([200, 65 + at]) for at in range(30)], y=np.arange(30) % 2)
    with pytest.raises(InvalidInput, match="'c' holds 30 different"):
        load(held, target="y")
    wrong = pd.DataFrame({"a": numbers, "y": ["0", "1", "#DIV/0!"] * 10})
    with pytest.raises(InvalidInput, match=r"Missing or infinite in 10 rows"):
        load(wrong, target="y")


def test_columns_that_are_mostly_empty_are_named_to_be_left_out():
    frame = pd.DataFrame({"a": np.linspace(0, 1, 30), "Cabin": [None, None, "C85"] * 10, "y": np.arange(30) % 2})
    with pytest.raises(InvalidInput, match=r"--skip-invalid, or leave columns out with --ignore Cabin\."):
        load(frame, target="y")
