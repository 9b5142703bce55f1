"""Weights of an OpenVINO model, found by following its graph from the operators that multiply with them.

NNCF writes codes, converted, less a zero point, times scales, for each channel or for each group of inputs, and
reshaped; ranges of activations stand before the products (FakeQuantize).
Source: the operation sets of OpenVINO 2026 (MatMul, Convolution, FakeQuantize, ...).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from leaq.errors import need
from leaq.models.formats.constants import Constant, bits_of
from leaq.models.formats.levels import Levels
from leaq.models.formats.weight import Weight

Array = np.ndarray[Any, Any]

PACKED = {"i4": (4, True), "u4": (4, False), "u2": (2, False), "u1": (1, False)}
"""Bits and sign of codes of less than a byte."""
WHOLE = {"i8": "int8", "u8": "uint8", "i4": "int4", "u4": "uint4", "u3": "uint3", "u2": "uint2", "u1": "uint1"}
UNEVEN = frozenset({"nf4", "f4e2m1", "f8e4m3", "f8e5m2", "f8e8m0", "u3"})
"""Types that the runtime itself decodes: short floats, and codes that cross bytes."""
HALF = 64
"""Largest code that NNCF uses of 8 bits where it fixes overflows; where it compresses weights alone, each row has the
lowest one, -128, and where it quantizes activations too, none has."""
PLAIN = frozenset({"f16", "f32", "f64"})
PRODUCTS = frozenset({"MatMul", "Convolution", "GroupConvolution", "ConvolutionBackpropData", "Gather"})
AS_THEY_ARE = frozenset({"Reshape", "Transpose", "Squeeze", "Unsqueeze", "Convert"})
"""Operators that move numbers and do not change them."""
SMOOTHED = "nncf_smooth_quant"
"""How NNCF names what multiplies the inputs of a product by factors of their own, which its weight is divided by."""
ADDED = frozenset({"Add", "Multiply", "Subtract"})
"""What adds a bias or scales a norm by numbers."""


class OpenVinoGraph:
    """A model of OpenVINO whose constants can be followed to the operators that use them.

    Parameters
    ----------
    path : its ``.xml``; the ``.bin`` lies beside it.
    """

    def __init__(self, path: Path) -> None:
        openvino = need("openvino", extra="openvino", purpose=f"Reading {path.name}")
        self._model = openvino.Core().read_model(str(path))
        self._nodes = self._model.get_ordered_ops()
        self._known: dict[str, Constant | None] = {}

    bytes: int | None = None
    """Its constants take what its files take."""

    @property
    def outputs(self) -> Levels | None:
        """How the model rounds its first output; None where it does not."""
        results = self._model.get_results()
        return self._levels(results[0], 0) if results else None

    def weights(self) -> list[Weight]:
        """Return every weight and bias that an operator multiplies with or adds, in torch's orientation."""
        found = []
        for node in self._nodes:
            kind = node.get_type_name()
            if kind in ADDED and self._of(node, 0) is None:  # of activations, not of codes
                values = [self._of(node, 1)]
                found += [v.moved(np.ravel).weight() for v in values if v is not None and v.array.dtype.kind == "f"]
            elif kind in PRODUCTS:
                given = next((one for at in (0, 1) if (one := self._levels(node, at)) is not None), None)
                parts = self._operands(node, kind)
                found += [_even(value).weight(turned=turned, given=given) for value, turned in parts]
        return found

    def _levels(self, node: Any, at: int) -> Levels | None:
        """Return how an input of a node that is no constant was rounded on its way, reshaped or as it is."""
        while self._of(node, at) is None:
            node, at = node.input(at).get_source_output().get_node(), 0
            if node.get_type_name() == "FakeQuantize":
                ends = [self._of(node, place) for place in (3, 4)]
                low, high = (None if end is None or end.array.size != 1 else float(end.array.item()) for end in ends)
                if low is None or high is None:
                    return None
                levels = int(node.get_attributes()["levels"])
                smoothed = self._smoothing(node) is not None  # a range of numbers that the network does not have
                return Levels((levels - 1).bit_length()) if smoothed else Levels.between(low, high, levels)
            if node.get_type_name() not in AS_THEY_ARE:
                return None
        return None

    def _operands(self, node: Any, kind: str) -> Iterator[tuple[Constant, bool]]:
        told = node.get_attributes()
        for at in (0, 1):
            value = self._of(node, at)
            if value is None or value.array.dtype.kind != "f":
                continue
            if kind == "MatMul":
                turned = bool(told["transpose_a"]) if at == 0 else not told["transpose_b"]
                factors = self._smoothing(node) if at == 1 else None
                yield value if factors is None else _with_factors(value, factors, turned=turned), turned
            elif kind == "GroupConvolution":  # (groups, out a group, in a group, ...)
                yield value.moved(lambda array: array.reshape(-1, *array.shape[2:])), False
            else:
                yield value, False

    def _smoothing(self, node: Any) -> Array | None:
        """Return the factor of each input that NNCF's SmoothQuant puts before a product, as the file names it."""
        while self._of(node, 0) is None:
            node = node.input(0).get_source_output().get_node()
            if node.get_friendly_name().endswith(SMOOTHED):
                factors = self._of(node, 1)
                return None if factors is None else factors.array.ravel()
            if node.get_type_name() not in {*AS_THEY_ARE, "FakeQuantize"}:
                return None
        return None

    def _of(self, node: Any, at: int) -> Constant | None:
        """Return the value of one input of a node if it depends on stored constants alone."""
        source = node.input(at).get_source_output().get_node()
        name = source.get_name()  # a name of its own, other than the friendly one
        if name not in self._known:
            self._known[name] = self._constant(source)
        return self._known[name]

    def _constant(self, node: Any) -> Constant | None:
        kind = node.get_type_name()
        if kind == "Constant":
            return _stored(node)
        work = _WORK.get(kind)
        given = [self._of(node, at) for at in range(node.get_input_size())] if work else [None]
        values = [value for value in given if value is not None]
        return work(node, *values) if work and len(values) == len(given) else None


