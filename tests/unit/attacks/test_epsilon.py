import numpy as np
import pytest
from scipy import stats

from leaq.attacks.epsilon import epsilon_bound, one_run_epsilon
from leaq.attacks.threshold import Threshold
from leaq.errors import NotEnoughEvidence
from leaq.types import LossTable, NotComputed
from tests.attack_tables import paired_members, planted


@pytest.mark.parametrize(("right", "guesses"), [(90, 100), (100, 100), (60, 100), (19, 20)])
def test_the_bound_is_where_the_binomial_tail_reaches_the_level(right, guesses):
    epsilon = one_run_epsilon([right], [guesses])
    share = np.exp(epsilon) / (1 + np.exp(epsilon))
    assert stats.binom.sf(right - 1, guesses, share) == pytest.approx(0.05, abs=1e-4) or epsilon == 0.0


def test_guessing_at_random_bounds_nothing():
    assert one_run_epsilon([50], [100]) == 0.0


def test_dependent_runs_pay_the_factor_two():
    assert one_run_epsilon([90, 90], [100, 100]) < one_run_epsilon([90], [100])


def test_randomised_response_is_never_refuted_too_often(rng):
    """Guesses right with probability e/(1+e) exactly: epsilon 1 holds, and is refuted in at most 5 % of the runs."""
    share = np.e / (1 + np.e)
    wrong = np.mean([one_run_epsilon([rng.binomial(150, share)], [150]) > 1.0 for _ in range(100)])
    assert wrong < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


def test_no_leak_and_a_strong_leak(rng):
    none = planted(rng, leak=0.0, n=400)
    assert epsilon_bound(none, none.scores, targets=range(12)).low < 0.3
    strong = planted(rng, leak=8.0, n=400)
    found = epsilon_bound(strong, strong.scores - strong.scores.mean(0), targets=range(12))
    assert found.low > 1.5
    assert found.high == np.inf
    assert "one-run auditing" in found.method


def randomised_response(rng, epsilon, *, models=8, n=160):
    """A mechanism that releases every record's membership, flipped so often that it is exactly epsilon-private.

    Replacing one record changes two memberships, so each answer is (epsilon / 2)-private.
    """
    members = paired_members(rng, models, n)
    kept = rng.random(members.shape) < np.exp(epsilon / 2) / (1 + np.exp(epsilon / 2))
    answers = np.where(kept, members, ~members) + 1e-9 * rng.random(members.shape)
    return LossTable(1 - answers[:, None] / 2, members, "regression", "pool", n // 2, scores=answers)


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("epsilon", [0.5, 2.0])
def test_a_mechanism_of_known_epsilon_is_refuted_at_most_as_often_as_allowed(epsilon, pooled, rng):
    wrong = 0
    for _ in range(200):
        table = randomised_response(rng, epsilon)
        again = (lambda targets, _, table=table: table.scores[targets]) if pooled else None
        wrong += epsilon_bound(table, table.scores, targets=range(8), scores_from=again).low > epsilon
    assert wrong / 200 < 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)


def test_pooling_independent_runs_comes_nearer_to_the_truth(rng):
    table = randomised_response(rng, 3.0, n=400)
    apart = epsilon_bound(table, table.scores, targets=range(8))
    pooled = epsilon_bound(table, table.scores, targets=range(8), scores_from=lambda who, _: table.scores[who])
    assert apart.low < pooled.low < 3.0
    assert "independent runs, pooled" in pooled.method
    assert pooled.value == pooled.low


def test_one_model_of_every_second_pair_is_attacked_by_models_of_the_others(rng):
    asked = []

    def again(targets, shadows):
        asked.append((list(targets), list(shadows)))
        return table.scores[targets]

    table = planted(rng, models=10, n=200)
    epsilon_bound(table, table.scores[:8], targets=range(8), scores_from=again)
    assert asked == [([0, 4], [2, 3, 6, 7, 8, 9])]


def test_too_few_shadows_for_independent_runs_leave_the_dependent_ones(rng):
    def again(targets, shadows):
        raise NotEnoughEvidence("too few")

    table = planted(rng, models=6, n=200)
    found = epsilon_bound(table, table.scores, targets=range(6), scores_from=again)
    assert "dependent runs" in found.method


def test_given_members_bound_nothing(rng):
    table = LossTable.from_losses(rng.random(50), rng.random(50))
    with pytest.raises(NotEnoughEvidence, match="members drawn as a random half of a pool"):
        epsilon_bound(table, -table.released, targets=[0])


def test_few_pairs_are_refused(rng):
    table = planted(rng, n=30)
    with pytest.raises(NotEnoughEvidence, match="at least 20 pairs"):
        epsilon_bound(table, table.scores, targets=range(12))


def test_attackers_who_are_told_other_members_bound_no_epsilon(rng):
    found = Threshold(per="label")(planted(rng, n=200))
    assert isinstance(found.epsilon, NotComputed)
    assert "told the membership of other records" in found.epsilon.reason


@pytest.mark.parametrize(("right", "guesses"), [(100, 100), (60, 100), (30_000, 50_000), (21, 40)])
def test_one_run_needs_no_search_for_the_root(right, guesses, monkeypatch):
    from scipy import optimize

    # Two runs that are the same give twice the same p-value: half the error of one.
    searched = one_run_epsilon([right, right], [guesses, guesses], level=0.9)
    monkeypatch.setattr(optimize, "brentq", None)
    assert one_run_epsilon([right], [guesses], level=0.95) == pytest.approx(searched, abs=3e-8)
