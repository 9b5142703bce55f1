"""What an audit costs, said beforehand: memory is linear in what it holds, and named in the sentence."""

import numpy as np
import pytest

from leaq.cell import AuditConfig
from leaq.data import load
from leaq.pipeline.costing import LIBRARIES, cost
from leaq.training import TrainingConfig


def held(rng, *, n=200, features=4, **options):
    """Bytes beyond the libraries."""
    training = TrainingConfig(hidden=options.pop("hidden", (8,)), epochs=1, checkpoints=options.pop("checkpoints", 4))
    config = AuditConfig(source="memory", training=training, **({"replicates": 8, "quantizers": ("sign",)} | options))
    samples = load((rng.normal(size=(n, features)), np.arange(n) % 2), config)
    return cost(samples, config.resolved(task=samples.task, embedder="identity")).memory - LIBRARIES


def test_memory_grows_with_the_records_in_proportion(rng):
    one, two, four = (held(rng, n=n) for n in (2000, 4000, 8000))
    assert four - two == pytest.approx(2 * (two - one))


@pytest.mark.parametrize(
    "more",
    [{"replicates": 16}, {"quantizers": ("sign", "ternary")}, {"checkpoints": 8}, {"hidden": (64,)}, {"draws": 400}],
)
def test_more_of_anything_needs_more_memory(more, rng):
    assert held(rng, **more) > held(rng)


def test_a_wide_first_layer_is_told_by_its_checkpoints(rng):
    """3 copies of 8 models, 4 checkpoints of (2000 + 2) x 64 and a few more weights in float32."""
    expected = 3 * 4 * 8 * 4 * 2000 * 64
    assert held(rng, features=2000, hidden=(64,)) == pytest.approx(expected, rel=0.2)
