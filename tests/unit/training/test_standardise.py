"""Standardisation: each choice is what it says, and only the members' own statistics tell who they are."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from leaq.data import from_arrays
from leaq.data.splits import halves
from leaq.embedders import embed
from leaq.errors import InvalidInput
from leaq.evaluation import evaluate_checkpoints, with_numbers
from leaq.pipeline.cell import AuditConfig
from leaq.stats.roc import auc
from leaq.training import TrainingConfig, train, train_modules
from leaq.training.config import STANDARDISE
from leaq.training.standardise import fit_scalers, gaussian_mu
from tests.attack_tables import file_scores
from tests.helpers import ROUNDING

SMALL = {"hidden": (4,), "epochs": 1, "checkpoints": 1}


@pytest.fixture
def samples(rng):
    x = rng.normal(size=(60, 40)) * rng.uniform(0.5, 3, 40) + 5
    return embed(from_arrays(x, x[:, 0] + rng.normal(size=60), task="regression"))


@pytest.fixture
def members(samples):
    return halves(samples, 8, seed=0)


def rule(name, **options):
    return TrainingConfig(standardise=name, **SMALL, **options)


def scaler_area(samples, members, config):
    """AUC of the file attack on the scalers alone."""
    model, checkpoints = train(samples, members, config, seed=0)
    released = checkpoints.last()
    table = with_numbers(evaluate_checkpoints(model, released, samples, members), released, samples)
    kept = {kind: values for kind, values in table.numbers.items() if kind.startswith(("scaler", "target"))}
    scores = file_scores(replace(table, numbers=kept), samples.inputs)
    return float(np.mean([auc(row, inside) for row, inside in zip(scores, members, strict=True)]))


def test_members_are_named_by_their_statistics_and_by_no_others(samples, members):
    assert scaler_area(samples, members, rule("members")) > 0.95
    for name in ("pool", "none", "public"):
        assert scaler_area(samples, members, rule(name)) == 0.5


def test_rounding_and_noise_leave_less(samples, members):
    exact = scaler_area(samples, members, rule("members"))
    rounded = [scaler_area(samples, members, rule("rounded", standardise_bits=bits)) for bits in (1, 12)]
    noisy = [scaler_area(samples, members, rule("private", standardise_epsilon=epsilon)) for epsilon in (0.1, 100)]
    assert rounded[0] < rounded[1] <= exact + 0.02
    assert noisy[0] < 0.65 < exact
    assert noisy[0] < noisy[1] + 0.05


def test_exact_choices_are_what_they_say(samples, members):
    x, y = samples.inputs.astype(float), samples.targets
    own = fit_scalers(samples, members, rule("members"))
    np.testing.assert_allclose(own["input.mean"][3], x[members[3]].mean(0))
    np.testing.assert_allclose(own["input.scale"][3], x[members[3]].std(0))
    np.testing.assert_allclose(own["output.scale"][3], y[members[3]].std())
    pool = fit_scalers(samples, members, rule("pool"))
    np.testing.assert_allclose(pool["output.mean"], np.full((8, 1), y.mean()))
    chosen = fit_scalers(samples, members, rule("auto"))
    np.testing.assert_array_equal(chosen["input.mean"], fit_scalers(samples, members, rule(STANDARDISE))["input.mean"])
    none = fit_scalers(samples, members, rule("none"))
    assert (none["input.mean"] == 0).all()
    assert (none["output.scale"] == 1).all()


def test_rounded_statistics_have_few_bits(samples, members):
    found = fit_scalers(samples, members, rule("rounded", standardise_bits=3))
    exponent = np.log2(found["input.scale"])
    np.testing.assert_array_equal(exponent, np.round(exponent))
    steps = found["input.mean"] / found["input.scale"] * 4
    np.testing.assert_array_equal(steps, np.round(steps))


def test_public_records_are_standardised_by_as_a_pool_is(rng, samples, members):
    public = from_arrays(samples.inputs + 3.0, samples.targets + 7, task="regression")
    known = replace(samples, public=embed(public))
    found = fit_scalers(known, members, rule("public"))
    np.testing.assert_allclose(found["input.mean"][0], samples.inputs.mean(0) + 3, rtol=1e-5)
    np.testing.assert_allclose(found["output.mean"], samples.targets.mean() + 7)
    bits = embed(from_arrays((rng.random((60, 12)) < 0.5).astype(float), rng.normal(size=60), task="regression"))
    found = fit_scalers(replace(bits, public=bits), members, rule("public"))
    np.testing.assert_allclose(found["input.mean"][0], (bits.inputs.sum(0) + 0.5) / 61, rtol=1e-5)
    assert (found["input.scale"] == 0.5).all()
    with pytest.raises(InvalidInput, match="must have the pool's 40 columns. Found 12"):
        fit_scalers(replace(samples, public=bits), members, rule("public"))


def test_private_noise_is_that_of_its_budget(rng):
    """Columns of bits: the released sums differ from the members' by noise of clip / mu."""
    bits = embed(from_arrays((rng.random((400, 300)) < 0.5).astype(float), rng.integers(2, size=400)))
    members = halves(bits, 6, seed=0)
    config = rule("private", standardise_epsilon=2.0)
    found = fit_scalers(bits, members, config, seed=1)["input.mean"]
    count = int(members[0].sum())
    x = bits.inputs.astype(float)
    clip = float(np.median(np.sqrt(2 * x.sum(1))))  # a bit and its square
    clipped = x * np.minimum(1, clip / np.sqrt(2 * x.sum(1, keepdims=True)))
    error = count * found - members @ clipped
    expected = clip / gaussian_mu(2.0, 0.1 / count)
    assert error.std() == pytest.approx(expected, rel=0.1)
    again = fit_scalers(bits, members[2:3], config, seed=1, first=2)["input.mean"]
    np.testing.assert_allclose(again[0], found[2], **ROUNDING)
    assert not (fit_scalers(bits, members, config, seed=2)["input.mean"] == found).any()


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 8.0])
def test_the_gaussian_mechanism_spends_its_budget_exactly(epsilon):
    """Delta by direct integration of the worst event of N(0, 1) against N(mu, 1)."""
    delta = 1e-4
    mu = gaussian_mu(epsilon, delta)
    x = np.linspace(-12, 12 + mu, 400_001)
    excess = np.maximum(norm.pdf(x, mu) - np.exp(epsilon) * norm.pdf(x), 0)
    assert np.trapezoid(excess, x) == pytest.approx(delta, rel=1e-3)


