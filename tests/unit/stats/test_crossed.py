import numpy as np
import pytest

from leaq.stats.crossed import Influence, crossed
from leaq.stats.intervals import TwoWay


def drawn(rng, *, units=8, records=200, record=1.0, unit=1.0, cell=1.0, draws=200):
    """A (units, records) table of three effects, and its means over records in each draw of the records."""
    table = record * rng.normal(size=records) + unit * rng.normal(size=(units, 1))
    table = table + cell * rng.normal(size=(units, records))
    ways = TwoWay.draw(units, np.arange(records), draws=draws, rng=rng)
    return table.mean(1), ways.records @ table.T / ways.records.sum(1, keepdims=True), ways


@pytest.mark.parametrize(("record", "unit"), [(3.0, 0.0), (0.0, 0.3), (2.0, 0.1), (0.0, 0.0)])
def test_intervals_of_a_mean_over_few_models_cover(record, unit, rng):
    hits = [
        low <= 0 <= high
        for low, high in (crossed(*drawn(rng, record=record, unit=unit, draws=100)).interval() for _ in range(100))
    ]
    assert np.mean(hits) >= 0.95 - 3 * np.sqrt(0.95 * 0.05 / 100)


def test_a_bootstrap_over_records_alone_misses_the_models(rng):
    """Negative control: the same audits, with intervals from the records' draws alone."""
    hits = []
    for _ in range(100):
        found = crossed(*drawn(rng, record=0.0, unit=0.3, draws=100))
        hits.append(abs(found.value) <= 1.96 * found.records.std())
    assert np.mean(hits) < 0.7


def test_what_two_rows_share_cancels_in_their_difference(rng):
    values, draws, ways = drawn(rng)
    one, other = crossed(values, draws, ways), crossed(values + 0.5, draws + 0.5, ways)
    assert (other - one).value == pytest.approx(0.5)
    assert (other - one).error() == pytest.approx(0.0, abs=1e-12)
    assert one.error() > 0.1


def test_what_a_jackknife_multiplies_is_taken_off_in_a_difference_alone(rng):
    values, draws, ways = drawn(rng, record=0.0, unit=0.0)
    noise = Influence(rng.normal(size=8), rng.normal(size=(200, 8)))
    none = Influence(np.zeros(8), np.zeros((200, 8)))
    single = crossed(values, draws, ways, influence=noise)
    difference = single - crossed(0 * values, 0 * draws, ways, influence=none)
    assert difference.error() < single.error()
    assert difference.value == single.value


def test_one_unit_leaves_the_records_alone(rng):
    values, draws, ways = drawn(rng, units=1)
    found = crossed(values, draws, ways)
    assert found.error() == pytest.approx(found.records.std())
    np.testing.assert_allclose(found.draws(), found.value + found.records)
