"""Candidates: single-code moves by rank-one update equal the whole network run again; strategies and their limits."""

import numpy as np
import pytest
from benchmarks.fidelity.candidates import enumeration, neighbour_table, trajectory

from leaq.data import load
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.embedders import embed
from leaq.errors import InvalidInput, NotEnoughEvidence, UnsupportedModel
from leaq.evaluation import evaluate_checkpoints
from leaq.quantizers import Calibration, build
from leaq.quantizers.neighbours import neighbours
from leaq.training import TrainingConfig, train
from leaq.types import Activations

QUANTIZERS = ("sign", "ternary(sparsity=0.5)", "uniform(bits=3)", "uniform(bits=4, per=group)")


@pytest.fixture(scope="module", params=["wine", "diabetes"])
def trained(request):
    samples = embed(load(request.param))
    members = halves(samples, 2, seed=0)
    config = TrainingConfig(hidden=(8, 6), epochs=3, checkpoints=3, dtype="float64")
    model, checkpoints = train(samples, members, config, seed=0)
    return model, checkpoints, samples, members


@pytest.mark.parametrize("spec", QUANTIZERS)
def test_rank_one_updates_equal_running_the_network_again(trained, spec):
    model, checkpoints, samples, members = trained
    fast = neighbour_table(build(spec), checkpoints.last(), samples, members, moves=30, seed=1)
    slow = evaluate_checkpoints(model, neighbours(build(spec), checkpoints.last(), moves=30, seed=1), samples, members)
    np.testing.assert_allclose(fast.losses, slow.losses, rtol=1e-9, atol=1e-11)
    shifted = np.roll(slow.losses, 1, axis=1)  # the negative control: the right losses of the wrong moves
    assert not np.allclose(fast.losses, shifted, rtol=1e-9, atol=1e-11)


def test_trajectory_ends_at_the_released_model(trained):
    _, checkpoints, _, _ = trained
    quantizer = build("sign")
    found = trajectory(quantizer, checkpoints)
    assert found.batch == (2, 3)
    released = quantizer(checkpoints.last()).params["layers.0.weight"]
    assert (found.last().params["layers.0.weight"] == released).all()
    with pytest.raises(NotEnoughEvidence, match="at least 2 checkpoints"):
        trajectory(quantizer, checkpoints.last())


def test_enumeration_lists_every_codeword_once():
    samples = embed(from_arrays(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) / 7, task="regression"))
    members = halves(samples, 2, seed=0)
    _, checkpoints = train(samples, members, TrainingConfig(hidden=(), epochs=2, checkpoints=2), seed=0)
    found = enumeration(build("sign"), checkpoints.last())
    assert found.batch == (2, 9)
    words = found.params["layers.0.weight"][0].reshape(9, -1)
    assert len(np.unique(words[:-1].numpy(), axis=0)) == 8
    assert (words[:-1] == words[-1]).all(1).sum() == 1


CALIBRATED = ("gptq(bits=3)", "adaround(bits=3, iterations=20)", "equalised(bits=3)", "uniform(bits=3, bias=corrected)")


def same(found, released):
    return all((found.params[name] == released.params[name]).all() for name in released.params)


@pytest.mark.parametrize("spec", CALIBRATED)
def test_calibrated_quantizers_have_candidates_too(trained, spec):
    """The last candidate is the released model, biases included; a fitted quantizer does without calibration."""
    model, checkpoints, samples, members = trained
    quantizer, records = build(spec), Calibration(model, samples.inputs, members)
    released = quantizer(checkpoints.last(), records)
    fitted = quantizer.fitted_to(checkpoints.last(), records)
    for calibrated, given in ((quantizer, records), (fitted, None)):
        assert same(trajectory(calibrated, checkpoints, calibration=given).last(), released)
        assert same(neighbours(calibrated, checkpoints.last(), moves=3, calibration=given).last(), released)
    fast = neighbour_table(fitted, checkpoints.last(), samples, members, moves=20)
    slow = evaluate_checkpoints(model, neighbours(fitted, checkpoints.last(), moves=20), samples, members)
    np.testing.assert_allclose(fast.losses, slow.losses, rtol=1e-9, atol=1e-11)
    for strategy, given in ((trajectory, checkpoints), (neighbours, checkpoints.last())):
        with pytest.raises(InvalidInput, match=r"needs (calibration records|the architecture)\. Pass calibration="):
            strategy(quantizer, given)


def test_an_enumerated_model_ends_at_the_released_one():
    samples = embed(from_arrays(np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) / 7, task="regression"))
    members = halves(samples, 2, seed=0)
    config = TrainingConfig(hidden=(), epochs=2, checkpoints=2)
    model, checkpoints = train(samples, members, config, seed=0)
    quantizer, records = (
        build("uniform(bits=2, bias=corrected, activations=8)"),
        Calibration(model, samples.inputs, members),
    )
    found = enumeration(quantizer, checkpoints.last(), calibration=records)
    assert found.activations == Activations(8)
    assert same(found.last(), quantizer(checkpoints.last(), records))
    assert not same(found.last(), checkpoints.last())


def test_rounded_activations_are_not_ignored(trained):
    _, checkpoints, samples, members = trained
    found = neighbours(build("uniform(bits=8, activations=8)"), checkpoints.last(), moves=2)
    assert found.activations == Activations(8)
    with pytest.raises(UnsupportedModel, match="rounded activations"):
        neighbour_table(build("uniform(bits=8, activations=8)"), checkpoints.last(), samples, members)


def test_limits_are_named(trained):
    _, checkpoints, samples, members = trained
    with pytest.raises(InvalidInput, match=r"codewords, more than 4,096"):
        enumeration(build("sign"), checkpoints.last())
    with pytest.raises(InvalidInput, match="moves must be at least 1"):
        neighbours(build("sign"), checkpoints.last(), moves=0)
    with pytest.raises(InvalidInput, match="members must have shape"):
        neighbour_table(build("sign"), checkpoints.last(), samples, members[:1])
    from dataclasses import replace

    with pytest.raises(UnsupportedModel, match="rounded activations"):
        neighbour_table(build("sign"), replace(checkpoints.last(), activations=Activations(8)), samples, members)
