from types import SimpleNamespace

import pytest
import torch

from leaq.config import modules_in
from leaq.models.formats import layers
from leaq.models.formats.layers import layers_of
from leaq.models.formats.layout import LayerLayout
from leaq.models.formats.weight import Weight
from tests.unit.models.formats.cases import known_by

PRODUCERS = {
    "words": ("qweight", "qzeros", "scales", "g_idx"),
    "compressed": ("weight_packed", "weight_scale", "weight_shape"),
    "eight_bit": ("weight", "weight_scale"),
    "bitsandbytes": ("weight", "weight.absmax", "weight.quant_map", "weight.quant_state.bitsandbytes__nf4"),
    "torchao": ("_weight_qdata", "_weight_scale"),
}


@pytest.fixture
def planted(monkeypatch):
    """A layout of a file that is not there: codes counted in sevenths."""
    layout = LayerLayout(
        ("sevenths",),
        lambda parts: "sevenths" in parts,
        lambda parts, settings: Weight(parts["sevenths"] / 7, None, f"sevenths of {settings['layer']}"),
    )
    more = SimpleNamespace(LAYOUT=layout)
    monkeypatch.setattr(layers, "modules_in", lambda folder: [*modules_in(folder), more])
    caches = (layers._layouts, layers._part)
    for cached in caches:
        cached.cache_clear()
    yield
    monkeypatch.undo()
    for cached in caches:
        cached.cache_clear()


def _shapes(held):
    return {name: tuple(tensor.shape) for name, tensor in held.items()}


@pytest.mark.parametrize("producer", PRODUCERS)
def test_a_layer_is_of_the_layout_of_one_producer(producer):
    assert known_by(PRODUCERS[producer]) == [producer]


def test_a_layout_is_known_by_its_file_alone(planted):
    held = {"first.sevenths": torch.full((2, 3), 14), "first.bias": torch.zeros(2), "sevenths": torch.full((1, 1), 7)}
    weights, rest = layers_of(_shapes(held), held.__getitem__, {})
    assert {name: read().value.unique().tolist() for name, read in weights.items()} == {
        "first.weight": [2.0],
        "weight": [1.0],
    }
    assert weights["first.weight"]().form == "sevenths of first"
    assert rest == ["first.bias"]


def test_without_the_file_its_tensors_are_no_layer():
    held = {"first.sevenths": torch.full((2, 3), 14)}
    assert layers_of(_shapes(held), held.__getitem__, {}) == ({}, ["first.sevenths"])
