"""An ONNX graph is followed: by operators, axes and transposition, whatever the names are."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, StoreError
from leaq.models.formats.onnx import Graph, load_onnx
from leaq.pipeline.finished.shipped import open_shipped
from leaq.quantizers.files.recognised import recipe_of
from tests.helpers import require
from tests.unit.models.formats import producers
from tests.unit.models.formats.producers import net


@pytest.fixture
def onnx():
    require("onnx")
    import onnx

    return onnx


def model_of(onnx, arrays, nodes, *, inputs=3):
    made = [onnx.numpy_helper.from_array(np.asarray(value), name) for name, value in arrays.items()]
    given = onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", inputs])
    out = onnx.helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    graph = onnx.helper.make_graph(nodes, "g", [given], [out], initializer=made)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 21)], ir_version=10)


def node(onnx, kind, inputs, outputs=("y",), **attributes):
    return onnx.helper.make_node(kind, list(inputs), list(outputs), **attributes)


CODES = np.array([[1, 2, 3], [4, 5, 6], [7, 8, -9]], np.int8)
SCALE = np.array([1, 10, 100], np.float32)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("product", [("MatMul", {}), ("Gemm", {"transB": 1}), ("Gemm", {})])
def test_square_weights_lie_as_their_operator_says(onnx, product, axis):
    kind, attributes = product
    turned = not attributes
    arrays = {"anything": CODES, "s": SCALE, "z": np.ones(3, np.int8)}
    made = model_of(onnx, arrays, [
        node(onnx, "DequantizeLinear", ["anything", "s", "z"], ["w"], axis=axis),
        node(onnx, kind, ["x", "w"], **attributes),
    ])  # fmt: skip
    (found,) = Graph(made).weights()
    spread = SCALE[None] if axis else SCALE[:, None]
    wanted = (CODES.astype(np.float32) - 1) * spread
    torch.testing.assert_close(found.value, torch.tensor(wanted.T.copy() if turned else wanted))
    assert found.form == "ONNX int8 of half the levels with zero points"


def test_blocks_of_scales_and_transposed_constants_are_followed(onnx):
    scale = np.array([[1, 2, 3], [10, 20, 30]], np.float32)
    codes = np.arange(12, dtype=np.int8).reshape(4, 3)
    made = model_of(onnx, {"c": codes, "s": scale}, [
        node(onnx, "DequantizeLinear", ["c", "s"], ["w"], axis=0, block_size=2),
        node(onnx, "Transpose", ["w"], ["t"], perm=[1, 0]),
        node(onnx, "MatMul", ["x", "t"]),
    ], inputs=3)  # fmt: skip
    (found,) = Graph(made).weights()
    torch.testing.assert_close(found.value, torch.tensor(codes.astype(np.float32) * scale.repeat(2, 0)))


def test_pairs_on_a_stored_weight_are_rounded_as_the_runtime_rounds_them(onnx):
    weight = np.array([[0.24, -0.26], [0.9, -5.0]], np.float32)
    made = model_of(onnx, {"w": weight, "s": np.float32(0.5), "z": np.int8(0)}, [
        node(onnx, "QuantizeLinear", ["w", "s", "z"], ["q"]), node(onnx, "DequantizeLinear", ["q", "s", "z"], ["d"]),
        node(onnx, "Gemm", ["x", "d"], transB=1),
    ], inputs=2)  # fmt: skip
    graph = Graph(made)
    torch.testing.assert_close(graph.weights()[0].value, torch.tensor([[0.0, -0.5], [1.0, -5.0]]))
    assert (graph.weights()[0].given, graph.weights()[0].gives, graph.outputs) == (None, None, None)


def test_short_floats_are_read_and_are_no_integers(onnx, tmp_path):
    module = net()
    producers.onnxruntime_file(tmp_path / "m.onnx", module, "static float8", producers.records(module))
    opened = open_shipped(tmp_path / "m.onnx", module, name="m")
    assert opened.stored == dict.fromkeys(producers.matrices(module), "ONNX float8_e4m3fn")
    for name, tensor in producers.matrices(module).items():
        assert 0 < (opened.module.get_parameter(name) - tensor).std() < 0.05 * tensor.std()
    assert recipe_of(opened.module, module, opened.stored) is None
    assert recipe_of(opened.module, None, opened.stored) is None


def test_codes_of_half_a_byte_weigh_half_a_byte(onnx):
    codes = onnx.helper.make_tensor("c", onnx.TensorProto.INT4, [3, 3], np.array([1, -2, 3, -4, 5, -6, 7, -8, 0]))
    made = model_of(onnx, {"s": np.float32(0.5)}, [
        node(onnx, "DequantizeLinear", ["c", "s"], ["w"]), node(onnx, "Gemm", ["x", "w"], transB=1)
    ])  # fmt: skip
    made.graph.initializer.append(codes)
    graph = Graph(made)
    assert graph.bytes == 5 + 4
    assert graph.weights()[0].value[0].tolist() == [0.5, -1.0, 1.5]


def test_constants_of_nodes_weigh_what_initializers_do(onnx):
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    stored = onnx.helper.make_node("Constant", [], ["w"], value=onnx.numpy_helper.from_array(weight))
    made = model_of(onnx, {"b": np.zeros(2, np.float32)}, [stored, node(onnx, "Gemm", ["x", "w", "b"], transB=1)])
    assert Graph(made).bytes == 4 * (6 + 2)


def test_external_data_must_lie_in_the_folder_of_the_file(onnx, tmp_path):
    folder = tmp_path / "model"
    folder.mkdir()
    weight = np.random.default_rng(0).normal(size=(2, 3)).astype(np.float32)
    made = model_of(onnx, {"w": weight}, [node(onnx, "Gemm", ["x", "w"], transB=1)])
    onnx.save(made, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert torch.equal(Graph(load_onnx(folder / "m.onnx"), folder).weights()[0].value, torch.tensor(weight))
    (folder / "m.data").rename(tmp_path / "m.data")
    with pytest.raises(StoreError, match="its weights lie in 'm.data' beside it, and there is no such file"):
        load_onnx(folder / "m.onnx")
    (folder / "m.data").symlink_to(tmp_path / "m.data")
    with pytest.raises(InvalidInput, match="external data must lie in the file's own folder. 'w' points to 'm.data'"):
        load_onnx(folder / "m.onnx")
    loaded = onnx.load(folder / "m.onnx", load_external_data=False)
    for place in ("../m.data", str(tmp_path / "m.data"), "/etc/passwd"):
        loaded.graph.initializer[0].external_data[0].value = place
        (folder / "out.onnx").write_bytes(loaded.SerializeToString())
        with pytest.raises(InvalidInput, match="external data must lie in the file's own folder"):
            open_shipped(folder / "out.onnx", nn.Linear(3, 2, bias=False), name="s")
    (folder / "short.data").write_bytes(b"ab")
    loaded.graph.initializer[0].external_data[0].value = "short.data"
    (folder / "out.onnx").write_bytes(loaded.SerializeToString())
    with pytest.raises(StoreError, match="its external data cannot be read|cannot open it"):
        open_shipped(folder / "out.onnx", nn.Linear(3, 2, bias=False), name="s")


def test_another_model_and_other_files_are_refused(onnx, tmp_path):
    require("onnxruntime")
    torch.manual_seed(0)
    weight = np.random.default_rng(0).normal(size=(16, 16)).astype(np.float32)
    made = model_of(onnx, {"w": weight}, [node(onnx, "Gemm", ["x", "w"], transB=1)], inputs=16)
    onnx.save(made, tmp_path / "m.onnx")
    with pytest.raises(InvalidInput, match="s: what a file holds must be near the original.*weight"):
        open_shipped(tmp_path / "m.onnx", nn.Linear(16, 16, bias=False), name="s")
    opened = open_shipped(tmp_path / "m.onnx", nn.Linear(16, 2), name="s")
    assert [flag.code for flag in opened.flags] == ["weights-not-seen"]
    assert not opened.read
    for content in (b"\xff\xffno model", b""):
        (tmp_path / "bad.onnx").write_bytes(content)
        with pytest.raises(StoreError, match="no readable ONNX file"):
            open_shipped(tmp_path / "bad.onnx", nn.Linear(3, 2), name="s")


def test_graphs_that_go_in_circles_or_claim_too_much_end_at_once(onnx):
    circle = model_of(onnx, {"c": CODES, "s": SCALE}, [
        node(onnx, "Identity", ["b"], ["a"]),
        node(onnx, "Identity", ["a"], ["b"]),
        node(onnx, "MatMul", ["x", "a"], ["y"]),
        node(onnx, "MatMulInteger", ["x", "c"], ["i"]),
        node(onnx, "Cast", ["i"], ["f"], to=1),
        node(onnx, "Mul", ["m", "m"], ["m"]),
        node(onnx, "Mul", ["f", "m"], ["out"]),
    ])  # fmt: skip
    assert Graph(circle).weights() == []
    deep = [node(onnx, "DequantizeLinear", [f"n{i}"] * 3, [f"n{i + 1}"]) for i in range(60)]
    assert Graph(model_of(onnx, {}, [*deep, node(onnx, "MatMul", ["x", "n60"])])).weights() == []
    for arrays, attributes in (
        ({"c": np.ones((40000, 1), np.int8), "s": np.ones((1, 40000), np.float32)}, {}),
        ({"c": np.ones((4, 4), np.int8), "s": np.ones((0, 4), np.float32)}, {"axis": 0, "block_size": 2**40}),
    ):
        dequantized = node(onnx, "DequantizeLinear", ["c", "s"], ["w"], **attributes)
        with pytest.raises(StoreError, match="ONNX operator MatMul '': its constants must fit"):
            Graph(model_of(onnx, arrays, [dequantized, node(onnx, "MatMul", ["x", "w"])])).weights()


ONNX = [
    "dynamic", "dynamic channel", "dynamic unsigned", "static", "static channel", "static operator",
    "static operator channel", "static pairs", "static int4", "nbits",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ONNX)
def test_onnx_is_run_and_read(tmp_path, kind):
    module, x = net(), torch.randn(40, 128, generator=torch.Generator().manual_seed(1))
    producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, x)
    import onnxruntime

    opened = open_shipped(tmp_path / "m.onnx", module, name="m")
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"), providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(opened.module(x).numpy(), session.run(None, {"x": x.numpy()})[0], rtol=1e-6)
    assert opened.read, opened.flags
    bits = 4 if kind in ("static int4", "nbits") else 8
    for name, tensor in producers.matrices(module).items():
        step = tensor.abs().max() / (2 ** (bits - 1) - 1)
        largest = (opened.module.state_dict()[name] - tensor).abs().max()
        assert 0 < largest <= 1.01 * step, name
    codes = [flag.code for flag in opened.flags]
    assert ("integer-activations" in codes) == (kind != "nbits")
    if kind == "nbits":
        assert opened.activations is None
    else:
        how = opened.activations
        expected = (8, "free", kind.startswith("static"), "all" if kind.startswith("static") else "none")
        assert (how.bits, how.zero_point, how.static, how.outputs) == expected
    numbers = sum(t.numel() for t in producers.matrices(module).values())
    if kind != "static pairs":
        assert numbers * bits / 8 < opened.bytes < numbers * (bits + 2.5) / 8 + 4 * 160


@pytest.mark.filterwarnings("ignore")
def test_an_onnx_convolution_is_read_by_its_axes(tmp_path):
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(4, 4, 3, padding=1), torch.nn.ReLU(), torch.nn.Conv2d(4, 4, 3)).eval()
    x = torch.randn(8, 4, 6, 6)
    for kind in ("dynamic", "static channel", "static operator"):
        producers.onnxruntime_file(tmp_path / "m.onnx", module, kind, x)
        opened = open_shipped(tmp_path / "m.onnx", module, name="m")
        assert opened.read, kind
        for name in ("0.weight", "2.weight"):
            tensor = module.state_dict()[name]
            assert (opened.module.state_dict()[name] - tensor).abs().max() <= tensor.abs().max() / 127 * 1.01
