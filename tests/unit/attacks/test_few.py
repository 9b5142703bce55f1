"""The attack on a handful of replicates: blind where nothing leaks, and it knows no membership it should not know."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.few import MOST_RECORDS, attacked, expected_separation, running_mean, thinned, usable
from leaq.attacks.forecast import forecasts
from leaq.stats.roc import auc
from tests.unit.attacks.test_forecast import audit, few


def areas(table):
    found = attacked(usable(table)[0])
    return np.array([[auc(*one) for one in zip(scores, found.members, strict=True)] for scores in found.scores])


@pytest.mark.parametrize(("count", "kind"), [(4, "few"), (6, "few"), (8, "combined")])
def test_the_attack_depends_on_how_many_there_are(count, kind):
    found = attacked(usable(few(audit(1.0), count))[0])
    assert found.attack == kind
    assert found.scores.shape[1:] == (count, 300)
    assert found.pairs.tolist() == [i // 2 for i in range(count)]


@pytest.mark.parametrize("count", [4, 8])
def test_without_any_leak_a_few_replicates_find_none(count):
    """What shared variances give away of a target is measured on memberships nobody trained on, and taken off."""
    found = []
    for seed in range(20):
        table = usable(few(audit(0.0, seed=seed, n=400), count))[0]
        found.append(areas(table).mean() - attacked(table).blind.mean() - 0.5)
    assert np.mean(found) == pytest.approx(0.0, abs=3.5 * np.std(found) / np.sqrt(20))


def test_with_a_leak_they_find_it():
    assert areas(few(audit(1.0), 4)).mean() > 0.6
    assert areas(few(audit(1.0), 8)).mean() > 0.6


def test_only_the_records_somebody_trained_on_are_kept():
    table = few(audit(1.0), 4)
    keep = np.arange(300) < 250
    part = replace(table, members=table.members & keep)
    kept, pool = usable(part)
    assert pool.tolist() == keep.tolist()
    assert kept.scores.shape == (4, 250)


def test_exposure_is_a_distance_in_standard_deviations():
    rng = np.random.default_rng(0)
    table = audit(0.0, n=400)
    shifted = replace(table, scores=rng.normal(size=table.scores.shape) + 2 * table.members)
    assert np.median(expected_separation(usable(few(shifted, 32))[0])) == pytest.approx(2, abs=0.3)


def test_a_running_mean_is_that_of_the_nearest():
    key, values = np.array([3.0, 1.0, 2.0, 5.0, 4.0, 6.0]), np.array([30.0, 10.0, 20.0, 50.0, 40.0, 60.0])
    window = [np.mean([10, 20, 30]), np.mean([10, 20, 30, 40]), np.mean([10, 20, 30, 40, 50])]
    assert running_mean(key, values)[[1, 2, 0]].tolist() == window


def test_of_many_records_the_same_few_thousand_are_attacked():
    table = few(audit(1.0, models=4, n=MOST_RECORDS + 1000), 4)
    kept, other = thinned(usable(table)[0]), thinned(usable(replace(table, scores=table.scores + 1))[0])
    assert kept.members.shape == (4, MOST_RECORDS)
    np.testing.assert_array_equal(kept.members, other.members)
    assert areas(table).mean() == pytest.approx(areas(kept).mean(), abs=0.01)
    small = usable(few(audit(1.0), 4))[0]
    assert thinned(small) is small


def test_of_many_records_what_is_known_beside_the_losses_stays_behind(rng):
    """Statistics of the weights are of all records: a table of some of them has none."""
    table = audit(1.0, models=8, n=MOST_RECORDS + 100)
    n = table.members.shape[1]
    more = {
        "whitebox": rng.normal(size=(8, n, 3)),
        "outputs": rng.normal(size=(8, n, 2)),
        "numbers": {"bias": np.ones((8, 2))},
    }
    whole = replace(table, **more, targets=np.arange(n) % 2)
    few_of_them = thinned(usable(whole)[0])
    assert few_of_them.members.shape == (8, MOST_RECORDS)
    assert (few_of_them.whitebox, few_of_them.numbers) == (None, None)
    assert few_of_them.outputs.shape == (8, MOST_RECORDS, 2)
    forecasts({"none": whole, "sign": whole}, full="none")
