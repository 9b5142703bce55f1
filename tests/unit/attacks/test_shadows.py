"""The statistics of shadows: whom they come from, and what is refused."""

import numpy as np
import pytest

from leaq.attacks.shadows import Shadows, same_models
from leaq.errors import InvalidInput, NotEnoughEvidence
from tests.attack_tables import planted, with_


def test_the_target_its_complement_and_the_models_named_are_no_shadows(rng):
    table = planted(rng)
    shadows = Shadows(table.scores, table.members)
    assert shadows.excluded(4) == [4, 5]
    assert shadows.excluded(4, [0, 5]) == [0, 4, 5]
    assert (shadows.count(4), shadows.count(4, [0, 1])) == (10, 8)


def test_statistics_are_those_of_the_models_that_are_left(rng):
    table = planted(rng)
    found = Shadows(table.scores, table.members).of(2, [0, 1], attack="probe")
    for i in range(table.members.shape[1]):
        inside = [table.scores[s, i] for s in range(4, 12) if table.members[s, i]]
        outside = [table.scores[s, i] for s in range(4, 12) if not table.members[s, i]]
        assert (found.count_in[i], found.count_out[i]) == (len(inside), len(outside))
        assert found.mean_in[i] == pytest.approx(np.mean(inside))
        assert found.square_out[i] == pytest.approx(np.var(outside) * len(outside))


@pytest.mark.parametrize("models", [12, 7], ids=["complements", "an odd one without"])
def test_means_alone_are_those_of_the_statistics(models, rng):
    table = planted(rng)
    shadows = Shadows(table.scores[:models], table.members[:models])
    known = shadows.of_all(range(models), attack="probe")
    inside, outside = shadows.means(attack="probe")
    np.testing.assert_array_equal(inside, known.mean_in)
    np.testing.assert_array_equal(outside, known.mean_out)
    with pytest.raises(NotEnoughEvidence, match="probe needs every record in some shadows"):
        Shadows(table.scores, np.vstack([np.ones((1, table.members.shape[1]), bool)] * 12)).means(attack="probe")


def test_models_without_complements_lose_themselves_alone(rng):
    scores, members = rng.normal(size=(9, 400)), rng.random((9, 400)) < 0.5
    kept = (members.sum(0) > 1) & (members.sum(0) < 8)
    scores, members = scores[:, kept], members[:, kept]
    every = Shadows(scores, members).of_all(range(9), attack="probe")
    for target in range(9):
        one = Shadows(scores, members).of_all([target, 0], attack="probe")
        np.testing.assert_allclose(every.mean_in[target], one.mean_in[0])
        np.testing.assert_allclose(every.square_out[target], one.square_out[0], atol=1e-12)


def test_fewer_than_four_shadows_are_refused(rng):
    table = planted(rng, models=4)
    with pytest.raises(NotEnoughEvidence, match=r"probe needs at least 4 shadow models .* complement. Found 2"):
        Shadows(table.scores, table.members).of(0, attack="probe")


@pytest.mark.parametrize(("value", "word"), [(False, "in none"), (True, "out of none")])
def test_a_record_never_in_or_never_out_is_named(value, word, rng):
    table = planted(rng)
    members = table.members.copy()
    members[:, 7] = value
    with pytest.raises(NotEnoughEvidence, match=rf"1 row \(7\) are {word} of"):
        Shadows(table.scores, members).of(0, attack="probe")


def test_who_needs_no_shadows_in_a_record_is_not_refused(rng):
    table = planted(rng)
    members = table.members.copy()
    members[:, 7] = False
    assert Shadows(table.scores, members).of(0, attack="probe", sides="out").count_out[7] == 11


def test_a_variance_per_record_needs_two_shadows_a_side(rng):
    table = planted(rng, models=8)
    members = np.zeros_like(table.members)
    members[0, :-1], members[1, -1] = True, True
    with pytest.raises(NotEnoughEvidence, match="at least 2 shadows in and 2 out"):
        Shadows(table.scores, members).of(3, attack="probe").variances("per_record")


def test_shadows_of_other_models_are_refused(rng):
    table = planted(rng)
    same_models(table, with_(table, scores=table.scores + 1), attack="probe")
    for other in (planted(rng), planted(rng, n=50), planted(rng, models=10)):
        with pytest.raises(InvalidInput, match="probe: shadows must hold the same models and records"):
            same_models(table, other, attack="probe")


def test_statistics_over_everyone_are_those_counted_record_by_record(rng):
    signals, members = rng.normal(3.0, 1.0, size=(7, 20)), rng.random((7, 20)) < 0.5
    members[:, 0] = True
    found = Shadows(signals, members, own=()).everyone()
    for record in range(1, 20):
        inside, outside = signals[members[:, record], record], signals[~members[:, record], record]
        counts = (len(inside), len(outside))
        assert (found.count_in[record], found.count_out[record]) == counts
        for part, mean, square in (
            (inside, found.mean_in, found.square_in),
            (outside, found.mean_out, found.square_out),
        ):
            assert mean[record] == pytest.approx(part.mean() if len(part) else signals[:, record].mean())
            assert square[record] == pytest.approx(((part - part.mean()) ** 2).sum() if len(part) else 0.0, abs=1e-9)
    assert found.mean_out[0] == pytest.approx(signals[:, 0].mean())
