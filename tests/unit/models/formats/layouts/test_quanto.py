import copy

import pytest
import torch
from safetensors.torch import save_file

from leaq.errors import LeaqError
from leaq.pipeline.finished.shipped import open_shipped
from tests.unit.models.formats.cases import close, known_by, whole
from tests.unit.models.formats.producers import layers, net


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


@pytest.mark.parametrize("kind", ["qint8", "qfloat8"])
def test_against_the_package_itself(tmp_path, kind):
    quanto, module = pytest.importorskip("optimum.quanto"), net()
    other = copy.deepcopy(module)
    quanto.quantize(other, weights=getattr(quanto, kind))
    quanto.freeze(other)
    save_file({name: tensor.contiguous() for name, tensor in other.state_dict().items()}, tmp_path / "m.safetensors")
    expected = {f"{name}.weight": part.weight.dequantize() for name, part in layers(other).items()}
    close(open_shipped(tmp_path / "m.safetensors", module, name="m"), expected)


def test_no_other_layout_takes_such_layers_for_its_own():
    assert known_by(["weight._data", "weight._scale", "input_scale"]) == ["quanto"]


def test_groups_are_refused_in_words(tmp_path):
    module = net()
    first = next(iter(layers(module)))
    changes = {f"{first}.weight._data._data": torch.zeros(4, 4, dtype=torch.uint8)}
    whole(tmp_path / "m.safetensors", module, **changes)
    with pytest.raises(LeaqError, match="groups of 4 or 2 bits lie in an order that only the layer's shape tells"):
        open_shipped(tmp_path / "m.safetensors", module, name="m")
