"""Exported programs: their weights followed through ATen graphs."""

import subprocess
import sys

import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models import checkpoints_of
from leaq.models.formats.traced import TracedGraph, is_traced
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from tests.unit.models.formats.producers import program, pt2e

pytestmark = pytest.mark.filterwarnings("ignore")  # of torchao


class Both(nn.Module):
    """A convolution, a linear layer and a bare matrix."""

    def __init__(self):
        super().__init__()
        self.filters, self.layer = nn.Conv2d(3, 6, 3), nn.Linear(6, 6)
        self.bare = nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        return self.layer(torch.relu(self.filters(x)).mean((2, 3))) @ self.bare


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Both().eval(), torch.randn(8, 3, 8, 8)


def test_floating_point_programs_are_read_and_called_what_they_are(network, tmp_path):
    module, x = network
    torch.export.save(program(module, x), tmp_path / "m.pt2")
    for shipped in (program(module, x), program(module, x).module(), tmp_path / "m.pt2"):
        opened = open_shipped(shipped, module, name="m")
        assert opened.read
        assert [flag.code for flag in opened.flags] == ["not-quantized"]
        assert opened.activations is None
        for name, tensor in module.named_parameters():
            assert torch.equal(opened.module.get_parameter(name), tensor), name
        torch.testing.assert_close(opened.module(x), module(x))


def test_codes_are_decoded_by_the_operator_itself(network):
    module, x = network
    graph = pt2e(module, x)
    opened = open_shipped(graph, module, name="m")
    assert opened.stored["layer.weight"] == opened.stored["filters.weight"] == "PT2E int8"
    assert opened.activations.bits == 8
    decode = torch.ops.quantized_decomposed.dequantize_per_channel
    codes = {tuple(t.shape): t for _, t in graph.named_buffers() if t.dtype == torch.int8}
    for name in ("layer.weight", "filters.weight"):
        weight = module.get_parameter(name)
        own = codes[tuple(weight.shape)]
        scale = weight.detach().flatten(1).abs().amax(1) / 127.5
        zero = torch.zeros_like(scale, dtype=torch.int64)
        assert torch.equal(opened.module.get_parameter(name), decode(own, scale, zero, 0, -128, 127, torch.int8)), name
    steps = [one.step for one in TracedGraph(graph).weights() if one.form and one.value.shape == (6, 6)]
    assert all(step.shape == (6, 6) for step in steps)
    torch.testing.assert_close(opened.module(x), graph(x))


def test_the_recipe_is_torchaos():
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 16)).eval(), torch.randn(20, 32)
    opened = open_shipped(pt2e(module, x), module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored).with_activations(opened.activations)
    assert recipe.spec == "torchao.int8_weight_only(activations=8, ranges=minmax, zero_point=free)"
    given = build("torchao.int8_weight_only")(checkpoints_of(module)).params
    for name in ("0.weight", "2.weight"):
        assert torch.equal(given[name][0], opened.module.get_parameter(name))


def test_the_recipe_holds_where_scales_reach_the_least_that_pt2e_has():
    torch.manual_seed(0)
    module, x = nn.Sequential(nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 4)), torch.randn(20, 1024)
    opened = open_shipped(pt2e(module, x), module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored)
    assert (recipe.spec, recipe.share) == ("torch.ao(bits=8, per=channel, eps=0.000244140625)", 1)
    made = build(recipe.spec)(checkpoints_of(module)).params
    assert torch.equal(made["0.weight"][0], opened.module.get_parameter("0.weight"))
    assert not torch.equal(
        build("torchao.int8_weight_only")(checkpoints_of(module)).params["0.weight"], made["0.weight"]
    )


def test_a_program_of_another_model_is_refused():
    torch.manual_seed(9)
    first, second = (nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16)).eval() for _ in range(2))
    with pytest.raises(InvalidInput, match="must be near the original that it was made from"):
        open_shipped(program(first, torch.randn(20, 32)), second, name="m")


def test_graphs_of_layers_are_no_traced_ones(network):
    module, x = network
    assert is_traced(program(module, x).module())
    assert not is_traced(torch.fx.symbolic_trace(module))
    assert not is_traced(module)


def test_a_file_of_pt2e_opens_in_a_process_that_did_not_write_it(tmp_path):
    """Its operators are known only to who has imported what quantizes: hence a process of its own."""
    module = nn.Sequential(nn.Linear(8, 4))
    torch.export.save(program(pt2e(module, torch.randn(20, 8)), torch.randn(20, 8)), tmp_path / "m.pt2")
    text = "from pathlib import Path; from leaq.models.boxes import open_box; open_box(Path('m.pt2'))"
    subprocess.run([sys.executable, "-W", "ignore", "-c", text], cwd=tmp_path, check=True, capture_output=True)
