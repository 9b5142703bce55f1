"""What a released file holds beside codes."""

import numpy as np
import torch

from leaq.models.numbers import read_codes, released_numbers
from leaq.types import Checkpoints


def test_the_mask_of_the_first_layer_is_the_share_of_weights_that_survive_by_input():
    weight = torch.tensor([[[0.0, 1.0, -1.0], [0.0, 0.0, 2.0]], [[1.0, 1.0, 1.0], [0.0, 1.0, 1.0]]])
    later = torch.ones(2, 1, 2)
    released = Checkpoints({"a.weight": weight, "b.weight": later}, {"a.weight": "linear", "b.weight": "linear"}, (2,))
    found = released_numbers(released, features=3)
    np.testing.assert_allclose(found["columns.mask"], [[0, 0.5, 1], [0.5, 1, 1]])


def test_a_buffer_without_an_axis_is_read_as_one_number():
    released = Checkpoints({"mean": torch.tensor([1.0, 2.0])}, {"mean": "scaler"}, (2,))
    assert {kind: values.tolist() for kind, values in released_numbers(released, 20).items()} == {
        "target.mean": [[1.0], [2.0]]
    }


def test_codes_are_read_record_by_record_whatever_the_order_of_hidden_units(rng):
    weight = torch.from_numpy(rng.normal(size=(3, 7, 5)) * (rng.random((3, 7, 5)) < 0.4))
    inputs = (rng.random((30, 5)) < 0.5).astype(float)
    roles = {"layers.0.weight": "linear"}
    found = read_codes(Checkpoints({"layers.0.weight": weight}, roles, (3,)), inputs)
    order = torch.from_numpy(rng.permutation(7))
    again = read_codes(Checkpoints({"layers.0.weight": 3 * weight[:, order]}, roles, (3,)), inputs)
    centred, size = inputs - inputs.mean(0), np.sqrt((inputs**2).mean(0))
    for model in range(3):
        codes = np.sign(weight[model].numpy())
        sums = np.array([[float(row @ unit) for unit in codes] for row in centred])
        kept = np.abs(codes).mean(0) / np.sqrt(size)
        slow = {
            "codes.energy": (sums**2).mean(1),
            "codes.largest": np.abs(sums).max(1),
            "codes.rare": np.array([sum(row[j] * kept[j] for j in range(5)) for row in inputs]),
        }
        for kind, values in slow.items():
            assert np.allclose(found[kind][model], (values - values.mean()) / values.std(ddof=1), atol=1e-5)
            assert np.allclose(found[kind], again[kind], atol=1e-5)


def test_codes_that_do_not_read_the_features_tell_nothing_of_records():
    weights = Checkpoints({"w": torch.ones(2, 3, 4)}, {"w": "linear"}, (2,))
    assert read_codes(weights, np.ones((5, 6))) == {}


def test_of_a_scaler_and_a_batch_normalisation_behind_it_the_one_that_tells_models_apart_is_kept(rng):
    pool = torch.from_numpy(np.tile(rng.normal(size=4), (3, 1)))
    own = torch.from_numpy(rng.normal(size=(3, 4)))
    weight = torch.from_numpy(rng.normal(size=(3, 2, 4)))
    params = {"scaler_mean": pool, "scaler_scale": pool.exp(), "0.running_mean": own, "0.running_var": own.exp() ** 2}
    roles = {"scaler_mean": "scaler", "scaler_scale": "scaler", "0.running_mean": "norm", "0.running_var": "norm"}
    for order in (list(params), list(params)[::-1]):
        released = Checkpoints(
            {**{name: params[name] for name in order}, "1.weight": weight},
            {**{name: roles[name] for name in order}, "1.weight": "linear"}, (3,),
        )  # fmt: skip
        found = released_numbers(released, features=4)
        np.testing.assert_allclose(found["scaler.mean"], own)
        np.testing.assert_allclose(found["scaler.scale"], own.exp())
        assert found["norm"].shape == (3, 8)
