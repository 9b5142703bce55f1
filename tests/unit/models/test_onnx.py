import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, StoreError
from leaq.models.onnx import read_onnx
from tests.helpers import require


@pytest.fixture
def onnx():
    require("onnx")
    import onnx

    return onnx


def write(onnx, path, arrays, nodes=()):
    made = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    graph = onnx.helper.make_graph(list(nodes), "g", [], [], initializer=made)
    onnx.save(onnx.helper.make_model(graph), path)


def test_quantized_initializers_are_dequantized_by_name(onnx, tmp_path):
    module = nn.Linear(3, 2)
    codes = np.array([[1, -2, 3], [4, 5, -6]], np.int8)
    write(onnx, tmp_path / "m.onnx", {
        "weight_quantized": codes, "weight_scale": np.float32(0.5), "weight_zero_point": np.int8(1),
        "bias": np.array([1.0, 2.0], np.float32),
    })  # fmt: skip
    found, size = read_onnx(tmp_path / "m.onnx", module)
    torch.testing.assert_close(found["weight"], torch.tensor((codes.astype(np.float32) - 1) * 0.5))
    torch.testing.assert_close(found["bias"], torch.tensor([1.0, 2.0]))
    assert size == 6 + 4 + 1 + 8


def test_channels_follow_the_axis_of_the_operator_and_transposed_weights_are_turned(onnx, tmp_path):
    module = nn.Linear(3, 2, bias=False)
    codes = np.array([[1, 2], [3, 4], [5, 6]], np.int8)  # (in, out), as a matrix product stores it
    node = onnx.helper.make_node(
        "DequantizeLinear", ["weight_quantized", "weight_scale", "weight_zero_point"], ["w"], axis=1
    )
    arrays = {
        "weight_quantized": codes,
        "weight_scale": np.array([1, 10], np.float32),
        "weight_zero_point": np.zeros(2, np.int8),
    }
    write(onnx, tmp_path / "m.onnx", arrays, [node])
    found, _ = read_onnx(tmp_path / "m.onnx", module)
    torch.testing.assert_close(found["weight"], torch.tensor([[1.0, 3, 5], [20, 40, 60]]))


def test_weights_under_other_names_and_other_files_are_refused(onnx, tmp_path):
    write(onnx, tmp_path / "m.onnx", {"layer_0": np.zeros((2, 3), np.float32)})
    with pytest.raises(
        InvalidInput, match="must carry the names of the original's parameters. Not found: weight, bias"
    ):
        read_onnx(tmp_path / "m.onnx", nn.Linear(3, 2))
    (tmp_path / "bad.onnx").write_bytes(b"\xff\xffno model")
    with pytest.raises(StoreError, match="no readable ONNX file"):
        read_onnx(tmp_path / "bad.onnx", nn.Linear(3, 2))
