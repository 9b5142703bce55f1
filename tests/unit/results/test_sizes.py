from math import nan

from leaq.results import Size


def test_bits_are_three_digits_or_a_dash():
    assert Size(4.5163, 4.0, 100, 7.1).bits_words == "4.52"
    assert Size(32.0, 32.0, 100, 1.0).bits_words == "32"
    assert Size(nan, nan, 100, nan).bits_words == "–"
