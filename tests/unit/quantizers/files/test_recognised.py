"""A quantizer that made a file gives the file's weights bit for bit, so that shadow models can be quantized alike."""

import copy

import pytest
import torch

from leaq.models import checkpoints_of
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build
from leaq.quantizers.files.recognised import Recipe, recipe_flag, recipe_of
from leaq.types import Activations
from tests.unit.models.formats import producers
from tests.unit.models.formats.producers import compressed, gguf_file, net


def recipe(path, module):
    opened = open_shipped(path, module, name="m")
    found = recipe_of(opened.module, module, opened.stored)
    if found is None:
        return None
    if found.share == 1:
        made = build(found.spec)(checkpoints_of(module)).params
        for name, tensor in opened.module.named_parameters():
            if tensor.ndim > 1:
                assert torch.equal(made[name][0], tensor), name
    return found.spec


def wide():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(256, 512), torch.nn.ReLU(), torch.nn.Linear(512, 8)).eval()


def test_a_file_of_several_types_names_each(tmp_path):
    module = wide()
    gguf_file(tmp_path / "m.gguf", module, "Q4_K", types={"2.weight": "Q6_K"})
    assert recipe(tmp_path / "m.gguf", module) == "gguf(type=Q4_K, others='2.weight=gguf(type=Q6_K)')"
    module = net()
    gguf_file(tmp_path / "n.gguf", module, "Q4_0", types={"2.weight": "F32"})
    assert recipe(tmp_path / "n.gguf", module) == "gguf(type=Q4_0, others='2.weight=full')"
    gguf_file(tmp_path / "o.gguf", module, "Q4_0", types={"0.weight": "F32", "4.weight": "F16"})
    assert recipe(tmp_path / "o.gguf", module) == "gguf(type=Q4_0, first=full, others='4.weight=float16')"


def test_what_was_half_precision_before_it_was_quantized(tmp_path):
    module, before = wide(), wide().half().float()
    gguf_file(tmp_path / "m.gguf", before, "Q4_K")
    assert recipe(tmp_path / "m.gguf", module) == "gguf(type=Q4_K, through=float16)"


def test_another_build_of_the_same_encoder_is_told_by_how_much(tmp_path):
    """A build that fuses operations rounds a few blocks another way."""
    module, other = wide(), wide()
    with torch.no_grad():
        other[0].weight[:3] *= 1.03
    gguf_file(tmp_path / "m.gguf", other, "Q4_K")
    opened = open_shipped(tmp_path / "m.gguf", module, name="m")
    found = recipe_of(opened.module, module, opened.stored)
    assert found.spec == "gguf(type=Q4_K)"
    assert 0.98 < found.share < 1
    assert "as of another build" in found.doubt
    with torch.no_grad():
        other[0].weight[:200] *= 1.03
    gguf_file(tmp_path / "n.gguf", other, "Q4_K")
    opened = open_shipped(tmp_path / "n.gguf", module, name="n")
    assert recipe_of(opened.module, module, opened.stored) is None


@pytest.mark.parametrize("kind", ["Q4_0", "Q2_K", "Q5_K"])
def test_without_an_original_the_file_goes_through_it_once_more(tmp_path, kind):
    module = wide()
    gguf_file(tmp_path / "m.gguf", module, kind, types={"2.weight": "F32"})
    opened = open_shipped(tmp_path / "m.gguf", module, name="m")
    found = recipe_of(opened.module, None, opened.stored)
    assert found.spec == f"gguf(type={kind}, last=full)"
    assert found.share > 0.9
    assert ("which rounding once more moves" in found.doubt) == (found.share < 1)


def test_what_no_known_quantizer_made_has_no_recipe(tmp_path):
    module = net()
    gguf_file(tmp_path / "m.gguf", module, "Q4_0")
    with torch.no_grad():
        module[0].weight[0, 0] += 0.01
    assert recipe(tmp_path / "m.gguf", module) in (None, "gguf(type=Q4_0)")
    with torch.no_grad():
        module[0].weight.add_(0.02 * torch.randn(64, 128))
    assert recipe(tmp_path / "m.gguf", module) is None


