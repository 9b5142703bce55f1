"""Weights of a LiteRT (TFLite) file, found by following its graph from the operators that use them.

Source: the schema that the package ``ai_edge_litert`` carries (version 3), and LiteRT's quantization specification.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from leaq.errors import StoreError, need
from leaq.models.formats.constants import Constant, bits_of, decoded
from leaq.models.formats.levels import Levels
from leaq.models.formats.weight import Weight

PACKED = {"INT4": (4, True), "UINT4": (4, False), "INT2": (2, True)}
"""Bits and sign of codes of less than a byte."""
ARRAYS = {
    "FLOAT32": np.float32, "FLOAT16": np.float16, "FLOAT64": np.float64, "INT8": np.int8, "UINT8": np.uint8,
    "INT16": np.int16, "INT32": np.int32, "INT64": np.int64,
}  # fmt: skip
PRODUCTS = frozenset({"FULLY_CONNECTED", "CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV", "BATCH_MATMUL"})
"""Operators that round floating-point activations themselves where their weight is of integers."""
AXES = {"CONV_2D": (0, 3, 1, 2), "DEPTHWISE_CONV_2D": (3, 0, 1, 2), "TRANSPOSE_CONV": (3, 0, 1, 2)}
"""From the axes of a stored filter to torch's."""
BLOCKS = 2
"""Number of the quantization details that tell scales by block."""


class LiteRtGraph:
    """A LiteRT file whose constants can be followed to the operators that use them.

    Parameters
    ----------
    path : its ``.tflite``.

    Raises
    ------
    StoreError
        If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        schema = need("ai_edge_litert.schema_py_generated", extra="litert", purpose=f"Reading {path.name}")
        self._types = {number: name for name, number in vars(schema.TensorType).items() if isinstance(number, int)}
        kinds = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
        self._bytes = np.memmap(path, np.uint8, mode="r")
        try:
            model = schema.ModelT.InitFromPackedBuf(self._bytes, 0)
            self._buffers = model.buffers
            self._graphs = [
                (graph.tensors, [(kinds[_code(model.operatorCodes[o.opcodeIndex])], o) for o in graph.operators])
                for graph in model.subgraphs
            ]
            self._results = [int(index) for index in model.subgraphs[0].outputs]
        except Exception as err:  # whatever the package raises for bytes that are no model
            raise StoreError(f"{path.name}: this is no readable LiteRT file ({type(err).__name__}).") from None

    bytes: int | None = None
    """Its constants take what its files take."""

    @property
    def outputs(self) -> Levels | None:
        """How the model rounds its first output; None where it does not."""
        tensors, operators = self._graphs[0]
        made = {int(out): (kind, operator) for kind, operator in operators for out in operator.outputs}
        for index in self._results[:1]:
            kind, operator = made.get(index, ("", None))
            return self._levels(tensors[int(operator.inputs[0])] if kind == "DEQUANTIZE" else tensors[index])
        return None

    def _levels(self, tensor: Any) -> Levels | None:
        """Return the levels of a tensor of codes, of one scale."""
        name, told = self._types[tensor.type], tensor.quantization
        if name not in ARRAYS or np.dtype(ARRAYS[name]).kind == "f" or told is None or told.scale is None:
            return None
        if len(told.scale) != 1:
            return None
        ends: Any = np.iinfo(np.dtype(ARRAYS[name]))
        return Levels.coded(told.scale[0], int(np.asarray(told.zeroPoint).item()), ends.min, ends.max)

    def _around(self, tensors: Any, kind: str, operator: Any) -> tuple[Levels | None, Levels | None]:
        """Return how what a product is given is rounded, and its result.

        What is given comes in codes, or is rounded by its own numbers where weights are codes.
        """
        if kind not in PRODUCTS:
            return None, None
        moving, weight, result = (tensors[int(i)] for i in (*operator.inputs[:2], operator.outputs[0]))
        if (levels := self._levels(moving)) is not None:
            return levels, self._levels(result)
        whole = self._types[weight.type].startswith("INT") and self._types[moving.type].startswith("FLOAT")
        return Levels(8) if whole else None, None

    def weights(self) -> list[Weight]:
        """Return every weight and bias that an operator works with, in torch's orientation."""
        return [weight for tensors, operators in self._graphs for weight in self._found(tensors, operators)]

    def _found(self, tensors: Any, operators: Any) -> Iterator[Weight]:
        made = {int(out): (kind, operator) for kind, operator in operators for out in operator.outputs}

        def constant(index: int) -> Constant | None:
            if index < 0:
                return None
            if (kind := made.get(index)) is not None:
                return constant(int(kind[1].inputs[0])) if kind[0] in ("DEQUANTIZE", "QUANTIZE") else None
            return self._constant(tensors, index)

        for kind, operator in operators:
            if kind in ("DEQUANTIZE", "QUANTIZE"):
                continue
            for at, index in enumerate(operator.inputs):
                value = constant(int(index))
                if value is None or value.array.dtype.kind != "f":
                    continue
                turned = kind == "BATCH_MATMUL" and not operator.builtinOptions.adjY
                if at == 1 and kind in AXES and value.array.ndim == 4:
                    value = value.moved(partial(np.transpose, axes=AXES[kind]))
                given, gives = self._around(tensors, kind, operator)
                yield value.weight(turned=turned, given=given, gives=gives)

    def _constant(self, tensors: Any, index: int) -> Constant | None:
        """Return a stored tensor: numbers, or codes with their scales; None where it holds nothing that is known."""
        tensor = tensors[index]
        data, name = self._data(tensor), self._types[tensor.type]
        if data is None or (name not in ARRAYS and name not in PACKED):
            return None
        shape = [int(size) for size in tensor.shape]
        if name in PACKED:
            bits, signed = PACKED[name]
            array = bits_of(data.reshape(1, -1), bits, int(np.prod(shape)), signed=signed).reshape(shape)
        else:
            array = data.view(ARRAYS[name]).reshape(shape)
        told, form = tensor.quantization, f"LiteRT {name.lower()}"
        if array.dtype.kind == "f" or told is None:
            return Constant(array)
        if told.detailsType == BLOCKS:
            scales, zero = (self._constant(tensors, i) for i in (told.details.scales, told.details.zeroPoints))
            if scales is None:
                return None
            wide, offset = scales.array.astype(np.float32), None if zero is None else zero.array
            size = int(told.details.blockSize)
            axis = array.ndim - 1
            return decoded(array, wide, offset, form=form, axis=axis, block=size)
        if told.detailsType or told.scale is None or not len(told.scale):
            return None
        axis = int(told.quantizedDimension)
        return decoded(array, told.scale, np.asarray(told.zeroPoint), form=form, axis=axis)

    def _data(self, tensor: Any) -> np.ndarray[Any, Any] | None:
        """Return the bytes of a tensor, which large files keep behind the model; None if it has none."""
        buffer = self._buffers[tensor.buffer]
        if buffer.data is not None and len(buffer.data):
            return np.ascontiguousarray(buffer.data, np.uint8)
        if buffer.offset > 1 and buffer.size > 0:
            return np.array(self._bytes[buffer.offset : buffer.offset + buffer.size])
        return None


def _code(code: Any) -> int:
    """Return the number of an operator; old files keep those below 127 elsewhere."""
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))
