"""Limits of columns: far values are moved, ordinary ones never."""

import numpy as np
import pytest

from leaq.stats.outliers import FARTHEST, clipped, clipped_flag, far, limited, limits, outlier_flag, sentinel


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
    assert "in most columns" not in outlier_flag(outside, "rows 8, 10", alone=False).text


def test_an_embedding_far_from_all_others_is_clipped_along_its_line(rng):
    values = np.concatenate([rng.normal(size=(200, 8)), np.zeros((200, 1))], axis=1)  # a unit that is never active
    values[7] = 40 * values[8]
    found, moved = clipped(values)
    assert np.flatnonzero(moved).tolist() == [7]
    assert (found[~moved] == values[~moved]).all()
    middle = np.median(values, axis=0)
    apart, before = found[7] - middle, values[7] - middle
    np.testing.assert_allclose(apart / apart[0], before / before[0])
    ordered = np.sort(values, axis=0)
    width = (ordered[189] - ordered[10])[:8]
    distance = np.sqrt((((values - middle)[:, :8] / width) ** 2).mean(1))
    assert np.sqrt(((apart[:8] / width) ** 2).mean()) == pytest.approx(FARTHEST * np.median(distance))
    assert "1 embeddings lie more than 5 times as far" in clipped_flag(moved).text


@pytest.mark.parametrize("equal", [1.0, 0.9])
def test_where_nothing_or_hardly_anything_varies_nothing_is_clipped(equal, rng):
    values = np.where(rng.random((200, 1)) < equal, 1.0, rng.normal(size=(200, 5)))
    found, moved = clipped(values)
    assert (found == values).all()
    assert not moved.any()


@pytest.mark.parametrize(("values", "code"), [
    ([-9.0, -9.0], -9.0), ([-1.0, -1.0], -1.0), ([-999.0], -999.0), ([-1.0], None),
    ([-2.0, -2.0], None), ([-9.0, -9.0, -3.0], None),
])  # fmt: skip
def test_a_code_for_missing_is_told_from_measurements(values, code):
    assert sentinel(np.r_[np.arange(0.0, 20.0), values]) == code
    assert sentinel(np.array([-1.0, 0.0, 1.0] * 5)) is None  # a grade
