"""Files that are damaged, incomplete, of another model, or codes without scales: one clear error each."""

import json

import pytest
import torch
from safetensors.torch import save_file

from leaq.errors import InvalidInput, StoreError
from leaq.models.formats import read_file
from leaq.pipeline.finished.shipped import open_shipped
from tests.unit.models.formats.cases import whole
from tests.unit.models.formats.producers import compressed, gguf_file, net


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.int32, torch.int64])
def test_codes_without_scales_are_no_weights(tmp_path, dtype):
    module = net()
    path = whole(tmp_path / "m.safetensors", module, **{"0.weight": torch.ones(64, 128, dtype=dtype)})
    with pytest.raises(InvalidInput, match="codes need scales to be weights. 0.weight holds torch"):
        open_shipped(path, module, name="m")


def test_float8_without_scales_is_judged_by_its_values(tmp_path):
    module = net()
    eight = {"0.weight": module[0].weight.detach().to(torch.float8_e4m3fn)}
    assert open_shipped(whole(tmp_path / "m.safetensors", module, **eight), module, name="m").read
    eight["0.weight"] = (module[0].weight.detach() * 4000).to(torch.float8_e4m3fn)
    with pytest.raises(InvalidInput, match="scales are missing|NaN or infinite"):
        open_shipped(whole(tmp_path / "m.safetensors", module, **eight), module, name="m")


def test_damaged_and_missing_files_are_named(tmp_path):
    module = net()
    path = whole(tmp_path / "m.safetensors", module)
    (tmp_path / "cut.safetensors").write_bytes(path.read_bytes()[:-100])
    with pytest.raises(StoreError, match="cut.safetensors: this is no readable safetensors file"):
        open_shipped(tmp_path / "cut.safetensors", module, name="m")
    with pytest.raises(InvalidInput, match=r"There is no weights file .*none.safetensors"):
        open_shipped(tmp_path / "none.safetensors", module, name="m")
    empty = tmp_path / "folder"
    empty.mkdir()
    with pytest.raises(StoreError, match="folder: a model.s folder must hold its weights"):
        open_shipped(empty, module, name="m")
    (empty / "adapter_config.json").write_text("{}")
    with pytest.raises(StoreError, match="Found an adapter, not a model"):
        open_shipped(empty, module, name="m")
    whole(empty / "a.safetensors", module), whole(empty / "b.safetensors", module)
    with pytest.raises(StoreError, match="must hold one model. Found a.safetensors, b.safetensors"):
        open_shipped(empty, module, name="m")
    (empty / "config.json").write_text("{no json")
    with pytest.raises(InvalidInput, match="config.json beside a.safetensors must be JSON"):
        open_shipped(empty / "a.safetensors", module, name="m")


def test_shards_are_joined_and_a_missing_one_is_named(tmp_path):
    module = net()
    names = list(module.state_dict())
    place = {name: f"part-{i % 2}.safetensors" for i, name in enumerate(names)}
    for file in set(place.values()):
        save_file({name: module.state_dict()[name] for name in names if place[name] == file}, tmp_path / file)
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": place}))
    for path in (tmp_path, tmp_path / "model.safetensors.index.json"):
        assert open_shipped(path, module, name="m").bytes == sum(t.nbytes for t in module.state_dict().values())
    (tmp_path / "part-1.safetensors").unlink()
    with pytest.raises(StoreError, match="needs all of them. Missing: part-1.safetensors of 2"):
        open_shipped(tmp_path, module, name="m")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": "../part-0.safetensors"}}))
    with pytest.raises((InvalidInput, StoreError)):
        open_shipped(tmp_path, module, name="m")


def test_mixed_types_are_read_each_as_it_is(tmp_path):
    module = net()
    changes = {"0.weight": module[0].weight.detach().half(), "2.bias": module[2].bias.detach().bfloat16()}
    opened = open_shipped(whole(tmp_path / "m.safetensors", module, **changes), module, name="m")
    assert torch.equal(opened.module[0].weight, changes["0.weight"].float())
    assert opened.module[2].bias.dtype == torch.float32


@pytest.mark.filterwarnings("ignore")
def test_parts_that_do_not_belong_together_are_named(tmp_path):
    module = net()
    compressed(tmp_path, module)
    from safetensors.torch import load_file

    stored = load_file(tmp_path / "model.safetensors")
    for change, message in (
        (
            {"0.weight_scale": stored["0.weight_scale"][:, :3]},
            "must be covered by their scales|must be near the original",
        ),
        ({"0.weight_packed": stored["0.weight_packed"][:, :5]}, "weight_packed must hold 64 x 128 codes"),
        ({"0.weight_packed": stored["0.weight_packed"][:5]}, "weight_packed must hold 64 x 128 codes"),
    ):
        save_file({**stored, **{key: t.contiguous() for key, t in change.items()}}, tmp_path / "model.safetensors")
        with pytest.raises(InvalidInput, match=message):
            open_shipped(tmp_path, module, name="m")
    without = {key: t for key, t in stored.items() if key != "0.weight_scale"}
    save_file(without, tmp_path / "model.safetensors")
    with pytest.raises(InvalidInput, match="'0' of compressed-tensors must hold weight_scale beside weight_packed"):
        open_shipped(tmp_path, module, name="m")


def test_complex_weights_and_settings_of_another_form_are_refused(tmp_path):
    module = net()
    path = whole(tmp_path / "m.safetensors", module, **{"2.weight": module[2].weight.detach().to(torch.complex64)})
    with pytest.raises(InvalidInput, match="2.weight must be of real numbers"):
        open_shipped(path, module, name="m")
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(InvalidInput, match="config.json beside m.safetensors must hold named settings"):
        open_shipped(path, module, name="m")


def test_numbers_stored_in_full_width_are_told(tmp_path):
    module = net()
    rounded = {name: (t * 64).round() / 64 for name, t in module.state_dict().items()}
    opened = open_shipped(whole(tmp_path / "m.safetensors", module, **rounded), module, name="m")
    assert [flag.code for flag in opened.flags] == ["stored-as-floats"]


def test_a_file_is_read_weight_by_weight(tmp_path):
    module = net()
    gguf_file(tmp_path / "m.gguf", module, "Q8_0")
    reading = read_file(tmp_path / "m.gguf", module)
    assert set(reading.weights) == set(module.state_dict())
    assert reading.weights["0.weight"]().form == "GGUF Q8_0"
    assert "architecture 'perceptron'" in reading.kind
