"""Sets of releases as text."""

import pytest

from leaq.errors import InvalidInput, UnknownName
from leaq.quantizers import parse_together


def test_a_set_names_its_releases_and_what_is_shown_of_them():
    (one,) = parse_together(["sign+ stochastic(bits=2)  x 3"])
    assert one.text == "sign + stochastic(bits=2) x3"
    assert one.label == "sign + 2-bit per channel stochastic x3"
    specs = ["sign", "stochastic(bits=2)", "stochastic(bits=2, seed=1)", "stochastic(bits=2, seed=2)"]
    assert [quantizer.spec() for quantizer in one.quantizers] == specs
    assert [quantizer.spec() for quantizer in one.rows] == specs[:2]


def test_the_noise_starts_at_the_seed_that_is_given():
    (one,) = parse_together(["dithered(bits=3, seed=5) x2"])
    assert [quantizer.seed for quantizer in one.quantizers] == [5, 6]
    assert one.text == "dithered(bits=3, seed=5) x2"


def test_a_list_of_numbers_is_a_set_each_and_sets_are_taken_once():
    found = parse_together(["stochastic(bits=2) x2/4/8", "stochastic(bits=2) x4", "int8 + none"])
    assert [one.text for one in found] == [
        "stochastic(bits=2) x2", "stochastic(bits=2) x4", "stochastic(bits=2) x8", "uniform(bits=8) + none",
    ]  # fmt: skip
    assert [len(one.quantizers) for one in found] == [2, 4, 8, 2]


@pytest.mark.parametrize("text", ["sign + twn", "stochastic(bits=2) x2/4", "sign + dithered(bits=2) x3"])
def test_what_is_read_is_read_the_same_again(text):
    found = parse_together([text])
    assert parse_together([one.text for one in found]) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [("sign", 1), ("sign + sign", 1), ("stochastic(bits=2) x1", 1), ("stochastic(bits=2) x65", 65),
     ("stochastic(bits=2) x2 + stochastic(bits=2, seed=1)", 2)],
)  # fmt: skip
def test_too_few_too_many_and_repeated_releases_are_refused(text, found):
    with pytest.raises(InvalidInput) as refused:
        parse_together([text])
    assert str(refused.value) == (
        f"together: a set must hold 2 to 64 different releases. Found {found} in {text!r}. "
        "Write e.g. 'sign + uniform(bits=2)' or 'stochastic(bits=4) x8'."
    )


def test_what_is_not_random_is_the_same_release_again():
    with pytest.raises(InvalidInput) as refused:
        parse_together(["sign x2 + twn"])
    assert str(refused.value) == (
        "together: only a random rounding (stochastic, dithered) differs when it is released again. Found 'sign x2' in "
        "'sign x2 + twn'. Name quantizers that differ, e.g. 'sign + uniform(bits=2)'."
    )


@pytest.mark.parametrize("text", ["sign + ", "+", "sing + twn", "sign + uniform(bits=2"])
def test_what_is_no_quantizer_is_refused(text):
    with pytest.raises((InvalidInput, UnknownName)):
        parse_together([text])
