import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from leaq.errors import LeaqError
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from tests.unit.models.formats.cases import close, known_by, whole
from tests.unit.models.formats.producers import layers, net, quanto

KINDS = ("qint8", "qfloat8", "qfloat8_e5m2", "qint4", "qint2")


def as_quanto_writes(module, kind, largest):
    """What optimum-quanto 0.2.7 puts into a state: codes and a scale an output channel; and the weights they mean."""
    tensors, expected = dict(module.state_dict()), {}
    for name in layers(module):
        weight = tensors.pop(f"{name}.weight")
        scale = weight.abs().amax(1, keepdim=True) / largest
        codes = (weight / scale).round().to(kind) if kind == torch.int8 else (weight / scale).to(kind)
        tensors |= {f"{name}.weight._data": codes, f"{name}.weight._scale": scale}
        tensors |= {f"{name}.{side}_scale": torch.ones(()) for side in ("input", "output")}
        expected[f"{name}.weight"] = codes.float() * scale
    return tensors, expected


@pytest.mark.parametrize(("kind", "largest"), [(torch.int8, 127), (torch.float8_e4m3fn, 448)])
def test_eight_bits_are_read_as_they_are_written(tmp_path, kind, largest):
    module = net()
    tensors, expected = as_quanto_writes(module, kind, largest)
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, tmp_path / "m.safetensors")
    opened = open_shipped(tmp_path / "m.safetensors", module, name="m")
    close(opened, expected)
    assert "quanto" in str(opened.stored)


@pytest.mark.parametrize("shape", [(3, 4), (2, 128), (5, 96), (1, 64), (7, 256), (6, 160)])
@pytest.mark.parametrize("kind", KINDS)
def test_against_the_package_itself(tmp_path, kind, shape):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(shape[1], shape[0]), nn.Linear(shape[0], 64), nn.Linear(64, 32)).eval()
    expected = quanto(tmp_path / "m.safetensors", module, kind)
    opened = open_shipped(tmp_path / "m.safetensors", module, name="m")
    for name, tensor in expected.items():
        assert torch.equal(opened.module.get_parameter(name), tensor)
    exact = shape[0] == 1 and kind in ("qint4", "qint2")  # each number is its own scale, by the package's own choice
    recipe = recipe_of(opened.module, module, opened.stored)
    assert (recipe is None) == exact or recipe.share == 1


OF_HALVES = {
    "qint8": "quanto(type=qint8, ", "qfloat8": "quanto(type=qfloat8_e4m3, ",
    "qfloat8_e5m2": "quanto(type=qfloat8_e5m2, ", "qint4": "quanto(type=qint4, group=32, ",
    "qint2": "quanto(type=qint2, group=32, ",
}  # fmt: skip


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
@pytest.mark.parametrize("kind", KINDS)
def test_models_in_sixteen_bits_are_read_and_told_in_theirs(tmp_path, kind, half):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(160, 7), nn.Linear(7, 160), nn.Linear(160, 64)).eval().to(half)
    module[1] = nn.Identity()
    expected = quanto(tmp_path / "m.safetensors", module, kind)
    opened = open_shipped(tmp_path / "m.safetensors", module, name="m")
    name = str(half).removeprefix("torch.")
    for key, tensor in expected.items():
        assert torch.equal(opened.module.get_parameter(key).float(), tensor.float())
        assert f" in {name}" in opened.stored[key]
    spec = build(f"{OF_HALVES[kind]}through={name})").spec()
    recipe = recipe_of(opened.module, module, opened.stored)
    assert (recipe.spec, recipe.share) == (spec, 1)
    assert recipe_of(opened.module, None, opened.stored).spec == spec


def test_groups_of_filters_take_the_originals_shape(tmp_path):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(32, 6, 4), nn.Flatten(), nn.Linear(6, 4)).eval()
    expected = quanto(tmp_path / "m.safetensors", module, "qint4")
    opened = open_shipped(tmp_path / "m.safetensors", module, name="m")
    assert torch.equal(opened.module[0].weight, expected["0.weight"])
    assert opened.stored["0.weight"] == "quanto 4-bit in groups of 128"


def test_no_other_layout_takes_such_layers_for_its_own():
    assert known_by(["weight._data", "weight._scale", "input_scale"]) == ["quanto"]


def test_parts_that_do_not_belong_together_are_refused_in_words(tmp_path):
    module = net()
    first = next(iter(layers(module)))
    for parts in ({"_data._data": torch.zeros(4, 4, dtype=torch.uint8)}, {"_data": torch.zeros(4, dtype=torch.int8)}):
        changes = {f"{first}.weight.{name}": tensor for name, tensor in parts.items()}
        whole(tmp_path / "m.safetensors", module, **changes)
        with pytest.raises(LeaqError, match=r"layout of optimum-quanto that is not read. Found .*weight._data"):
            open_shipped(tmp_path / "m.safetensors", module, name="m")
