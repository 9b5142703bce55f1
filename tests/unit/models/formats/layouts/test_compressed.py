import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from leaq.errors import InvalidInput
from leaq.models.formats.reading import read_file
from leaq.pipeline.finished.shipped import open_shipped
from tests.unit.models.formats.cases import close
from tests.unit.models.formats.producers import compressed, net

COMPRESSED = {
    "W4A16 groups": {"bits": 4}, "W4A16 asymmetric": {"bits": 4, "symmetric": False},
    "W4A16 channel": {"bits": 4, "strategy": "channel"}, "3 bits": {"bits": 3}, "6 bits": {"bits": 6},
    "W8A16 groups": {"bits": 8}, "W8A8": {"bits": 8, "strategy": "channel"},
    "W8A8 asymmetric": {"bits": 8, "strategy": "channel", "symmetric": False},
    "FP8": {"bits": 8, "kind": "float", "strategy": "channel"}, "NVFP4": {"bits": 4, "kind": "float", "group": 16},
    "MXFP6": {"bits": 6, "kind": "float"}, "MXFP8": {"bits": 8, "kind": "float"},
}  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("form", COMPRESSED)
@pytest.mark.parametrize("make", [net])
def test_compressed_tensors(tmp_path, form, make):
    module = make()
    expected = compressed(tmp_path, module, **COMPRESSED[form])
    opened = open_shipped(tmp_path, module, name="m")
    close(opened, expected, rtol=1e-6)
    numbers = sum(t.numel() for t in expected.values())
    rest = sum(t.numel() for t in module.state_dict().values()) - numbers
    bits = COMPRESSED[form]["bits"]
    assert numbers * bits / 8 + 4 * rest < opened.bytes < numbers * (bits + 3) / 8 + 4 * rest + 600


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("said", [(4,), (4, 8), ()])
def test_layers_of_several_widths_are_each_read_by_their_own(tmp_path, said):
    module = net()
    eight = compressed(tmp_path, module, bits=8)  # which are as many words as 7-bit codes that end with a word
    parts = load_file(tmp_path / "model.safetensors")
    four = compressed(tmp_path, module, bits=4)
    mixed = {**load_file(tmp_path / "model.safetensors"), **{k: v for k, v in parts.items() if k.startswith("2.")}}
    save_file(mixed, tmp_path / "model.safetensors")
    groups = {str(bits): {"weights": {"num_bits": bits}} for bits in said}
    settings = {"quantization_config": {"quant_method": "compressed-tensors", "config_groups": groups}}
    (tmp_path / "config.json").write_text(json.dumps(settings))
    alone = read_file(tmp_path, module).weights  # without an original that could decide
    for name, expected in {**four, "2.weight": eight["2.weight"]}.items():
        torch.testing.assert_close(alone[name]().value, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.filterwarnings("ignore")
def test_scales_of_another_axis_are_refused(tmp_path):
    module = net()
    compressed(tmp_path, module)
    parts = load_file(tmp_path / "model.safetensors")
    for scales in (parts["0.weight_scale"].T.contiguous(), parts["0.weight_scale"][:, :3].contiguous()):
        save_file({**parts, "0.weight_scale": scales}, tmp_path / "model.safetensors")
        with pytest.raises(InvalidInput, match="must be covered by their scales, a row of them for each output"):
            open_shipped(tmp_path, module, name="m")