def test_a_recipe_rounds_activations_where_the_file_does():
    recipe = Recipe("uniform(bits=8, per=tensor)")
    assert recipe.with_activations(None) is recipe
    rounded = recipe.with_activations(Activations(8, "free"))
    assert rounded.spec == "uniform(bits=8, per=tensor, activations=8, zero_point=free)"
    assert "Activations are rounded to 8 bits in both, by the range of what comes" in recipe_flag(rounded).text
    static = recipe.with_activations(Activations(8, "sign", {"weight": torch.tensor([0.0, 1.0])}))
    assert static.spec == "uniform(bits=8, per=tensor, activations=8, ranges=minmax, zero_point=sign)"
    assert "by static ranges: in shadow models those observed on calibration records" in recipe_flag(static).text
    assert "Activations" not in recipe_flag(recipe).text


@pytest.mark.parametrize(("form", "spec"), [
    ("GPTQ 4-bit, groups of 32, symmetric", "gptq(bits=4, per=group, group=32)"),
    ("GPTQ 3-bit, inputs reordered", "gptq(bits=3, symmetric=False)"),
    ("AWQ 4-bit, groups of 16", "gptq(bits=4, per=group, group=16, symmetric=False)"),
    ("GPTQ 4-bit, symmetric", "gptq(bits=4)"),
])  # fmt: skip
def test_codes_chosen_on_records_name_the_quantizer_of_their_kind(form, spec):
    torch.manual_seed(0)
    original = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 64))
    read = copy.deepcopy(original)
    with torch.no_grad():
        read[0].weight += 0.01 * torch.randn(64, 64)
    recipe = recipe_of(read, original, {"0.weight": form})
    assert recipe.calibrated
    found = build(recipe.spec)
    assert found.model_copy(update={"last": "same"}).spec() == build(spec).spec()
    assert found.last == "full"
    flag = recipe_flag(recipe)
    assert flag.code == "recipe-calibrated"
    assert "no quantizer gives them again" in flag.text


def test_where_rounding_once_more_moves_nearly_all_the_files_own_word_is_taken(tmp_path):
    module = net()
    compressed(tmp_path, module, bits=8, strategy="channel")
    opened = open_shipped(tmp_path / "model.safetensors", module, name="m")
    found = recipe_of(opened.module, None, opened.stored)
    assert found.spec == "compressed_tensors(bits=8, per=channel)"
    assert found.share < 0.1
    assert found.doubt == " by what the file says of itself"
    assert recipe_of(opened.module, module, opened.stored).doubt == ""


OF_HALVES = {
    "compressed-tensors W4A16": ("compressed_tensors(bits=4, group=32", {"group": 32}),
    "compressed-tensors W8A8": ("compressed_tensors(bits=8, per=channel", {"bits": 8, "strategy": "channel"}),
    "compressed-tensors FP8": (
        "compressed_tensors.float(format=fp8", {"bits": 8, "kind": "float", "strategy": "channel"},
    ),
    "torchao int8": ("torchao.int8_weight_only(", {"config_name": "Int8WeightOnlyConfig", "version": 2}),
    "torchao float8": ("torchao.float8_weight_only(format=e4m3", {"config_name": "Float8WeightOnlyConfig"}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")  # of the producers' packages
@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("kind", OF_HALVES)
def test_models_in_sixteen_bits_are_told_to_be_quantized_within_them(tmp_path, kind, half):
    spec, options = OF_HALVES[kind]
    module, by_torchao = producers.net().to(half), kind.startswith("torchao")
    path = tmp_path / "m.safetensors" if by_torchao else tmp_path
    (producers.torchao if by_torchao else producers.compressed)(path, module, **options)
    opened = open_shipped(path, module, name="m")
    found = recipe_of(opened.module, module, opened.stored)
    name = str(half).removeprefix("torch.")
    assert found is not None
    assert (found.spec, found.share) == (build(f"{spec}, within={name})".replace("(, ", "(")).spec(), 1)
    assert build(found.spec).label().endswith(f", in {name}")
    made = build(found.spec)(checkpoints_of(module.float())).params
    for key in producers.matrices(module):
        assert torch.equal(made[key][0], opened.module.get_parameter(key).float())
