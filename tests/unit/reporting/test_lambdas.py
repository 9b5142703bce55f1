"""Which candidates decide r: loss tables built so that the answer is low k, not low k, or cannot be told."""

import numpy as np
import pytest

from leaq.measures.loss_gaps import LossGaps
from leaq.measures.rate import rate
from leaq.reporting.lambdas import lambda_table, lambda_verdict, peak, statement
from leaq.results import Curve
from leaq.types import LossTable
from tests.results import cell, row

RECORDS = 2000


def losses(*pairs, seed=0):
    """Losses whose differences to the best candidate have these means and standard deviations."""
    rng = np.random.default_rng(seed)
    best = rng.exponential(1, RECORDS)
    worse = [best + mean + sd * rng.standard_normal(RECORDS) for mean, sd in pairs]
    return np.stack([best, *worse])


# delta / sigma by k: the smallest decides. Eight others, so that k = 2 and 3 are the lowest quarter.
LOW = losses((0.2, 1.0), *((1.0 + k / 2, 1.0) for k in range(7)))
NOT_LOW = losses(*((0.02 + k / 100, 0.01) for k in range(7)), (2.0, 10.0))
UNDECIDED = losses((0.1, 1.0), *((0.5 + k / 10, 0.1) for k in range(6)), (2.0, 20.0))


def curve_of(*models):
    stacked = np.stack(models)
    table = LossTable(stacked, np.zeros((len(models), RECORDS), bool), "regression", "iid", 100)
    return rate(table).curve


@pytest.mark.parametrize(
    ("table", "k", "said"),
    [
        (LOW, 2, "k = 2 of 9, at low k: candidates near the optimum decide r in this run."),
        (NOT_LOW, 9, "k = 9 of 9, not at low k: sampling near the optimum alone would overstate r in this run."),
    ],
    ids=["low", "not low"],
)
def test_the_deciding_candidate_is_found(table, k, said):
    curve = curve_of(table)
    assert peak(curve) == k == int(LossGaps.of(table).lambdas.argmax()) + 2
    assert statement(curve) == f"the largest lambda_k is at {said}"


def test_what_cannot_be_told_is_not_told():
    curve = curve_of(UNDECIDED)
    assert lambda_verdict(curve) == "undecided"
    assert "undecided: the bands of candidates at low k and of others both reach" in statement(curve)


def test_models_that_disagree_leave_it_undecided():
    assert [lambda_verdict(curve_of(table)) for table in (LOW, NOT_LOW)] == ["low k", "not at low k"]
    assert lambda_verdict(curve_of(LOW, NOT_LOW)) == "undecided"


def test_a_verdict_by_the_peak_alone_would_be_caught():
    """The negative control: the peak of the undecided table is at one end, its band says nothing of the kind."""
    curve = curve_of(UNDECIDED)
    assert lambda_verdict(Curve(curve.x, curve.y)) != lambda_verdict(curve)


def test_bands_hold_the_curve_and_narrow_with_the_noise():
    for table in (LOW, NOT_LOW, UNDECIDED):
        curve = curve_of(table)
        assert curve.x == tuple(float(k) for k in range(2, 10))
        assert all(0 <= low <= y <= high <= 1 for low, y, high in zip(curve.low, curve.y, curve.high, strict=True))
    decided, open_ = curve_of(LOW), curve_of(UNDECIDED)
    assert decided.low[0] == decided.high[0] == 1.0
    assert open_.high[7] == 1.0
    assert open_.low[7] < 0.5


def test_the_values_are_lambda_over_its_largest():
    expected = LossGaps.of(LOW).lambdas / LossGaps.of(LOW).lambdas.max()
    np.testing.assert_allclose(curve_of(LOW).y, expected, rtol=1e-6)


def test_a_single_other_candidate_is_at_low_k():
    assert lambda_verdict(curve_of(losses((0.5, 1.0)))) == "low k"


def test_the_table_shows_every_band_and_says_the_verdict_of_each_quantizer():
    result = cell(row("none", "full precision", 0.3), row("sign", "sign", 0.1))
    table = lambda_table({row.label: row.curves["lambda_k"] for row in result.rows})
    assert table.rows[1] == ("full precision", "3", "0.500", "[0.200, 0.800]")
    assert len(table.rows) == 6
    assert [str(note).split(":")[0].strip() for note in table.footnotes] == ["full precision", "sign"]
    assert all("at k = 2 of 4, at low k" in str(note) for note in table.footnotes)
