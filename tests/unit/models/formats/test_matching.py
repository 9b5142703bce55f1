import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from leaq.errors import InvalidInput
from leaq.models.formats.matching import matched
from leaq.pipeline.finished.shipped import open_shipped
from tests.unit.models.formats.cases import whole
from tests.unit.models.formats.layouts.test_words import pack_by_hand
from tests.unit.models.formats.producers import net


@pytest.mark.parametrize(
    "prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "base.net.", "_fsdp_wrapped_module."]
)
def test_prefixes_of_wrappers_are_seen_through(tmp_path, prefix):
    module = net()
    path = tmp_path / "m.safetensors"
    save_file({prefix + name: t for name, t in module.state_dict().items()}, path)
    opened = open_shipped(path, module, name="m")
    assert [flag.code for flag in opened.flags] == ["not-quantized"]
    packed, exact = pack_by_hand(module[2].weight.detach(), 4, 32)
    stored = {prefix + name: t for name, t in module.state_dict().items() if name != "2.weight"}
    save_file({**stored, **{f"{prefix}2.{part}": t.contiguous() for part, t in packed.items()}}, path)
    torch.testing.assert_close(open_shipped(path, module, name="m").module[2].weight.detach(), exact)


def test_names_inside_and_missing_prefixes_are_seen_through():
    inner = nn.Sequential(nn.Sequential(nn.Linear(2, 2)))
    assert matched(["0._orig_mod.0.weight", "0._orig_mod.0.bias"], inner) == {
        "0.0.weight": "0._orig_mod.0.weight", "0.0.bias": "0._orig_mod.0.bias",
    }  # fmt: skip
    outer = nn.ModuleDict({"model": nn.Sequential(nn.Linear(2, 2))})
    assert matched(["0.weight", "0.bias"], outer) == {"model.0.weight": "0.weight", "model.0.bias": "0.bias"}
    own = nn.ModuleDict({"module": nn.Linear(2, 2)})  # its own name, not a wrapper's
    assert matched(["module.weight", "module.bias"], own)["module.weight"] == "module.weight"


def test_a_tied_weight_may_stand_under_either_name(tmp_path):
    module = nn.Sequential(nn.Embedding(8, 16), nn.Linear(16, 8, bias=False))
    module[1].weight = module[0].weight
    save_file({"1.weight": module[0].weight.detach()}, tmp_path / "m.safetensors")
    assert torch.equal(open_shipped(tmp_path / "m.safetensors", module, name="m").module[0].weight, module[0].weight)


def test_adapters_and_other_architectures_are_told_apart(tmp_path):
    module = net()
    save_file({"0.lora_A.weight": torch.ones(2, 128), "0.lora_B.weight": torch.ones(64, 2)}, tmp_path / "a.safetensors")
    with pytest.raises(InvalidInput, match=r"Found an adapter \(LoRA or its kin\) without its base"):
        open_shipped(tmp_path / "a.safetensors", module, name="m")
    whole(tmp_path / "b.safetensors", module, **{"0.weight_blob": torch.ones(3)})
    with pytest.raises(InvalidInput, match="Parts named weight_blob belong to no layout that is read"):
        open_shipped(tmp_path / "b.safetensors", module, name="m")
    save_file({"0.weight": torch.ones(64, 128)}, tmp_path / "c.safetensors")
    with pytest.raises(InvalidInput, match="missing: 0.bias, 2.weight, 2.bias.*Build the model with the options"):
        open_shipped(tmp_path / "c.safetensors", module, name="m")


def test_a_file_of_another_model_of_the_same_shape_is_refused(tmp_path):
    module = net()
    torch.manual_seed(9)
    other = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
    with pytest.raises(InvalidInput, match="m: what a file holds must be near the original.*0.weight"):
        open_shipped(whole(tmp_path / "m.safetensors", other), module, name="m")


def test_an_average_saved_beside_the_weights_is_said(tmp_path):
    module = net()
    own = module.state_dict()
    save_file({**own, **{f"ema.{name}": t * 0.9 for name, t in own.items()}}, tmp_path / "m.safetensors")
    opened = open_shipped(tmp_path / "m.safetensors", module, name="m")
    assert torch.equal(opened.module[0].weight, module[0].weight)
    further = next(flag for flag in opened.flags if flag.code == "further-weights")
    assert further.text.startswith("m holds 6 tensors that are not the model's (ema.")
    both = {f"{prefix}.{name}": t.clone() for prefix in ("ema", "model") for name, t in own.items()}
    save_file(both, tmp_path / "b.safetensors")
    with pytest.raises(InvalidInput, match=r"must hold one model. Found copies of its weights under ema\., model\."):
        open_shipped(tmp_path / "b.safetensors", module, name="m")


def test_what_a_training_kept_beside_the_network_is_said(tmp_path):
    module = net()
    kept = {"criterion.weight": torch.ones(32), "optimizer.state.0.exp_avg": torch.ones(3)}
    own = {f"model.{name}": tensor for name, tensor in module.state_dict().items()}
    save_file({**own, **kept}, tmp_path / "m.safetensors")
    opened = open_shipped(tmp_path / "m.safetensors", module, name="m")
    assert torch.equal(opened.module[0].weight, module[0].weight)
    further = next(flag for flag in opened.flags if flag.code == "further-weights")
    assert "holds 2 tensors that are not the model's (criterion.weight, optimizer" in further.text
    averaged = torch.optim.swa_utils.AveragedModel(module)
    save_file({name: t.clone() for name, t in averaged.state_dict().items()}, tmp_path / "a.safetensors")
    opened = open_shipped(tmp_path / "a.safetensors", module, name="m")
    assert torch.equal(opened.module[0].weight, module[0].weight)
    deeper = {**own, "model.6.weight": torch.ones(3, 3)}
    save_file(deeper, tmp_path / "d.safetensors")
    with pytest.raises(InvalidInput, match=r"unexpected: model\.6\.weight"):
        open_shipped(tmp_path / "d.safetensors", module, name="m")


def test_an_adapter_beside_its_base_is_told_to_be_merged(tmp_path):
    module = net()
    stored = {name.replace("0.", "0.base_layer."): t for name, t in module.state_dict().items()}
    save_file({**stored, "0.lora_A.default.weight": torch.ones(2, 128)}, tmp_path / "a.safetensors")
    with pytest.raises(InvalidInput, match=r"an adapter .* that is not merged into its base.*merge_and_unload"):
        open_shipped(tmp_path / "a.safetensors", module, name="m")
