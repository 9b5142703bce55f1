"""Modules whose layers torch.ao quantized: run as they are, their weights read, weighed, compared and made again."""

import copy

import pytest
import torch
from torch import nn

from leaq.models import checkpoints_of
from leaq.models.formats.packed import has_packed_layers
from leaq.pipeline.finished.foreign import runner
from leaq.pipeline.finished.shipped import open_shipped, weigh
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from tests.unit.models.formats.producers import net, packed

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.ao.quantization calls itself deprecated


class Recurrent(nn.Module):
    """Every kind of recurrent layer, after a table of words."""

    def __init__(self):
        super().__init__()
        self.words, self.lstm = nn.Embedding(50, 16), nn.LSTM(16, 24, 2, batch_first=True, bidirectional=True)
        self.gru, self.cell, self.out = nn.GRU(48, 20, batch_first=True), nn.GRUCell(20, 12), nn.Linear(12, 3)

    def forward(self, x):
        found, _ = self.gru(self.lstm(self.words(x))[0])
        return self.out(self.cell(found[:, -1]))


class Normalised(nn.Module):
    """Convolutions followed by batch normalisation, or by nothing."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8)
        self.second, self.other = nn.Conv2d(8, 8, 3, bias=False), nn.BatchNorm2d(8)
        self.third, self.out = nn.Conv1d(8, 6, 3), nn.Linear(6 * 6, 5)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.other(self.second(x))).flatten(2)
        return self.out(torch.relu(self.third(x)).flatten(1))


def normalised():
    torch.manual_seed(1)
    module = Normalised().eval()
    for norm in (module.norm, module.other):
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.1, 4)
        nn.init.normal_(norm.weight)  # of either sign
        nn.init.normal_(norm.bias)
    return module


def recurrent():
    torch.manual_seed(2)
    return Recurrent().eval()


def checked(module, shipped, inputs, recipe):
    """Open a quantized module beside its original; return what was opened."""
    own = shipped(inputs)
    opened = open_shipped(shipped, module, name="m")
    assert opened.read
    assert torch.equal(opened.module(inputs), own)
    assert torch.equal(shipped(inputs), own)
    told = recipe_of(opened.module, module, opened.stored, opened.folded)
    assert told.share == 1
    assert told.spec == build(recipe).spec()
    return opened


KINDS = {
    "dynamic": ("torch.ao(bits=8)", 8), "dynamic channels": ("torch.ao(bits=8, per=channel)", 8),
    "dynamic 16 bits": ("float16", None), "static": ("torch.ao(bits=8)", 8),
    "static channels": ("torch.ao(bits=8, per=channel)", 8), "FX": ("torch.ao(bits=8)", 8),
    "FX channels": ("torch.ao(bits=8, per=channel)", 8),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_perceptrons(kind):
    module, inputs = net(), torch.randn(40, 128, generator=torch.Generator().manual_seed(1))
    shipped, expected = packed(module, kind, inputs)
    recipe, bits = KINDS[kind]
    opened = checked(module, shipped, inputs, recipe)
    codes = [flag.code for flag in opened.flags]
    assert codes == (["integer-activations"] if bits else ["stored-as-floats"])
    assert (opened.activations is not None) == bool(bits)
    if bits:
        how = opened.activations
        dynamic = kind.startswith("dynamic")
        assert (how.bits, how.zero_point, how.static) == (7 if dynamic else 8, "free", not dynamic)
    for name, tensor in expected.items():
        assert torch.equal(opened.module.get_parameter(name), tensor)
    assert (8 if bits else 16) < weigh(opened, module).bits < 10 if bits else 17


def test_recurrent_layers_and_embeddings():
    from torch.ao import quantization as ao

    module, inputs = recurrent(), torch.randint(0, 50, (6, 7), generator=torch.Generator().manual_seed(1))
    layers = {nn.LSTM, nn.GRU, nn.GRUCell, nn.Linear}
    shipped = ao.quantize_dynamic(module, layers, torch.qint8)
    opened = checked(module, shipped, inputs, "torch.ao(bits=8, first=full)")
    assert set(opened.stored) == {name for name, t in module.named_parameters() if t.ndim == 2} - {"words.weight"}
    numbers, table = sum(t.numel() for t in module.parameters()), module.words.weight.numel()
    biases = sum(t.numel() for t in module.parameters() if t.ndim < 2)
    least = numbers - table - biases + 4 * (table + biases)
    assert least < opened.bytes <= least + 16 * len(opened.stored)

    half = checked(module, ao.quantize_dynamic(module, layers, torch.float16), inputs, "float16(first=full)")
    assert half.bytes == 2 * (numbers - table - biases) + 4 * (table + biases)

    other = copy.deepcopy(module)
    other.words.qconfig = ao.float_qparams_weight_only_qconfig
    other = ao.quantize_dynamic(ao.convert(ao.prepare(other)), layers, torch.qint8)
    words = "torch.ao(bits=8, per=channel, symmetric=False)"
    found = checked(module, other, inputs, f"torch.ao(bits=8, others='words.weight={words}')")
    assert found.stored["words.weight"] == "torch.ao uint8 per channel"
    assert torch.equal(found.module.words.weight, other.words.weight().dequantize())


def test_bags_of_embeddings_in_four_bits():
    from torch.ao import quantization as ao

    torch.manual_seed(0)
    module = nn.Sequential(nn.EmbeddingBag(50, 16, mode="sum"), nn.Linear(16, 4)).eval()
    other = copy.deepcopy(module)
    other[0].qconfig = ao.float_qparams_weight_only_qconfig_4bit
    other = ao.quantize_dynamic(ao.convert(ao.prepare(other)), {nn.Linear}, torch.qint8)
    table = "torch.ao(bits=4, per=channel, symmetric=False)"
    opened = open_shipped(other, module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored)
    assert opened.stored == {"0.weight": "torch.ao uint4 per channel", "1.weight": "torch.ao int8 per tensor"}
    assert build(recipe.spec).spec() == build(f"{table[:-1]}, others='1.weight=torch.ao(bits=8)')").spec()
    assert torch.equal(opened.module.get_parameter("0.weight"), other[0].weight().dequantize())
    assert opened.bytes == 50 * 16 // 2 + 50 * 16 + 16 * 4 + 16 + 4 * 4


@pytest.mark.parametrize("kind", ["FX", "FX channels"])
def test_batch_normalisation_folded_into_the_layer_before_it_is_seen_through(kind):
    module, inputs = normalised(), torch.randn(12, 3, 8, 6, generator=torch.Generator().manual_seed(1))
    shipped, expected = packed(module, kind, inputs)
    opened = checked(module, shipped, inputs, "torch.ao(bits=8)" if kind == "FX" else "torch.ao(bits=8, per=channel)")
    assert [flag.code for flag in opened.flags] == ["integer-activations", "normalisation-folded"]
    assert set(opened.folded) == {"first.weight", "second.weight"}
    assert {one.norm for one in opened.folded.values()} == {"norm", "other"}
    for name in ("third.weight", "out.weight"):
        assert torch.equal(opened.module.get_parameter(name), expected[name])
    # The original's layers with what was read, normalisation apart, do what runs, up to activations of 8 bits.
    alike = copy.deepcopy(module)
    for name, tensor in alike.named_parameters():
        tensor.data.copy_(opened.module.get_parameter(name))
    wanted = module(inputs)
    assert (alike(inputs) - wanted).abs().max() < 0.05 * wanted.std()
    made = build("torch.ao(bits=8, per=channel)")(checkpoints_of(module)).params
    if kind == "FX channels":  # scales for each output: folded or not, the same but for largest codes of other sign
        off = made["first.weight"][0] - opened.module.first.weight
        assert (off.abs() > 1e-6).double().mean() < 1 / 27
        assert off.abs().max() < 1.01 * made["first.weight"].abs().max() / 127


def test_functions_of_bare_weights_are_followed_too():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.matrix = nn.Parameter(torch.randn(6, 20))
            self.layer = nn.Linear(6, 5)

        def forward(self, x):
            return self.layer(nn.functional.linear(x, self.matrix))

    torch.manual_seed(0)
    module, inputs = Bare().eval(), torch.randn(12, 20)
    shipped, _ = packed(module, "FX", inputs)
    opened = open_shipped(shipped, module, name="m")
    assert set(opened.stored) == {"matrix", "layer.weight"}


def test_another_model_is_flagged_and_runs_all_the_same():
    inputs = torch.randn(40, 128, generator=torch.Generator().manual_seed(1))
    shipped, _ = packed(net(), "FX", inputs)
    other = net()
    for layer in other:
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    opened = open_shipped(shipped, other, name="m")
    assert [flag.code for flag in opened.flags] == ["unlike-original"]
    assert not opened.read
    assert torch.equal(opened.module(inputs), shipped(inputs))


@pytest.mark.parametrize("kind", ["dynamic", "FX channels"])
def test_files_of_torchscript_are_read_likewise(tmp_path, kind):
    module, inputs = net(), torch.randn(40, 128, generator=torch.Generator().manual_seed(1))
    shipped, expected = packed(module, kind, inputs)
    scripted = torch.jit.script(shipped)
    assert has_packed_layers(scripted)
    scripted.save(tmp_path / "m.ts")
    opened = open_shipped(tmp_path / "m.ts", module, name="m")
    assert opened.read
    assert torch.equal(opened.module(inputs), shipped(inputs))
    assert opened.bytes == (tmp_path / "m.ts").stat().st_size
    for name, tensor in expected.items():
        assert torch.equal(opened.module.get_parameter(name), tensor)
    recipe = recipe_of(opened.module, module, opened.stored)
    assert (recipe.spec, recipe.share) == (build(KINDS[kind][0]).spec(), 1)


def test_torchscript_of_ordinary_weights_is_called_what_it_is(tmp_path):
    module, inputs = net(), torch.randn(4, 128)
    torch.jit.script(module).save(tmp_path / "m.ts")
    opened = open_shipped(tmp_path / "m.ts", module, name="m")
    assert [flag.code for flag in opened.flags] == ["not-quantized"]
    torch.jit.script(copy.deepcopy(module).half()).save(tmp_path / "half.ts")
    opened = open_shipped(tmp_path / "half.ts", module, name="m")
    assert [flag.code for flag in opened.flags] == ["stored-as-floats"]
    assert recipe_of(opened.module, module, opened.stored).spec == "float16"
    run, flags = runner(opened.module, name="m")
    torch.testing.assert_close(run(inputs), module(inputs).detach(), rtol=0.01, atol=0.01)
    assert [flag.code for flag in flags] == ["own-precision"]
    torch.jit.freeze(torch.jit.script(module)).save(tmp_path / "frozen.ts")
    opened = open_shipped(tmp_path / "frozen.ts", module, name="m")
    assert [flag.code for flag in opened.flags] == ["weights-not-seen"]
    torch.testing.assert_close(opened.module(inputs), module(inputs))


def test_ordinary_modules_have_no_packed_layers():
    assert not has_packed_layers(net())
    assert not has_packed_layers(torch.jit.script(net()))