def _stored(node: Any) -> Constant | None:
    """Return a stored constant: numbers, or codes with their form; None of a type that is not known."""
    kind, shape = node.get_element_type().get_type_name(), [int(size) for size in node.get_output_shape(0)]
    if kind in PLAIN or kind in ("i32", "i64"):
        return Constant(np.asarray(node.get_data()).reshape(shape))
    if kind in UNEVEN:
        return Constant(_decoded(node).reshape(shape), None, f"OpenVINO {WHOLE.get(kind, kind)}")
    if kind not in WHOLE:
        return None
    codes, form = np.asarray(node.get_data()), f"OpenVINO {WHOLE[kind]}"
    if kind == "i8" and codes.size and codes.min() >= -HALF and codes.max() <= HALF:
        form += " of half the levels"
    elif kind == "i8" and codes.size and codes.min() > -2 * HALF:
        form += " of 255 levels"
    if kind in PACKED:
        bits, signed = PACKED[kind]
        codes = bits_of(codes.view(np.uint8).reshape(1, -1), bits, int(np.prod(shape)), signed=signed)
    return Constant(codes.reshape(shape), None, form)


def _decoded(node: Any) -> Any:
    """Let the runtime turn a constant into numbers of 32 bits."""
    openvino = need("openvino", extra="openvino", purpose="Reading a constant")
    numbers = openvino.opset13.convert(node, "f32")
    alone = openvino.Model([numbers.output(0)], [])
    return openvino.Core().compile_model(alone, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})([])[0].copy()


def _rounded(node: Any, value: Constant, *ranges: Constant) -> Constant:
    """Round stored numbers to the levels of their range, as the runtime does before it multiplies with them."""
    levels = int(node.get_attributes()["levels"])
    low, high, out_low, out_high = (one.array.astype(np.float32) for one in ranges)
    place = np.rint((np.clip(value.array, low, high) - low) / (high - low) * (levels - 1))
    step = (out_high - out_low) / (levels - 1)
    form = f"OpenVINO int{(levels - 1).bit_length()}" + " of 255 levels" * (levels == 255)
    return Constant(place * step + out_low, np.broadcast_to(step, value.array.shape), form)


def _converted(node: Any, value: Constant) -> Constant:
    kind = node.get_output_element_type(0).get_type_name()
    numbers = value.array.astype({"f16": np.float16, "f64": np.float64}.get(kind, np.float32))
    return Constant(numbers, value.step, value.form)


def _scaled(_node: Any, value: Constant, scale: Constant) -> Constant:
    form = value.form + " per tensor" * (value.form.endswith("levels") and scale.array.size == 1)
    form += f" scaled by {scale.form.removeprefix('OpenVINO ')}" * bool(scale.form)
    return Constant(value.array * scale.array, scale.array, form)


def _even(value: Constant) -> Constant:
    """Return a weight with the distance of its levels only if that is the scale: of whole numbers."""
    whole = value.form.removeprefix("OpenVINO ").partition(" ")[0] in WHOLE.values()
    return value if whole else replace(value, step=None)


def _shifted(_node: Any, value: Constant, zero: Constant) -> Constant:
    signed = value.form.startswith("OpenVINO int8")  # of codes without a sign they are the rule
    return Constant(value.array - zero.array, value.step, "OpenVINO int8 with zero points" if signed else value.form)


def _with_factors(value: Constant, factors: Array, *, turned: bool) -> Constant:
    """Return a weight with the factors of its inputs, (in,), in it: as the network has it that was smoothed."""
    wide = factors[:, None] if turned else factors
    step = None if value.step is None else value.step * wide
    return Constant(value.array * wide, step, f"{value.form} of smoothed inputs" if value.form else "")


def _reshaped(node: Any, value: Constant, _shape: Constant) -> Constant:
    to = [int(size) for size in node.get_output_shape(0)]
    found, step = value.moved(lambda array: array.reshape(to)), value.step
    if step is None or step.ndim <= len(to):
        return found
    group = np.prod([size for size, scales in zip(value.array.shape, step.shape, strict=True) if scales == 1])
    return replace(found, form=f"{value.form} in groups of {group:.0f}")


def _transposed(_node: Any, value: Constant, order: Constant) -> Constant:
    return value.moved(lambda array: array.transpose([int(axis) for axis in order.array]))


_WORK: Mapping[str, Callable[..., Constant]] = {
    "Convert": _converted, "Multiply": _scaled, "Subtract": _shifted, "Reshape": _reshaped, "Transpose": _transposed,
    "FakeQuantize": _rounded,
}  # fmt: skip
"""What stands between a stored constant and the operator that multiplies with it."""
