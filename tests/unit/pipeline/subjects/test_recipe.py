import copy
import pickle
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import leaq
from leaq.data import load
from leaq.errors import InvalidInput, UnsupportedModel
from leaq.pipeline.subjects.recipe import OwnTraining
from leaq.types import Checkpoints, NotComputed, silent
from tests.unit.pipeline.subjects.cases import N, leak, net, overfit, quick


def test_a_training_of_ones_own_gets_the_whole_audit(table):
    result = leaq.audit(table, recipe=overfit, **quick())
    assert leak(result).low > 0.2
    assert isinstance(result.rows[0].measures["r"], NotComputed)
    assert any(flag.code == "no-checkpoints" for flag in result.flags)


def test_candidates_that_a_recipe_recorded_are_used(table):
    def recorded(records, seed):
        early, late = overfit(records, seed, steps=20), overfit(records, seed)
        first, last = early.state_dict(), late.state_dict()
        both = {name: torch.stack([first[name], last[name]])[None] for name in first}
        roles = {name: "linear" if "weight" in name else "bias" for name in both}
        return late, Checkpoints(both, roles, (1, 2), (20, 120))

    result = leaq.audit(table, recipe=recorded, **quick())
    assert result.rows[0].measures["r"].n > 0
    assert all(flag.code != "no-checkpoints" for flag in result.flags)


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_generators_alone(table):
    def drawn(records, seed):
        torch.rand(1), np.random.rand()  # noqa: NPY002 - what recipes do
        return overfit(records, int(np.random.randint(100)), steps=5)  # noqa: NPY002

    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1][0]  # noqa: NPY002
    first, again = (leaq.audit(table, recipe=drawn, **quick(replicates=4)) for _ in range(2))
    assert np.random.get_state()[1][0] == before  # noqa: NPY002
    assert first.rows[0].metrics == again.rows[0].metrics


def test_a_recipe_that_looks_at_none_of_its_records_is_doubted(table):
    pool = load(table, target="y")
    members = np.arange(2 * len(pool)).reshape(2, -1) % 2 == 0

    def everything(records, seed):
        assert len(records) < len(pool)
        return overfit(pool, seed, steps=2)

    def joined(records, seed):
        return overfit(pool.take(np.isin(pool.ids, records.ids)), seed, steps=2)

    def through(way):
        return lambda records, seed: overfit(way(records), seed, steps=2)

    ways = (copy.copy, copy.deepcopy, lambda records: pickle.loads(pickle.dumps(records)), replace)
    for recipe, doubted in ((everything, True), (joined, False), *((through(way), False) for way in ways)):
        made = OwnTraining(recipe, 0).train(pool, members, which=slice(0, 2), progress=silent)
        assert ("records-unread" in {flag.code for flag in made.flags}) is doubted


def test_converting_an_estimator_draws_no_numbers(table):
    def logistic(records, _seed):
        return LogisticRegression().fit(records.inputs, records.targets)

    before = torch.get_rng_state()
    leaq.audit(table, recipe=logistic, **quick(replicates=4))
    assert torch.equal(torch.get_rng_state(), before)


def test_scikit_learn_networks_are_read_with_the_scalers_in_front_of_them(table, rng):
    def logistic(records, _seed):
        return make_pipeline(StandardScaler(), LogisticRegression(C=1e4)).fit(records.inputs, records.targets)

    result = leaq.audit(table, recipe=logistic, **quick())
    file = result.rows[0].attacks["file"]
    assert file.advantage.low > 0.1  # six means and six scales of the members say who is one
    values = table.assign(y=rng.normal(size=N))

    def perceptron(records, seed):
        model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=seed)
        return make_pipeline(MinMaxScaler(), model).fit(records.inputs, records.targets)

    regressed = leaq.audit(values, recipe=perceptron, **quick(replicates=4))
    assert regressed.primary_metric == "r2"
    assert any(flag.code == "recipe-warning" for flag in regressed.flags)  # it did not converge


