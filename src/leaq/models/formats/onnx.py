"""Weights of an ONNX file, found by following the graph from the operators that multiply with them.

What an operator says counts, not names or shapes: MatMul stores (in, out), Gemm says whether it transposes,
convolutions store (out, in, ...), DequantizeLinear names the axis of its scales, integer products are scaled
behind them.
Source: https://onnx.ai/onnx/operators/ (opset 21) and onnxruntime's contrib operators (MatMulNBits, QGemm, ...).
"""

from collections.abc import Iterator
from math import ceil, prod
from pathlib import Path
from typing import Any

import numpy as np

from leaq.errors import InvalidInput, StoreError, need
from leaq.models.formats.constants import Constant, along, bits_of
from leaq.models.formats.levels import Levels
from leaq.models.formats.onnx_codes import decoded_codes, is_float8, range_of
from leaq.models.formats.weight import Weight

PRODUCTS = frozenset({"MatMul", "Gemm", "FusedGemm", "FusedMatMul", "Conv", "ConvTranspose", "Gather", "Add"})
"""Operators whose constant operand is a weight in floating point, possibly behind DequantizeLinear."""
DYNAMIC = frozenset({"MatMulInteger", "ConvInteger", "DynamicQuantizeMatMul", "MatMulIntegerToFloat"})
"""Operators whose input is rounded to 8 bits by its own numbers."""
RESULTS = {"QLinearMatMul": 6, "QLinearConv": 6, "QGemm": 7}
"""Where operators on codes are told the scale of their result; its zero point follows."""
AS_THEY_ARE = frozenset({"Identity", "Cast", "Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze"})
"""Operators that move numbers and do not change them."""
THROUGH = frozenset({"Identity", "Cast", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "QuantizeLinear"})


def load_onnx(path: Path) -> Any:
    """Return an ONNX model; external data, which must lie in its own folder, stay there until they are asked for.

    Raises
    ------
    InvalidInput
        If external data lie elsewhere.
    StoreError
        If the file or its external data are missing or unreadable.
    """
    onnx = need("onnx", extra="onnx", purpose="Reading an ONNX file")
    if not path.is_file():
        raise StoreError(f"There is no file {path.name!r}.")
    try:
        model = onnx.load(str(path), load_external_data=False)
    except Exception as err:  # whatever the protobuf reader raises for bytes that are no model
        raise StoreError(f"{path.name}: this is no readable ONNX file ({type(err).__name__}).") from None
    if not model.graph.node:
        raise StoreError(f"{path.name}: this is no readable ONNX file (its graph is empty).")
    folder = path.parent.resolve()
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            _look_beside(onnx, tensor, folder, path.name)
    return model


