"""Scores of Level B, each on a case small enough to be counted by hand."""

import json
from pathlib import Path

import numpy as np
import pytest
from benchmarks.fidelity import scores
from benchmarks.fidelity.reference import told_apart

from leaq.attacks.forecast import FEW
from leaq.measures.one_run import AGREES, WORST


def record(**more):
    """Four quantizers, the first two of one width; both repetitions agree but about the last two."""
    return {
        "reference": [[0.8, 0.6, 0.4, 0.39], [0.82, 0.58, 0.38, 0.4]],
        "widths": [4, 4, 2, 1],
        "told apart": [(1, 0), (2, 0), (3, 0), (2, 1), (3, 1)],
        "tpr": [[0.2, 0.1, 0.05, 0.05]] * 2,
        **more,
    }


def test_concordance_counts_pairs_that_are_told_apart_and_halves_ties():
    assert scores.concordance(record(), np.array([4.0, 3.0, 1.0, 2.0])) == 1.0
    assert scores.concordance(record(), np.array([4.0, 4.0, 1.0, 2.0])) == pytest.approx(0.9)
    assert scores.concordance(record(), np.array([3.0, 4.0, 1.0, 2.0])) == pytest.approx(0.8)
    assert scores.concordance(record(), np.array([3.0, 4.0, 1.0, 2.0]), within=True) == 0.0
    assert scores.concordance(record(), np.array([np.nan, 4.0, 1.0, 2.0])) == 1.0


def test_tau_is_divided_by_what_the_reference_repeats():
    values = np.array([4.0, 3.0, 1.0, 2.0])
    again = 2 / 3  # one pair of six the other way round
    assert scores.corrected(record(), values) == pytest.approx(scores.tau(record(), values) / np.sqrt(again))
    nothing = record(reference=[[0.1, 0.2, 0.3, 0.4], [0.4, 0.3, 0.2, 0.1]])
    assert scores.corrected(nothing, values) is None


def test_misses_intervals_and_factors_of_a_forecast():
    said = {"advantage": [0.9, 0.6, 0.4, 0.4], "low": [0.85, 0.5, 0.3, 0.3], "high": [1.0, 0.7, 0.5, 0.5]}
    one = record(forecasts={"f": [said | {"tpr": [0.4, 0.1, 0.05, None], "flagged": [True, False, False, False]}]})
    errors, flagged = scores.misses(one, "f")
    assert errors[0] == pytest.approx([0.09, 0.01, 0.01, 0.005])
    assert flagged.tolist() == [[True, False, False, False]]
    assert scores.covered(one, "f") == 0.75
    assert scores.factor(one, "f") == pytest.approx(np.log(2) / 3)


def test_orders_of_records_count_only_where_the_reference_repeats_its_own():
    one = record(records={"again": [0.8, 0.1], "f": [0.4, 0.9]})
    assert scores.by_record(one, "f") == pytest.approx(0.5)
    assert scores.by_record(record(records={"again": [0.1], "f": [0.9]}), "f") is None


def test_a_pair_is_told_apart_where_both_repetitions_say_so_the_same_way_round():
    rng = np.random.default_rng(0)
    base = rng.normal(0.5, 0.05, (2, 64))
    noise = rng.normal(0, 0.01, (2, 64))
    assert told_apart(base + 0.02 + noise, base)
    assert told_apart(base, base + 0.02 + noise)
    assert not told_apart(base + noise, base)
    assert not told_apart(base + np.array([[0.02], [-0.02]]) + noise, base)


@pytest.fixture(scope="module")
def others():
    """The recorded settings that were not used in development."""
    path = Path(scores.__file__).with_name("results") / "level_b.json"
    return [record for record in json.loads(path.read_text()).values() if not record["dev"]]


def test_what_users_are_told_of_one_run_is_what_was_measured(others):
    found = [one for record in others if (one := scores.by_record(record, "one run")) is not None]
    assert (AGREES.value, AGREES.low, AGREES.high) == pytest.approx(scores.interval(found), abs=0.005)
    assert AGREES.n == len(found)
    assert pytest.approx(min(found), abs=0.005) == WORST


def test_what_users_are_told_of_forecasts_from_few_replicates_is_what_was_measured(others):
    missed = {}
    for count in (4, 8):
        each = [np.abs(scores.misses(record, f"forecast of {count}")[0]) for record in others]
        missed[count] = float(np.mean([one.mean() for one in each]))
        large = float(np.mean(np.concatenate([one.ravel() for one in each]) > scores.LARGE))
        assert round(100 * large) == {4: 3, 8: 0}[count]
    assert f"missed by {missed[4]:.2f} on average" in FEW.text
    assert f"missed by {missed[8]:.3f}" in FEW.text
    silent = [(np.abs(miss) > scores.LARGE) & ~flagged for miss, flagged in map(of_four, others)]
    assert not any(one.any() for one in silent)


def of_four(record):
    return scores.misses(record, "forecast of 4")
