"""Programs that round activations: a network with their weights, rounding as they say, gives what they give."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.models import ModuleModel, checkpoints_of
from leaq.models.programs import open_program
from leaq.pipeline.subjects.opening import open_released
from leaq.quantizers import Calibration, build
from leaq.quantizers.files.recognised import Recipe
from leaq.quantizers.observing import nearest
from leaq.types import Activations, Samples
from tests.helpers import require
from tests.unit.models.formats import apart, producers
from tests.unit.models.formats.cases import written

pytestmark = pytest.mark.filterwarnings("ignore")  # of the packages that read these files

by_ai_edge = written("by_ai_edge", "ai_edge_quantizer", "ai_edge_litert")


@pytest.fixture(scope="module")
def by_nncf(tmp_path_factory):
    require("nncf")
    require("openvino")
    return apart.made("nncf_ranges", tmp_path_factory.mktemp("by_nncf"))


def opened_of(path, module, inputs):
    targets = np.zeros(len(inputs), dtype=np.int64)
    return open_released(path, module, Samples(inputs.numpy(), targets, "classification", classes=("0", "1")))


def skewed(n=64, width=8):
    return torch.randn(n, width, generator=torch.Generator().manual_seed(1)).exp() - 1


def bent():
    """Layers before a ReLU, before another function, and at the end."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 3)).eval()


def filters():
    torch.manual_seed(0)
    layers = nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3)
    return nn.Sequential(*layers).eval()


def apart_by(how, module, path, inputs):
    """How far outputs are from the program's under other roundings, as a share of how much they vary."""
    rows = [open_program(path)[0](row[None]) for row in inputs]
    wanted = torch.cat(rows).double()
    given = ModuleModel(module).forward(checkpoints_of(module).params, inputs, activations=how)[0].double()
    return float((given - wanted).norm() / (wanted - wanted.mean(0)).norm())


def observed_like(opened, module, inputs, ranges):
    """Which way of observing is told from the file, how far off it is, and the rounding of a shadow model that is the
    file's own: observed on the same records, from the weights in full precision."""
    recipe = Recipe("uniform(bits=8)", ranges=ranges).with_activations(opened.activations)
    order = Calibration(None, inputs.numpy()).rows[0]  # in which a moving average meets them
    records = np.empty_like(inputs.numpy())
    records[order] = inputs.numpy()
    scheme, shown = build(recipe.spec), Calibration(ModuleModel(module), records)
    way, off = nearest(scheme, checkpoints_of(opened.module), shown, opened.activations)
    return way, off, scheme.fitted_to(checkpoints_of(module), shown).rounding


ONNX = ["static", "static channel", "static operator", "static operator channel"]


@pytest.mark.parametrize("kind", ONNX)
@pytest.mark.parametrize("make", [bent, filters])
def test_static_onnx_files_are_rounded_as_they_are_and_shadows_as_onnxruntime_observes(tmp_path, kind, make):
    module = make()
    inputs = skewed() if make is bent else skewed(64, 72).reshape(64, 2, 6, 6)
    producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, inputs)
    opened = opened_of(tmp_path / "m.onnx", module, inputs)
    assert (opened.activations.zero_point, opened.activations.outputs) == ("free", "all")
    before = apart_by(Activations(8), opened.module, tmp_path / "m.onnx", inputs)
    assert opened.off[0] < 0.1 * min(before, opened.off[1])
    way, off, observed = observed_like(opened, module, inputs, "minmax")
    assert way == "minmax"
    assert off < 0.02  # 0 is at a level, which moves both ends
    assert apart_by(observed, opened.module, tmp_path / "m.onnx", inputs) < 0.5 * before


@pytest.mark.parametrize("kind", ["dynamic", "dynamic channel", "dynamic unsigned"])
def test_dynamic_onnx_files_are_rounded_by_the_range_of_each_record(tmp_path, kind):
    module, inputs = bent(), skewed()
    producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, inputs)
    opened = opened_of(tmp_path / "m.onnx", module, inputs)
    assert opened.activations == Activations(8, "free")
    assert opened.off[0] < 1e-4 < opened.off[1]


@pytest.mark.parametrize("dynamic", [False, True])
def test_exported_programs_are_rounded_as_they_are(tmp_path, dynamic):
    module, inputs = bent(), skewed()
    quantized = producers.pt2e(module, inputs, dynamic=dynamic)
    torch.export.save(producers.program(quantized, inputs), tmp_path / "m.pt2")
    opened = opened_of(tmp_path / "m.pt2", module, inputs)
    assert opened.off[0] < 1e-4 < opened.off[1]
    assert (opened.activations.zero_point, opened.activations.outputs) == ("free", "none")
    if not dynamic:
        way, off, observed = observed_like(opened, module, inputs, "minmax")
        assert way == "minmax"
        assert off < 0.02  # its histogram cuts off next to nothing
        before = apart_by(Activations(8), opened.module, tmp_path / "m.pt2", inputs)
        assert apart_by(observed, opened.module, tmp_path / "m.pt2", inputs) < 0.5 * before


@pytest.mark.parametrize(("kind", "zero_point"), [("performance", "sign"), ("mixed", "free")])
def test_nncfs_ranges_are_the_mean_over_records(by_nncf, kind, zero_point):
    module, inputs = producers.net(), apart.calibration()
    opened = opened_of(by_nncf / f"{kind}.xml", module, inputs)
    assert (opened.activations.zero_point, opened.activations.outputs) == (zero_point, "none")
    before = apart_by(Activations(8), opened.module, by_nncf / f"{kind}.xml", inputs)
    assert opened.off[0] < 0.1 * min(before, opened.off[1])  # where the processor has it, in bfloat16
    way, off, observed = observed_like(opened, module, inputs, "mean")
    assert way == "mean"
    assert off < 0.02
    assert apart_by(observed, opened.module, by_nncf / f"{kind}.xml", inputs) < 0.2 * before


def test_litert_files_are_rounded_as_they_are(by_ai_edge):
    module, inputs = producers.net(), apart.calibration()[:10]
    for recipe in apart.RECIPES:
        path = by_ai_edge / f"{recipe}.tflite"
        opened = opened_of(path, module, inputs)
        if recipe.startswith("weight_only"):
            assert opened.activations is None
            continue
        assert opened.activations.zero_point == "free"
        assert opened.activations.outputs == ("all" if recipe.startswith("static") else "none")
        assert opened.off[0] < 0.1 * opened.off[1], recipe
    way, off, observed = observed_like(opened, module, inputs, "moving")
    assert way == "moving"
    assert off < 0.02
    assert apart_by(observed, opened.module, path, inputs) < 0.5 * apart_by(Activations(8), opened.module, path, inputs)


@pytest.mark.parametrize("traced", [False, True], ids=["scripted", "traced"])
@pytest.mark.parametrize("kind", ["dynamic", "dynamic channels", "static", "static channels", "FX", "FX channels"])
def test_scripted_layers_of_torch_ao_are_rounded_as_they_are(tmp_path, kind, traced):
    module, inputs = bent(), skewed()
    module[3] = nn.ReLU()
    made = producers.packed(module, kind, inputs)[0]
    (torch.jit.trace(made, inputs) if traced else torch.jit.script(made)).save(tmp_path / "m.ts")
    opened = opened_of(tmp_path / "m.ts", module, inputs)
    assert opened.activations.static is not kind.startswith("dynamic")
    assert not opened.activations.static or "0.weight" in opened.activations.ranges
    before = apart_by(Activations(8), opened.module, tmp_path / "m.ts", inputs)
    assert opened.off[0] < 0.1 * min(before, opened.off[1])
