"""What a released file holds beside codes."""

import numpy as np
import torch

from leaq.models.numbers import released_numbers
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
