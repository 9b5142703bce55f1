"""Files that leaq packed are files of weights like any other: released, shipped, finished."""

import numpy as np
import pytest
import torch
from torch import nn

import leaq
from leaq.errors import InvalidInput
from leaq.models import ModuleModel, checkpoints_of
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build, pack
from leaq.quantizers.files.opening import open_file
from leaq.quantizers.files.recognised import recipe_of
from tests.unit.models.formats.cases import whole


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))


def packed(folder, module, spec, batch=()):
    path = folder / f"{len(list(folder.iterdir()))}.safetensors"
    checkpoints = checkpoints_of(module)
    if batch:
        checkpoints = checkpoints.at((None,) * len(batch))
    pack(checkpoints, build(spec), path)
    return path


@pytest.mark.parametrize("spec", ["sign", "uniform(bits=4)", "ternary(sparsity=0.5)", "uniform(bits=8, last=full)"])
def test_the_weights_are_those_that_were_packed_and_their_quantizer_is_named(tmp_path, net, spec):
    path = packed(tmp_path, net, spec)
    expected = build(spec)(checkpoints_of(net)).at(0).params
    opened = open_shipped(path, net, name="m")
    for name, tensor in opened.module.state_dict().items():
        assert torch.equal(tensor, expected[name])
    alone = recipe_of(opened.module, None, opened.stored)
    assert alone is not None
    assert alone.spec == build(spec).spec()
    assert recipe_of(opened.module, net, opened.stored).spec == build(spec).spec()


def test_weights_that_are_not_packed_are_read_as_before(tmp_path, net):
    found = open_file(whole(tmp_path / "m.safetensors", net), net)
    assert torch.equal(found.weights["0.weight"]().value, net[0].weight)


def test_several_models_and_rounded_activations_are_refused(tmp_path, net):
    with pytest.raises(InvalidInput, match="rounds activations too"):
        open_file(packed(tmp_path, net, "uniform(bits=8, activations=8)"), net)


def test_a_protected_file_is_audited_beside_shadow_models_of_its_own_quantizer(tmp_path, net):
    rng = np.random.default_rng(0)
    x, inside = rng.normal(size=(48, 6)).astype(np.float32), np.arange(48) % 2 == 0
    y = (x[:, 0] > 0).astype(int)

    def train(records, seed):
        return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 2))

    result = leaq.audit(
        (x, y), recipe=train, released=packed(tmp_path, net, "sign"), members=inside, replicates=6,
        quantizers="none", attacks="threshold",
    )  # fmt: skip
    assert [row.quantizer for row in result.rows] == ["none", "sign"]
    assert "already-quantized" in {flag.code for flag in result.flags}


def test_what_was_calibrated_is_named_by_the_file_and_made_again_with_other_records(tmp_path, net):
    path = tmp_path / "m.safetensors"
    shown = leaq.quantizers.Calibration(
        ModuleModel(net), np.random.default_rng(0).normal(size=(20, 6)), source="public"
    )
    pack(checkpoints_of(net), build("sign(refit=last, calibrated=elsewhere)"), path, calibration=shown)
    opened = open_shipped(path, net, name="m")
    recipe = recipe_of(opened.module, None, opened.stored)
    assert recipe is not None
    assert (recipe.spec, recipe.calibrated) == ("sign(calibrated=elsewhere, refit=last)", True)


def test_what_the_network_named_lacks_is_refused(tmp_path, net):
    """Scalers in front of a network that leaq trained: without them it gives other outputs."""

    class Behind(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = net
            self.register_buffer("input_mean", torch.ones(6))
            self.register_buffer("input_scale", torch.ones(6))

        def forward(self, x):
            return self.module((x - self.input_mean) / self.input_scale)

    path = packed(tmp_path, Behind(), "sign")
    with pytest.raises(InvalidInput, match="It lacks input_mean, input_scale, by which its inputs are centred"):
        open_file(path, net)
    assert set(open_file(path, Behind()).weights) > {"module.0.weight", "input_mean"}
