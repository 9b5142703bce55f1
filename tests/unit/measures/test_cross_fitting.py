"""The cross-fitted rate: as its slow twin, one half after the other, and not flattered by the choice."""

import numpy as np
import pytest

from leaq.measures import cross_fitting
from leaq.measures.cross_fitting import alike, cross_fitted, halvings


def candidates(rng, gaps=(0.0, 0.3), n=2000):
    losses = rng.normal(np.array(gaps)[:, None], 1.0, size=(len(gaps), n))
    return losses[np.argsort(losses.mean(1))]


def twin(losses, halves):
    measured = []
    for half in halves:
        best = losses[:, half].mean(1).argmin()
        differences = losses - losses[best]
        inside = differences[:, half]
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = inside.mean(1) / inside.std(1, ddof=1)
        ratio[best] = np.inf
        rest = differences[ratio.argmin(), ~half]
        spread = rest.std(ddof=1)
        measured.append(rest.mean() / spread if spread > 0 else np.sign(rest.mean()) * np.inf)
    return max(np.mean(measured), 0.0) ** 2 / 2


@pytest.mark.parametrize("block", [2**22, 500, 1])
def test_it_is_that_of_one_half_after_the_other_however_many_are_worked_on_at_once(rng, block, monkeypatch):
    monkeypatch.setattr(cross_fitting, "BLOCK", block)
    sets = [candidates(rng, gaps, n) for gaps, n in (((0.0, 0.1, 0.2), 40), ((0.0, 0.5), 31), ((0.0, 0.2, 0.3), 40))]
    halves = [halvings(one.shape[1], rng) for one in sets]
    assert cross_fitted(sets, halves) == pytest.approx([twin(*both) for both in zip(sets, halves, strict=True)])


def test_the_value_is_not_flattered_by_the_choice(rng):
    """The sample's own smallest ratio is too small or too large by its noise; measured on other records it is not."""
    found = cross_fitted([candidates(rng) for _ in range(60)], [halvings(2000, rng) for _ in range(60)])
    assert np.mean(found) == pytest.approx((0.3 / np.sqrt(2)) ** 2 / 2, rel=0.1)


def test_a_worse_candidate_that_never_varies_is_infinitely_far_and_an_equal_one_at_nothing(rng):
    whole = np.round(rng.normal(size=64) * 1024) / 1024  # to which 1 can be added exactly
    halves = halvings(64, rng)
    assert cross_fitted([np.stack([whole, whole + 1.0])], [halves])[0] == np.inf
    assert cross_fitted([np.stack([whole, whole])], [halves])[0] == 0.0


def test_each_half_stands_beside_its_complement(rng):
    halves = halvings(11, rng)
    assert halves.shape == (2 * cross_fitting.SPLITS, 11)
    assert (halves[::2] != halves[1::2]).all()
    assert set(halves.sum(1)) == {5, 6}


def test_places_of_one_shape_come_together():
    assert alike([(2, 3), (4,), (2, 3)]) == [[0, 2], [1]]
