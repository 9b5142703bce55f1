"""Limits of columns: far values are moved, ordinary ones never."""

import numpy as np

from leaq.stats.outliers import far, limited, limits, outlier_flag


def test_a_far_value_is_moved_to_the_limit(rng):
    values = rng.normal(size=(200, 3))
    values[5, 1] = 1e9
    found, outside = limited(values)
    assert np.argwhere(outside).tolist() == [[5, 1]]
    assert found[5, 1] == limits(values)[1][1]
    assert (found[~outside] == values[~outside]).all()


def test_a_column_that_hardly_varies_but_for_one_record(rng):
    column = -0.5656 + 1e-3 * rng.normal(size=(600, 1))
    column[17] = 0.92
    found, _ = limited(column)
    rest = np.delete(column, 17)
    assert abs(found[17, 0] - rest.mean()) / rest.std() < 60  # it was 1,480 standard deviations


def test_ordinary_columns_are_left_as_they_are(rng):
    bits = (rng.random((400, 5)) < 0.005).astype(float)
    for values in (rng.normal(size=(30, 4)), rng.lognormal(size=(500, 4)), bits, np.zeros((30, 2))):
        assert not far(values).any()
        assert limited(values)[0] is values


def test_the_flag_counts():
    assert outlier_flag(np.eye(3, dtype=bool), "'a': 1 row (3)").text.startswith("3 values lie far outside")


def test_a_record_that_is_outside_in_most_columns_is_told(rng):
    """As methane is among molecules that graph attention embeds."""
    values = rng.normal(size=(200, 8))
    values[7], values[9, 0] = 1e4, 1e4
    _, outside = limited(values)
    assert outside.sum() == 9
    assert "1 of the records lie outside in most columns" in outlier_flag(outside, "rows 8, 10").text
    assert "in most columns" not in outlier_flag(outside[8:], "row 10").text
