"""OpenVINO files that NNCF writes: run as OpenVINO runs them, their weights followed and compared."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput
from leaq.models import checkpoints_of
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers import build
from leaq.quantizers.files.recognised import recipe_of
from leaq.types import Activations
from tests.helpers import require
from tests.unit.models.formats import apart, producers
from tests.unit.models.formats.cases import rule, written

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages that read these files

by_nncf = written("by_nncf", "nncf", "openvino")


ENDS = "nncf(bits=4, per=group, group=64, symmetric=False, others='4.weight=nncf(bits=8, symmetric=False)')"
GROUPED = "nncf(bits=4, per=group, group=32)"
MIXED = f"nncf(bits=8, symmetric=False, others='2.weight={GROUPED}; 4.weight={GROUPED}')"
WEIGHTS = {
    "uint8": ("uint8", 8, "nncf(bits=8, symmetric=False)"),
    "int8 alone": ("int8", 8, "nncf(bits=8)"),
    "int4": ("int4 in groups of 32", 4.5, "nncf(bits=4, per=group, group=32)"),
    "uint4": ("uint4 in groups of 32", 4.625, "nncf(bits=4, per=group, group=32, symmetric=False)"),
    "int4 channels": ("int4", 4, "nncf(bits=4)"),
    "uint4 ends in 8 bits": ("uint4 in groups of 64", 5, ENDS),
    "int4 mixed": ("int4 in groups of 32", 6.5, MIXED),
    "uint2": ("uint2 in groups of 32", 2.5, "nncf(bits=2, per=group, group=32)"),
    "uint3": ("uint3", 3, "nncf(bits=3)"),
}
"""What NNCF compresses: how a weight is stored, bits a number, and the quantizer that it is."""
KINDS = ("int8", *WEIGHTS)
EXCEPT = {"uint4 ends in 8 bits": "4.weight", "int4 mixed": "0.weight"}
"""The layer that has 8 bits."""


@pytest.mark.parametrize("kind", KINDS)
def test_nncf_files_run_as_openvino_runs_them(by_nncf, kind):
    form, bits, _ = WEIGHTS.get(kind, ("int8 of 255 levels", 8, ""))
    module, inputs = producers.net(), apart.calibration()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    np.testing.assert_allclose(opened.module(inputs).numpy(), np.load(by_nncf / f"{kind}.npy"), rtol=1e-4, atol=1e-5)
    wanted = module(inputs).detach()
    error = 0.1 if bits >= 8 else 0.5 if bits >= 4 else 2
    assert 0 < (opened.module(inputs) - wanted).abs().max() < error * wanted.abs().max()
    forms = dict.fromkeys(producers.matrices(module), f"OpenVINO {form}")
    assert opened.stored == forms | ({EXCEPT[kind]: "OpenVINO uint8"} if kind in EXCEPT else {})
    assert (None if opened.activations is None else opened.activations.bits) == (8 if kind == "int8" else None)
    assert [flag.code for flag in opened.flags] == ["integer-activations"] * (kind == "int8")
    files = [by_nncf / f"{kind}.{end}" for end in ("xml", "bin")]
    assert opened.bytes == sum(file.stat().st_size for file in files)
    numbers = sum(tensor.numel() for tensor in producers.matrices(module).values())
    assert numbers * bits / 8 <= files[1].stat().st_size < numbers * (bits + 0.5) / 8 + 4 * 160 * 2


FLOATS = {
    "nf4": ("nf4 in groups of 64", "nncf.float(format=nf4)"),
    "f4e2m1": ("f4e2m1 in groups of 32", "nncf.float(format=f4e2m1, group=32)"),
    "f8e4m3": ("f8e4m3", "nncf.float(format=f8e4m3, per=channel)"),
    "mxfp4": ("f4e2m1 scaled by f8e8m0 in groups of 32", "nncf.float(format=f4e2m1, group=32, powers=True)"),
    "mxfp8": ("f8e4m3 scaled by f8e8m0 in groups of 32", "nncf.float(format=f8e4m3, group=32, powers=True)"),
    "nvfp4": ("f4e2m1 scaled by f8e4m3 in groups of 16", None),
}
"""Of short floats."""


@pytest.mark.parametrize("kind", FLOATS)
def test_short_floats_are_read_and_run(by_nncf, kind):
    module, inputs = producers.net(), apart.calibration()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    assert opened.read
    form, spec = FLOATS[kind]
    assert opened.stored == dict.fromkeys(producers.matrices(module), f"OpenVINO {form}")
    np.testing.assert_allclose(opened.module(inputs).numpy(), np.load(by_nncf / f"{kind}.npy"), rtol=1e-4, atol=1e-5)
    for name, tensor in producers.matrices(module).items():
        found = opened.module.get_parameter(name)
        assert 0 < (found - tensor).std() < (0.05 if "8" in kind else 0.2) * tensor.std()
    recipe = recipe_of(opened.module, module, opened.stored)
    again = recipe_of(opened.module, None, opened.stored)
    if spec is None:  # two scales a number
        assert recipe is again is None
        return
    assert (recipe.spec, recipe.share, again.spec) == (spec, 1, spec)
    made = build(spec)(checkpoints_of(module)).params
    for name in producers.matrices(module):
        assert torch.equal(made[name][0], opened.module.get_parameter(name))


@pytest.mark.parametrize("kind", [*KINDS, *apart.FLOATS])
def test_weights_are_those_that_openvino_makes_of_them(by_nncf, kind):
    import openvino

    core, module = openvino.Core(), producers.net()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    model = core.read_model(str(by_nncf / f"{kind}.xml"))
    products = [node for node in model.get_ordered_ops() if node.get_type_name() == "MatMul"]
    for name, node in zip(producers.matrices(module), products, strict=True):
        alone = openvino.Model([node.input(1).get_source_output()], [])
        own = core.compile_model(alone, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([])[0]
        found = opened.module.get_parameter(name).detach().numpy()
        np.testing.assert_allclose(found, own, rtol=0 if kind == "int8" else 2**-10, atol=6e-8)  # half-precision scales


def test_the_recipe_of_what_nncf_calibrates_is_told(by_nncf):
    module = producers.net()
    opened = open_shipped(by_nncf / "int8.xml", module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored).with_activations(opened.activations)
    assert (recipe.spec, recipe.share) == ("nncf.quantize(activations=8, ranges=mean, zero_point=sign)", 1)
    given = build("nncf.quantize")(checkpoints_of(module)).params
    for name in producers.matrices(module):
        assert torch.equal(given[name][0], opened.module.get_parameter(name))


CALIBRATED = {
    "int8 convolutions": "nncf.quantize(others='0.weight=nncf.quantize(half=True)')",
    "int8 half": "nncf.quantize(half=True)",
    "int8 per tensor": "nncf.quantize(per=tensor)",
}


@pytest.mark.parametrize("kind", CALIBRATED)
def test_the_recipe_of_what_nncf_calibrates_holds_on_ties_for_small_rows_and_half_a_range(by_nncf, kind):
    module = apart.calibrated()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored)
    assert (recipe.spec, recipe.share) == (CALIBRATED[kind], 1)
    made = build(recipe.spec)(checkpoints_of(module)).params
    weights = {name: tensor for name, tensor in opened.module.named_parameters() if tensor.ndim > 1}
    assert len(weights) == 4
    for name, tensor in weights.items():
        assert torch.equal(made[name][0], tensor), name
    again = recipe_of(opened.module, None, opened.stored)  # of half a range the next one would be smaller
    assert again.spec == recipe.spec
    simple = build("uniform(bits=8)")(checkpoints_of(module)).params  # by a step: other codes on ties
    assert (simple["5.weight"][0] != opened.module.get_parameter("5.weight")).sum() > 30


def test_zero_points_that_are_no_whole_codes_are_no_recipe(by_nncf):
    module = apart.calibrated()
    opened = open_shipped(by_nncf / "int8 zero points.xml", module, name="m")
    assert set(opened.stored.values()) == {"OpenVINO int8 with zero points"}
    assert recipe_of(opened.module, module, opened.stored) is None
    assert recipe_of(opened.module, None, opened.stored) is None  # was called nncf(bits=8)


def test_factors_of_inputs_that_nncf_puts_before_products_are_put_into_the_weights(by_nncf):
    module = producers.net()
    opened = open_shipped(by_nncf / "int8 smoothed.xml", module, name="m")
    form = "OpenVINO int8 of 255 levels of smoothed inputs"
    assert opened.stored == dict.fromkeys(producers.matrices(module), form)
    for name, tensor in producers.matrices(module).items():
        assert 0 < (opened.module.get_parameter(name) - tensor).std() < 0.05 * tensor.std()
    assert recipe_of(opened.module, module, opened.stored) is None  # the factors follow from records
    assert recipe_of(opened.module, None, opened.stored) is None
    assert opened.activations == Activations(8, "free")  # ranges are of inputs times factors


@pytest.mark.parametrize("kind", WEIGHTS)
@pytest.mark.parametrize("alone", [False, True], ids=["beside its original", "alone"])
def test_the_recipe_of_what_nncf_compresses_is_told(by_nncf, kind, alone):
    module = producers.net()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    recipe = recipe_of(opened.module, None if alone else module, opened.stored)
    assert build(recipe.spec).spec() == build(WEIGHTS[kind][2]).spec()
    assert recipe.again == alone
    assert recipe.share == 1 or (alone and recipe.share > 0.98)  # asymmetric scales move when rounded once more
    given = build(recipe.spec)(checkpoints_of(module)).params
    for name in producers.matrices(module):
        assert torch.equal(given[name][0], opened.module.get_parameter(name))


@pytest.mark.parametrize("kind", apart.EDGES)
def test_the_recipe_holds_for_other_layers_and_unlikely_rows(by_nncf, kind):
    module = apart.edges()
    opened = open_shipped(by_nncf / f"{kind}.xml", module, name="m")
    recipe = recipe_of(opened.module, module, opened.stored)
    assert recipe.share == 1
    made = build(recipe.spec)(checkpoints_of(module)).params
    weights = {name: tensor for name, tensor in opened.module.named_parameters() if tensor.ndim > 1}
    assert len(weights) == 5
    for name, tensor in weights.items():
        assert torch.equal(made[name][0], tensor), name
    again = recipe_of(opened.module, None, opened.stored)  # a row of one number is moved
    assert rule(again.spec) == rule(recipe.spec)
    assert (0.9 if "f8" in kind else 0.98) < again.share <= 1


def test_openvino_files_of_another_model_are_refused(by_nncf):
    torch.manual_seed(7)
    other = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32))
    with pytest.raises(InvalidInput, match="must be near the original that it was made from"):
        open_shipped(by_nncf / "int8.xml", other, name="m")


def converted(tmp_path, module, inputs):
    require("openvino")
    import openvino

    model = openvino.convert_model(module, example_input=inputs)
    openvino.save_model(model, tmp_path / "m.xml", compress_to_fp16=False)
    return open_shipped(tmp_path / "m.xml", module, name="m")


def test_filters_and_products_of_openvino_are_found_in_torchs_orientation(tmp_path):
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.image = nn.Sequential(nn.Conv2d(3, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3, groups=3), nn.ReLU())
            self.up = nn.ConvTranspose2d(6, 4, 2)
            self.bare = nn.Parameter(torch.randn(4, 4))

        def forward(self, x):
            return self.up(self.image(x)).mean((2, 3)) @ self.bare

    torch.manual_seed(0)
    module, inputs = Both().eval(), torch.randn(2, 3, 8, 8)
    opened = converted(tmp_path, module, inputs)
    assert opened.read
    assert [flag.code for flag in opened.flags] == ["not-quantized"]
    for name, tensor in module.named_parameters():
        torch.testing.assert_close(opened.module.get_parameter(name), tensor, msg=name)
    wanted = module(inputs).detach()  # OpenVINO computes in bfloat16 where the processor does
    torch.testing.assert_close(opened.module(inputs), wanted, rtol=0, atol=0.05 * float(wanted.abs().max()))
