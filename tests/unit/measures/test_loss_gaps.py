import numpy as np
import pytest

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.loss_gaps import LossGaps, gaps, merge_duplicates, rate_of
from leaq.measures.rate import rate
from tests.helpers import ROUNDING
from tests.unit.measures.test_rate import noisy, table


def slow_rate(losses):
    """The definition, one candidate at a time."""
    best = min(range(len(losses)), key=lambda k: losses[k].mean())
    others = [losses[k] - losses[best] for k in range(len(losses)) if k != best]
    return min(d.mean() ** 2 / (2 * d.var(ddof=1)) for d in others)


def wrong_rate(losses):
    """The same against the first candidate, whichever is best."""
    return min(d.mean() ** 2 / (2 * d.var(ddof=1)) for d in losses[1:] - losses[0])


def test_rate_follows_its_definition_and_a_wrong_reference_does_not():
    losses = noisy([0.4, 0.0, 0.3, 0.9])
    assert LossGaps.of(losses).rate == pytest.approx(slow_rate(losses), rel=1e-10)
    assert rate(table(losses)).plug_in == pytest.approx(slow_rate(losses), rel=1e-10)
    assert LossGaps.of(losses).rate != pytest.approx(wrong_rate(losses), rel=1e-3)


def test_lambda_matrix_follows_its_definition():
    losses = noisy([0.0, 0.2, 0.5, 0.6])
    losses = losses[np.argsort(losses.mean(1))]
    found = LossGaps.of(losses)
    delta, d = losses.mean(1) - losses[0].mean(), losses - losses[0]
    slow = np.array(
        [[delta[1] ** 2 / (delta[j] * delta[k]) * np.cov(d[j], d[k])[0, 1] for k in range(1, 4)] for j in range(1, 4)]
    )
    np.testing.assert_allclose(found.Lambda, slow, **ROUNDING)
    assert found.delta[1] ** 2 / (2 * found.lambdas.max()) == pytest.approx(found.rate)


def test_duplicates_are_merged_and_counted():
    losses = noisy([0.0, 0.5])
    doubled = np.concatenate([losses, losses + 1e-9 * np.random.default_rng(0).normal(size=losses.shape)])
    assert len(merge_duplicates(doubled)) == 2
    found = rate(table(doubled))
    assert found.candidates == 2
    assert "merged-candidates" in {flag.code for flag in found.flags}


def test_a_worse_candidate_that_never_varies_gives_an_infinite_rate():
    base = noisy([0.0])[0]
    assert (
        rate_of(*gaps(np.stack([base, base + 1]))) == pytest.approx(np.inf)
        or LossGaps.of(np.stack([base, base + 1])).rate > 1e10
    )


def test_refusals():
    with pytest.raises(NotEnoughEvidence, match="at least 2 distinct candidates"):
        rate(table(np.ones((3, 20))))
    with pytest.raises(NotEnoughEvidence, match="at least 2 distinct candidates"):
        rate(table(noisy([0.0])))
    with pytest.raises(NotEnoughEvidence, match="at least 4 held-out records"):
        rate(table(noisy([0.0, 1.0], n=3)))
    with pytest.raises(InvalidInput, match=r"\(candidates, records\)"):
        gaps(np.zeros(3))
    with pytest.raises(InvalidInput, match="first in candidate 1"):
        gaps(np.array([[0.0, 1.0], [np.inf, 1.0]]))
    with pytest.raises(NotEnoughEvidence, match="at least 2 candidates"):
        rate_of(np.zeros(1), np.zeros(1))