def test_two_models_of_one_recipe_are_what_scikit_learn_predicts(table, rng):
    from leaq.data import load
    from leaq.pipeline.subjects.recipe import OwnTraining
    from leaq.types import silent

    samples = load(table, target="y")
    fitted = {}

    def logistic(records, seed):
        fitted[seed] = make_pipeline(StandardScaler(), LogisticRegression()).fit(records.inputs, records.targets)
        return fitted[seed]

    members = np.tile(np.arange(N) < N // 2, (2, 1))
    members[1] = ~members[1]
    made = OwnTraining(logistic, seed=0).train(samples, members, which=slice(0, 2), progress=silent)
    outputs = made.model.forward(made.checkpoints.last().params, torch.tensor(samples.inputs, dtype=torch.float64))
    for one, estimator in zip(outputs, fitted.values(), strict=True):
        np.testing.assert_allclose(one.softmax(1).numpy(), estimator.predict_proba(samples.inputs), atol=1e-6)


def test_steps_that_are_no_scalers_and_models_without_weights_are_refused(table):
    def tree(records, _seed):
        return DecisionTreeClassifier().fit(records.inputs, records.targets)

    with pytest.raises(UnsupportedModel, match="Found DecisionTreeClassifier"):
        leaq.audit(table, recipe=tree, **quick(replicates=4))


FEW = {**quick(replicates=4), "attacks": "threshold"}


def recorded(records, seed, *, steps, wrapped=lambda model: model):
    """Train with a recorder; of how many steps says `steps` by the seed."""
    torch.manual_seed(seed)
    model = wrapped(net())
    recorder, optimizer = leaq.Recorder(model, every=5), torch.optim.Adam(model.parameters(), lr=0.02)
    x, y = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
    for _ in range(steps(seed)):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        recorder.step()
    return model, recorder


def test_a_pair_of_a_model_and_its_recorder_is_read_whatever_wraps_it(table):
    plain, wrapped = (
        leaq.audit(table, recipe=partial(recorded, steps=lambda _: 15, wrapped=wrap), **FEW)
        for wrap in (lambda model: model, torch.nn.DataParallel)
    )
    assert plain.rows[0].measures["r"].n > 0
    assert plain.rows[0].metrics == wrapped.rows[0].metrics


def test_trainings_that_stopped_early_are_compared_at_the_checkpoints_all_have(table):
    result = leaq.audit(table, recipe=partial(recorded, steps=lambda seed: 15 + 5 * (seed % 3)), **FEW)
    (flag,) = (flag for flag in result.flags if flag.code == "checkpoints-differ")
    assert "3 to " in flag.text
    assert result.rows[0].measures["r"].n > 0


def test_the_returned_model_is_released_whatever_was_recorded(table):
    def other(records, seed):
        _, recorder = recorded(records, seed, steps=lambda _: 15)
        return overfit(records, seed), recorder

    alone = leaq.audit(table, recipe=overfit, **FEW)
    beside = leaq.audit(table, recipe=other, **FEW)
    assert beside.rows[0].metrics == alone.rows[0].metrics


def test_what_stands_beside_a_model_must_be_its_recorder(table):
    def history(records, seed):
        return overfit(records, seed, steps=2), {"loss": [1.0]}

    with pytest.raises(InvalidInput, match=r"pair of the trained model and its leaq.Recorder. Found dict beside"):
        leaq.audit(table, recipe=history, **FEW)


def test_one_object_for_several_models_is_refused_and_equal_copies_are_doubted(table):
    kept = net()

    def again(records, seed):
        return kept

    def copied(records, seed):
        return copy.deepcopy(kept)

    with pytest.raises(InvalidInput, match="returned the very object of model 0 as model 1"):
        leaq.audit(table, recipe=again, **FEW)
    assert "models-alike" in {flag.code for flag in leaq.audit(table, recipe=copied, **FEW).flags}
    assert "models-alike" not in {flag.code for flag in leaq.audit(table, recipe=overfit, **FEW).flags}
