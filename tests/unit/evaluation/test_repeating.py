"""A model whose outputs are drawn is refused, whatever it draws from."""

import random

import numpy as np
import pytest
import torch

from leaq.evaluation.repeating import refuse_random
from leaq.seeds import drawn, shared_states


@pytest.mark.parametrize("draw", [random.random, lambda: np.random.default_rng, np.random.random_sample])
def test_whoever_draws_is_repeated_whatever_the_generator(draw):
    calls = []

    def run():
        calls.append(draw())
        return torch.ones(2, 1)

    before = shared_states()
    doubts = refuse_random(run, torch.ones(2, 1))
    assert len(calls) == (32 if isinstance(calls[0], float) else 1)
    assert [flag.code for flag in doubts] == ["draws"] * isinstance(calls[0], float)
    assert not drawn(before)