def _look_beside(onnx: Any, tensor: Any, folder: Path, name: str) -> None:
    """Hold what a tensor says of data beside the file against the folder and the bytes that are there."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    place = told.get("location", "")
    file = folder / place
    if not place or Path(place).is_absolute() or folder not in file.resolve().parents:
        raise InvalidInput(
            f"{name}: external data must lie in the file's own folder. {tensor.name!r} points to {place!r}. "
            "Nothing there was opened; save the model with its data beside it."
        )
    if not file.is_file():
        raise StoreError(f"{name}: its weights lie in {place!r} beside it, and there is no such file. Copy it.")
    try:
        first = int(told.get("offset") or 0)
        size = int(told["length"]) if told.get("length") else _bytes(onnx, tensor)
    except ValueError:
        first, size = -1, 0
    there = file.stat().st_size
    if first < 0 or size < 0 or first + size > there:
        raise StoreError(
            f"{name}: its external data cannot be read ({tensor.name!r:.80} lies at {first} in {size} bytes of "
            f"{place!r}, which has {there}). Copy it again."
        )


def files_of(model: Any, path: Path) -> list[Path]:
    """Return an ONNX file and those beside it that hold data of its tensors; see `load_onnx`."""
    told = (entry.value for one in _tensors(model.graph) for entry in one.external_data if entry.key == "location")
    return [path, *(path.parent / place for place in dict.fromkeys(told))]


def _tensors(graph: Any) -> Iterator[Any]:
    """Yield every tensor of a graph and its subgraphs."""
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for inner in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
                yield from _tensors(inner)


class Graph:
    """An ONNX graph whose constants can be followed to the operators that use them.

    Parameters
    ----------
    folder : where its external data lie.
    """

    def __init__(self, model: Any, folder: Path | None = None) -> None:
        import onnx

        self._onnx, self._folder = onnx, "" if folder is None else str(folder)
        self.nodes = list(model.graph.node)
        self.stored = {item.name: item for item in model.graph.initializer}
        for node in self.nodes:
            if node.op_type == "Constant" and node.attribute and node.attribute[0].name == "value":
                self.stored[node.output[0]] = node.attribute[0].t
        self.maker = {name: node for node in self.nodes for name in node.output}
        self._known: dict[str, Constant | None] = {}
        self.users: dict[str, list[Any]] = {}
        for node in self.nodes:
            for name in node.input:
                self.users.setdefault(name, []).append(node)
        self._bytes = sum(_bytes(onnx, item) for item in _tensors(model.graph))
        self._results = [output.name for output in model.graph.output]

    @property
    def bytes(self) -> int:
        """What all stored constants take, nodes' own and subgraphs' too, codes of less than a byte packed."""
        return self._bytes

    @property
    def outputs(self) -> Levels | None:
        """How the graph rounds its first output; None where it does not."""
        return self._levels(self._results[0]) if self._results else None

    def weights(self) -> list[Weight]:
        """Return every weight and bias that an operator multiplies with or adds, in torch's orientation.

        Raises
        ------
        StoreError
            If constants do not have the shapes, types and sizes that their operator asks for.
        """
        found = []
        for node in self.nodes:
            self._known.clear()
            try:
                levels = {"given": self._given(node), "gives": self._gives(node)}
                found += [value.weight(turned=turned, **levels) for value, turned in self._operands(node)]
            except Exception as err:  # whatever numpy and the package raise for constants that do not fit
                raise StoreError(
                    f"ONNX operator {node.op_type} {node.name!r:.80}: its constants must fit it and each other. "
                    f"{type(err).__name__}: {str(err)[:120]}. The file is damaged: export it again."
                ) from None
        return found

    def _operands(self, node: Any) -> Iterator[tuple[Constant, bool]]:
        """Yield the constants an operator works with, and whether they are stored (in, out)."""
        kind, given = node.op_type, node.input
        special = {
            "MatMulInteger": self._product, "ConvInteger": self._product, "MatMulNBits": self._nbits,
            "QLinearMatMul": self._quantized, "QLinearConv": self._quantized, "QGemm": self._quantized,
            "DynamicQuantizeMatMul": self._fused, "MatMulIntegerToFloat": self._fused,
        }  # fmt: skip
        if kind in special:
            yield from special[kind](node)
        elif kind in PRODUCTS:
            turned = kind in ("MatMul", "FusedMatMul") or (
                kind in ("Gemm", "FusedGemm") and not _int(node, "transB", 0)
            )
            for i, name in enumerate(given):
                value = self.constant(name)
                if value is not None and value.array.dtype.kind == "f":
                    yield value, turned and i == 1

    # -- activations -----------------------------------------------------------------------------------------------

    def _given(self, node: Any) -> Levels | None:
        """Return how an operator's input is rounded."""
        if node.op_type in DYNAMIC:
            return Levels(8)
        if node.op_type in RESULTS:
            return self._coded(node.input[1], node.input[2])
        if node.op_type not in PRODUCTS:
            return None
        moving = (name for name in node.input if name and self.constant(name) is None)
        return next((levels for levels in map(self._levels, moving) if levels is not None), None)

    def _gives(self, node: Any) -> Levels | None:
        """Return how what an operator gives is rounded, before any activation function that is not in its levels."""
        if (at := RESULTS.get(node.op_type)) is not None:
            return self._coded(*node.input[at : at + 2]) if len(node.input) > at + 1 else None
        users = self.users.get(node.output[0], []) if node.op_type in PRODUCTS else []
        if node.op_type == "MatMul" and [user.op_type for user in users] == ["Add"]:  # its bias
            users = self.users.get(users[0].output[0], [])
        behind = (user for user in users if user.op_type == "QuantizeLinear")
        return next((self._coded(user.input[1], user.input[2] if len(user.input) > 2 else "") for user in behind), None)

    def _levels(self, name: str) -> Levels | None:
        """Return how a tensor that is no constant was rounded on its way, reshaped or as it is."""
        seen: set[str] = set()
        while (node := self.maker.get(name)) is not None and name not in seen:
            seen.add(name)
            if node.op_type == "DequantizeLinear" and self.constant(node.input[0]) is None:
                return self._coded(node.input[1], node.input[2] if len(node.input) > 2 else "")
            if node.op_type not in AS_THEY_ARE or not node.input:
                return None
            name = node.input[0]
        return None

    def _coded(self, scale: str, zero: str) -> Levels | None:
        step, shift = self.constant(scale), self.constant(zero) if zero else None
        if step is None or step.array.size != 1 or (shift is not None and is_float8(shift.array.dtype)):
            return None
        kind = np.dtype(np.uint8) if shift is None else shift.array.dtype
        return Levels.coded(step.array.item(), 0 if shift is None else shift.array.astype(int).item(), *range_of(kind))

    # -- constants -------------------------------------------------------------------------------------------------

    def constant(self, name: str) -> Constant | None:
        """Return the value of a name if it depends on stored constants alone."""
        if name not in self._known:
            self._known[name] = None  # what depends on itself is no constant
            self._known[name] = self._constant(name)
        return self._known[name]

    def _constant(self, name: str) -> Constant | None:
        if name in self.stored:
            return Constant(self._onnx.numpy_helper.to_array(self.stored[name], self._folder))
        node = self.maker.get(name)
        if node is None or not node.input:
            return None
        if node.op_type == "DequantizeLinear":
            return self._dequantized(node)
        if node.op_type not in THROUGH:
            return None
        value = self.constant(node.input[0])
        if value is None:
            return None
        if node.op_type == "QuantizeLinear":
            return self._rounded(node, value)
        return self._moved(node, value)

    def _moved(self, node: Any, value: Constant) -> Constant | None:
        if node.op_type in ("Identity", "Cast"):
            return value
        if node.op_type == "Transpose":
            order = _permuted(node) or list(range(value.array.ndim))[::-1]
            return value.moved(lambda array: array.transpose(order))
        shape = self.constant(node.input[1]) if node.op_type == "Reshape" and len(node.input) > 1 else None
        if shape is None:
            return None
        to = [int(size) for size in shape.array]
        return value.moved(lambda array: array.reshape(to))

    def _dequantized(self, node: Any) -> Constant | None:
        codes, scale = self.constant(node.input[0]), self.constant(node.input[1])
        if codes is None or scale is None:
            return None
        zero = self.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        axis, block = _int(node, "axis", 1), _int(node, "block_size", 0)
        return decoded_codes(codes.array, scale.array, None if zero is None else zero.array, axis=axis, block=block)

    def _rounded(self, node: Any, value: Constant) -> Constant | None:
        """Round a stored weight as the runtime does when it loads the graph (Q/DQ pairs on weights)."""
        scale = self.constant(node.input[1])
        zero = self.constant(node.input[2]) if len(node.input) > 2 and node.input[2] else None
        if scale is None:
            return None
        kind = np.dtype(np.uint8) if zero is None else zero.array.dtype
        wide = along(scale.array, value.array.shape, _int(node, "axis", 1), 0)
        if is_float8(kind):
            return Constant((value.array / wide).astype(kind))
        shift = 0 if zero is None else zero.array.astype(np.float32)
        offset = along(np.asarray(shift), value.array.shape, _int(node, "axis", 1), 0)
        low, high = range_of(kind)
        return Constant(np.clip(np.rint(value.array / wide) + offset, low, high).astype(kind))

    # -- operators on integers -------------------------------------------------------------------------------------

    def _product(self, node: Any) -> Iterator[tuple[Constant, bool]]:
        codes = self.constant(node.input[1])
        scale = self._scale_behind(node)
        if codes is None or scale is None:
            return
        zero = self.constant(node.input[3]) if len(node.input) > 3 and node.input[3] else None
        axis = 0 if node.op_type == "ConvInteger" else 1
        wide = scale.flatten()  # behind a convolution the scales are spread over its positions
        yield decoded_codes(codes.array, wide, None if zero is None else zero.array, axis=axis), axis == 1

    def _scale_behind(self, node: Any) -> np.ndarray[Any, Any] | None:
        """Return the constant that the result of an integer product is multiplied with, beside the input's scale."""
        for cast in self.users.get(node.output[0], ()):
            for product in self.users.get(cast.output[0], ()) if cast.op_type == "Cast" else (cast,):
                if product.op_type != "Mul":
                    continue
                pending = [name for name in product.input if name != cast.output[0]]
                seen: set[str] = set()
                while pending:
                    name = pending.pop()
                    if name in seen:
                        continue
                    seen.add(name)
                    if (value := self.constant(name)) is not None:
                        return value.array
                    maker = self.maker.get(name)
                    if maker is not None and maker.op_type in ("Mul", "Reshape", "Unsqueeze"):
                        pending += list(maker.input)[: 2 if maker.op_type == "Mul" else 1]
        return None

    def _quantized(self, node: Any) -> Iterator[tuple[Constant, bool]]:
        """QLinearMatMul, QLinearConv, QGemm: weight, scale and zero point at fixed places."""
        values = [self.constant(name) if name else None for name in node.input]
        codes, scale, zero = values[3:6]
        if codes is None or scale is None or zero is None:
            return
        plain = node.op_type == "QLinearConv" or (node.op_type == "QGemm" and _int(node, "transB", 0) == 1)
        yield decoded_codes(codes.array, scale.array, zero.array, axis=0 if plain else 1), not plain
        bias = values[8] if node.op_type == "QLinearConv" and len(values) > 8 else None
        bias = values[6] if node.op_type == "QGemm" else bias
        if bias is not None and values[1] is not None:
            yield decoded_codes(bias.array, (values[1].array * scale.array).astype(np.float32), None, axis=0), False

    def _fused(self, node: Any) -> Iterator[tuple[Constant, bool]]:
        at = (2, 3, 4) if node.op_type == "DynamicQuantizeMatMul" else (3, 5, 6)
        values = [self.constant(name) if name else None for name in node.input]
        values += [None] * (8 - len(values))
        codes, scale, zero, bias = values[1], *(values[i] for i in at)
        if codes is not None and scale is not None:
            yield decoded_codes(codes.array, scale.array, None if zero is None else zero.array, axis=1), True
        if bias is not None:
            yield bias, False

    def _nbits(self, node: Any) -> Iterator[tuple[Constant, bool]]:
        """MatMulNBits: codes of a few bits in blocks along the inputs, (out, blocks, bytes)."""
        inputs, outputs = _int(node, "K", 0), _int(node, "N", 0)
        bits, size = _int(node, "bits", 4), _int(node, "block_size", 32)
        packed, scales = self.constant(node.input[1]), self.constant(node.input[2])
        if packed is None or scales is None:
            return
        blocks = ceil(inputs / size)
        codes = bits_of(packed.array.reshape(outputs * blocks, -1), bits, size).reshape(outputs, blocks, size)
        zero: Any = 2 ** (bits - 1)
        if len(node.input) > 3 and node.input[3] and (stored := self.constant(node.input[3])) is not None:
            zero = stored.array.reshape(outputs, -1)
            zero = bits_of(zero, bits, blocks) if zero.dtype == np.uint8 else zero
            zero = zero.reshape(outputs, blocks, 1)
        wide = scales.array.reshape(outputs, blocks, 1).astype(np.float32)
        value = ((codes.astype(np.float32) - zero) * wide).reshape(outputs, -1)[:, :inputs]
        step = np.broadcast_to(wide, codes.shape).reshape(outputs, -1)[:, :inputs]
        form = f"ONNX {bits}-bit blocks of {size}" + " with zero points" * (not isinstance(zero, int))
        yield Constant(value, step, form), False
        if len(node.input) > 5 and (bias := self.constant(node.input[5])) is not None:
            yield bias, False


def _bytes(onnx: Any, item: Any) -> int:
    numbers = int(prod(item.dims))
    try:
        name = onnx.TensorProto.DataType.Name(item.data_type)
        small = {"INT4": 4, "UINT4": 4, "FLOAT4E2M1": 4, "INT2": 2, "UINT2": 2}.get(name)
        size = 0 if small else int(onnx.helper.tensor_dtype_to_np_dtype(item.data_type).itemsize)
    except (ValueError, KeyError):
        raise StoreError(
            f"ONNX tensor {item.name!r:.80}: its type must be one of the installed onnx. Found number "
            f"{item.data_type}. The file is damaged, or newer than the package."
        ) from None
    return ceil(numbers * small / 8) if small else numbers * size


def _attribute(node: Any, name: str) -> Any:
    return next((attribute for attribute in node.attribute if attribute.name == name), None)


def _int(node: Any, name: str, default: int) -> int:
    found = _attribute(node, name)
    return default if found is None else int(found.i)


def _permuted(node: Any) -> list[int]:
    found = _attribute(node, "perm")
    return [] if found is None else [int(value) for value in found.ints]
