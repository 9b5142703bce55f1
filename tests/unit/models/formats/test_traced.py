"""Exported programs: their weights followed through ATen graphs."""

import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models import checkpoints_of
from leaq.models.formats.traced import TracedGraph, is_traced
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from tests.helpers import require

pytestmark = pytest.mark.filterwarnings("ignore")  # of torchao


class Both(nn.Module):
    """A convolution, a linear layer and a bare matrix."""

    def __init__(self):
        super().__init__()
        self.filters, self.layer = nn.Conv2d(3, 6, 3), nn.Linear(6, 6)
        self.bare = nn.Parameter(torch.randn(6, 6))

    def forward(self, x):
        return self.layer(torch.relu(self.filters(x)).mean((2, 3))) @ self.bare


def exported(module, x):
    return torch.export.export(module, (x,), dynamic_shapes=({0: torch.export.Dim("n")},))


@pytest.fixture
def network():
    torch.manual_seed(0)
    return Both().eval(), torch.randn(8, 3, 8, 8)


def converted(module, x):
    """The module as PT2E quantizes it."""
    require("torchao")
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
    from torchao.quantization.pt2e.quantizer import x86_inductor_quantizer as x86

    quantizer = x86.X86InductorQuantizer().set_global(x86.get_default_x86_inductor_quantization_config())
    prepared = prepare_pt2e(exported(module, x).module(), quantizer)
    prepared(x)
    return convert_pt2e(prepared)


def test_floating_point_programs_are_read_and_called_what_they_are(network, tmp_path):
    module, x = network
    torch.export.save(exported(module, x), tmp_path / "m.pt2")
    for shipped in (exported(module, x), exported(module, x).module(), tmp_path / "m.pt2"):
        opened = open_shipped(shipped, module, name="m")
        assert opened.read
        assert [flag.code for flag in opened.flags] == ["not-quantized"]
        assert opened.activations is None
        for name, tensor in module.named_parameters():
            assert torch.equal(opened.module.get_parameter(name), tensor), name
        torch.testing.assert_close(opened.module(x), module(x))


def test_codes_are_decoded_by_the_operator_itself(network):
    module, x = network
    graph = converted(module, x)
    opened = open_shipped(graph, module, name="m")
    assert opened.stored["layer.weight"] == opened.stored["filters.weight"] == "PT2E int8"
    assert opened.activations == 8
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
    opened = open_shipped(converted(module, x), module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored).with_activations(opened.activations)
    assert recipe.spec == "torchao.int8_weight_only(activations=8)"
    given = build("torchao.int8_weight_only")(checkpoints_of(module)).params
    for name in ("0.weight", "2.weight"):
        assert torch.equal(given[name][0], opened.module.get_parameter(name))


def test_a_program_of_another_model_is_refused():
    torch.manual_seed(9)
    first, second = (nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 16)).eval() for _ in range(2))
    with pytest.raises(InvalidInput, match="must be near the original that it was made from"):
        open_shipped(exported(first, torch.randn(20, 32)), second, name="m")


def test_graphs_of_layers_are_no_traced_ones(network):
    module, x = network
    assert is_traced(exported(module, x).module())
    assert not is_traced(torch.fx.symbolic_trace(module))
    assert not is_traced(module)
