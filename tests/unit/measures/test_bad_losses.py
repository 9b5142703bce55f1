"""What no measure of candidates takes: every wrong table is refused with a sentence, and no NaN comes back."""

import numpy as np
import pytest

from leaq.errors import InvalidInput, LeaqError, NotEnoughEvidence
from leaq.measures.chernoff import chernoff, chernoff_exponents, exponents_with_doubt
from leaq.measures.exact import exact_leak, two_gamma, two_gaussian, union_bound
from leaq.measures.finite_sample import Options, finite_sample, leak_of
from leaq.measures.loss_gaps import LossGaps, merge_duplicates
from leaq.measures.rate import rate
from leaq.types import LossTable

FEW = Options(draws=200, most=200, close=9.0, resamples=3, bootstrap_draws=50)


def table(losses, members=None):
    losses = np.asarray(losses, float)
    members = np.zeros((1, losses.shape[1]), bool) if members is None else members
    return LossTable(losses[None], members, "regression", "iid", 20)


ON_TABLES = {"rate": rate, "finite_sample": lambda found: finite_sample(found, options=FEW)}
ON_ARRAYS = {
    "leak_of": lambda losses: leak_of(losses, 20, options=FEW),
    "exact_leak": lambda losses: exact_leak(losses, 20, most=2000),
    "union_bound": lambda losses: union_bound(losses, 20),
    "LossGaps": LossGaps.of,
    "merge_duplicates": merge_duplicates,
}
GOOD = np.random.default_rng(0).normal(np.linspace(0, 1, 4)[:, None], 1.0, (4, 30))

on_tables = pytest.mark.parametrize("measure", ON_TABLES.values(), ids=ON_TABLES)
on_arrays = pytest.mark.parametrize("measure", ON_ARRAYS.values(), ids=ON_ARRAYS)
of_two = pytest.mark.parametrize("measure", [ON_ARRAYS[name] for name in ("leak_of", "exact_leak", "union_bound")])


@on_tables
def test_one_candidate(measure):
    with pytest.raises(NotEnoughEvidence, match="at least 2 distinct candidates. All 1 candidates"):
        measure(table(GOOD[:1]))


@of_two
def test_one_candidate_as_an_array(measure):
    with pytest.raises(NotEnoughEvidence, match=r"compares at least 2 .*(Found 1|All 1)"):
        measure(GOOD[:1])


@on_tables
def test_all_candidates_equal(measure):
    with pytest.raises(NotEnoughEvidence, match="All 5 candidates under none are the same function. Record more"):
        measure(table(np.repeat(GOOD[:1], 5, axis=0)))


def test_all_codewords_equal():
    with pytest.raises(NotEnoughEvidence, match="2 distinct codewords. All 5 are the same function"):
        exact_leak(np.repeat(GOOD[:1], 5, axis=0), 20)


@on_tables
def test_fewer_records_than_candidates_is_allowed_and_flagged(measure):
    found = measure(table(np.random.default_rng(1).normal(np.linspace(0, 1, 12)[:, None], 1.0, (12, 8))))
    assert "few-records" in {flag.code for flag in found.flags}
    value = found.r if hasattr(found, "r") else found
    assert np.isfinite([value.value, value.low, value.high]).all()


@on_tables
def test_no_held_out_record(measure):
    with pytest.raises(NotEnoughEvidence, match=r"one record that trained none of them. Found shape \(4, 0\)"):
        measure(table(GOOD, members=np.ones((1, 30), bool)))


@on_arrays
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_losses_that_are_no_numbers_name_the_candidate_and_how_many(measure, bad):
    losses = GOOD.copy()
    losses[2, [3, 4, 9]] = bad
    with pytest.raises(InvalidInput, match="Found 3 NaN or infinite values, first in candidate 2"):
        measure(losses)
    with pytest.raises(InvalidInput, match="Found 3 NaN or infinite values, first in candidate 2 of model 0"):
        table(losses)


@pytest.mark.parametrize("measure", [chernoff_exponents, exponents_with_doubt])
def test_differences_that_are_no_numbers(measure):
    differences = GOOD[1:] - GOOD[0]
    differences[1, :2] = np.nan
    with pytest.raises(InvalidInput, match="Found 2 NaN or infinite values, first in row 1"):
        measure(differences)
    with pytest.raises(InvalidInput, match=r"at least one record. Found shape \(3,\)"):
        measure(np.zeros(3))
    with pytest.raises(InvalidInput, match="at least one record"):
        chernoff(np.empty(0))


@on_arrays
@pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
def test_tables_of_the_wrong_shape(measure, shape):
    with pytest.raises(InvalidInput, match=r"must be \(candidates, records\). Found shape"):
        measure(np.zeros(shape))


@on_arrays
@pytest.mark.parametrize("shape", [(0, 5), (5, 0)])
def test_empty_tables(measure, shape):
    with pytest.raises(NotEnoughEvidence, match="at least one candidate and one record"):
        measure(np.zeros(shape))


@pytest.mark.parametrize("n", [0, -3])
def test_no_or_negative_numbers_of_records(n):
    calls = (
        lambda: exact_leak(GOOD, n),
        lambda: leak_of(GOOD, n),
        lambda: union_bound(GOOD, n),
        lambda: two_gaussian(n, delta=1, sigma=1),
        lambda: two_gamma(n, shape=1.0, shift=0.5),
        lambda: LossTable(GOOD[None], np.zeros((1, 30), bool), "regression", "iid", n),
    )
    for call in calls:
        with pytest.raises(InvalidInput, match=f"at least 1. Found {n}"):
            call()


def test_options_that_make_no_sense():
    with pytest.raises(InvalidInput, match="must leave non-members in the pool. Found 20 of 20"):
        leak_of(GOOD, 20, options=Options(pool=20))
    with pytest.raises(InvalidInput, match="level must be between 0 and 1. Found 95"):
        leak_of(GOOD, 20, level=95)
    with pytest.raises(InvalidInput, match="no or at least 2 resamples. Found Options.*resamples=1"):
        leak_of(GOOD, 20, options=Options(resamples=1))
    with pytest.raises(NotEnoughEvidence, match="at least 4 records. Found 3"):
        leak_of(GOOD[:, :3], 2)
    flat = np.random.default_rng(0).normal(0, 1, (40, 30))
    with pytest.raises(NotEnoughEvidence, match=r"is not settled by 100 draws"):
        leak_of(flat, 20, options=Options(draws=100, most=100))


def test_nothing_comes_back_as_nan():
    """Degenerate but allowed: constants, one value that differs, huge and tiny losses, as many ties as can be."""
    rng = np.random.default_rng(0)
    odd = np.zeros((3, 12))
    odd[1, 0], odd[2, 1] = 1e-9, 1.0
    tables = [odd, np.arange(3.0)[:, None] + np.zeros((3, 12)), 1e150 * GOOD, 1e-150 * GOOD]
    tables.append((rng.random((5, 12)) < 0.5).astype(float))
    for losses in tables:
        for measure in (*ON_TABLES.values(), *ON_ARRAYS.values()):
            of_table = measure in ON_TABLES.values()
            try:
                found = measure(table(losses) if of_table else losses)
            except LeaqError:
                continue
            for value in vars(found).values() if hasattr(found, "__dict__") else [found]:
                if isinstance(value, float | np.ndarray):
                    assert not np.isnan(value).any()