@pytest.mark.parametrize("name", ["pool", "members", "private", "rounded"])
def test_a_module_of_ones_own_stands_between_the_same_scalers(samples, members, name):
    model, checkpoints = train_modules(
        lambda: torch.nn.Linear(40, 1), samples, members, rule(name, dtype="float64"), seed=0
    )
    fitted = fit_scalers(samples, members, rule(name), seed=0)
    released = checkpoints.last()
    table = with_numbers(evaluate_checkpoints(model, released, samples, members), released, samples)
    np.testing.assert_allclose(table.numbers["scaler.mean"], fitted["input.mean"], rtol=1e-6)
    np.testing.assert_allclose(table.numbers["target.scale"], fitted["output.scale"], rtol=1e-6)
    weight, bias = (released.params[f"module.{part}"][2].numpy() for part in ("weight", "bias"))
    standard = (samples.inputs - fitted["input.mean"][2]) / fitted["input.scale"][2]
    expected = (standard @ weight[0] + bias) * fitted["output.scale"][2] + fitted["output.mean"][2]
    np.testing.assert_allclose(table.outputs[2, :, 0], expected, rtol=1e-6)


def test_a_module_of_ones_own_is_left_alone_unless_asked(samples, members):
    _, checkpoints = train_modules(lambda: torch.nn.Linear(40, 1), samples, members, TrainingConfig(**SMALL), seed=0)
    assert set(checkpoints.params) == {"weight", "bias"}


def test_statistics_of_a_first_batch_normalisation_are_read(samples, members):
    """The file attack reads running statistics of the inputs as it reads scalers."""

    def make():
        return torch.nn.Sequential(torch.nn.BatchNorm1d(40), torch.nn.Linear(40, 1))

    model, checkpoints = train_modules(make, samples, members, TrainingConfig(**SMALL), seed=0)
    released = checkpoints.last()
    table = with_numbers(evaluate_checkpoints(model, released, samples, members), released, samples)
    np.testing.assert_allclose(table.numbers["scaler.mean"], released.params["0.running_mean"].numpy())
    np.testing.assert_allclose(table.numbers["scaler.scale"] ** 2, released.params["0.running_var"].numpy(), rtol=1e-5)
    assert table.numbers["columns.mean"].shape == (8, 40)


def test_the_choice_is_recorded():
    assert AuditConfig(source="wine").training.standardise == STANDARDISE
    asked = AuditConfig(source="wine", training={"standardise": "members"})
    assert AuditConfig.from_dict(asked.to_dict()).training.standardise == "members"
    with pytest.raises(InvalidInput, match="standardise"):
        TrainingConfig(standardise="median")


def test_the_pool_scales_bits_by_a_half_however_rare(rng):
    bits = embed(from_arrays(np.c_[rng.random((60, 12)) < 0.5, rng.normal(size=60)].astype(float), np.arange(60) % 2))
    found = fit_scalers(bits, halves(bits, 2, seed=0), rule("pool"))
    np.testing.assert_allclose(found["input.mean"][0], bits.inputs.mean(0, dtype=float))
    assert (found["input.scale"][:, :12] == 0.5).all()
    np.testing.assert_allclose(found["input.scale"][:, 12], bits.inputs[:, 12].std(dtype=float), rtol=1e-5)
