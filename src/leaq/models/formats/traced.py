"""Weights of an exported program, found by following its graph from the operators that use them.

PT2E (torchao) leaves codes and scales in it, decoded by an operator of their own, and rounds activations by others.
Source: torch.export's ATen graphs, torch.ops.quantized_decomposed and torch.ops.torchao.
"""

from collections.abc import Mapping
from operator import attrgetter
from typing import Any, TypeGuard

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node

from leaq.models.formats.constants import Constant, along
from leaq.models.formats.levels import Levels
from leaq.models.formats.weight import Weight

GUARDS = "_guards_fn"
"""What a program calls to check its inputs."""
MOVES = frozenset({"permute", "t", "transpose", "reshape", "view", "unsqueeze", "squeeze", "clone", "contiguous"})
PRODUCTS = frozenset({"mm", "addmm", "matmul", "bmm"})
"""Operators whose constant matrix is stored (in, out)."""


def is_traced(module: nn.Module) -> TypeGuard[GraphModule]:
    """Whether a module is a graph of ATen operators, as torch.export makes, and not of layers."""
    if not isinstance(module, GraphModule):
        return False
    layers = [node for node in module.graph.nodes if node.op == "call_module" and node.target != GUARDS]
    return not layers and any(isinstance(node.target, torch._ops.OpOverload) for node in module.graph.nodes)


class TracedGraph:
    """An exported program whose constants can be followed to the operators that use them.

    Parameters
    ----------
    module : for which `is_traced` holds; ``program.module()``, or what ``convert_pt2e`` returns.

    Examples
    --------
    >>> program = torch.export.export(nn.Linear(3, 2), (torch.zeros(1, 3),)).module()
    >>> sorted(tuple(weight.value.shape) for weight in TracedGraph(program).weights())
    [(2,), (2, 3)]
    """

    bytes: int | None = None
    """Its constants take what its tensors take."""

    def __init__(self, module: GraphModule) -> None:
        self._module = module
        self._known: dict[Node, Constant | None] = {}

    @property
    def outputs(self) -> Levels | None:
        """How the program rounds its first output; None where it does not."""
        results: Any = next(node.args[0] for node in self._module.graph.nodes if node.op == "output")
        return self._levels(results[0] if isinstance(results, tuple | list) else results)

    def weights(self) -> list[Weight]:
        """Return every weight and bias that an operator works with, in torch's orientation."""
        found: dict[Node, Weight] = {}
        for node in self._module.graph.nodes:
            if node.op != "call_function" or self._of(node) is not None or _name(node).startswith("quantize_"):
                continue
            for given in node.all_input_nodes:
                value = self._of(given)
                if value is not None and value.array.dtype.kind == "f" and given not in found:
                    moving = (other for other in node.all_input_nodes if self._of(other) is None)
                    rounded = next((levels for levels in map(self._levels, moving) if levels is not None), None)
                    behind = [user for user in node.users if _name(user).startswith("quantize_")]
                    gives = self._levels(next(iter(behind[0].users), None)) if behind else None
                    found[given] = value.weight(turned=_name(node) in PRODUCTS, given=rounded, gives=gives)
        return list(found.values())

    def _levels(self, node: Any) -> Levels | None:
        """Return how a tensor that is no constant was rounded on its way, reshaped or as it is."""
        while isinstance(node, Node) and _name(node) in MOVES and node.args:
            node = node.args[0]
        if not isinstance(node, Node) or not _name(node).startswith("dequantize_") or self._of(node) is not None:
            return None
        told = _told(node)
        scale, zero, (low, high) = told.get("scale"), told.get("zero_point"), _ends(told)
        if isinstance(scale, float | int) and isinstance(zero, int):
            return Levels.coded(scale, zero, low, high)
        held = [self._of(one) for one in (scale, zero)]
        if all(one is not None and one.array.size == 1 for one in held):
            step, shift = (one.array.item() for one in held if one is not None)
            return Levels.coded(step, shift, low, high)
        around = any("symmetric" in _name(one) for one in _sources(scale))
        return Levels(_bits(told), None, 2 ** (_bits(told) - 1) if around else None)

    def _of(self, node: Any) -> Constant | None:
        """Return the value of a node if it depends on stored constants alone."""
        if not isinstance(node, Node):
            return None
        if node not in self._known:
            self._known[node] = self._constant(node)
        return self._known[node]

    def _constant(self, node: Node) -> Constant | None:
        if node.op == "get_attr":
            held = attrgetter(str(node.target))(self._module)
            plain = isinstance(held, Tensor) and not held.is_complex()
            return Constant(held.detach().cpu().numpy()) if plain else None
        name = _name(node)
        inputs = [self._of(given) for given in node.all_input_nodes]
        if not inputs or any(value is None for value in inputs):
            return None
        if name.startswith("dequantize_"):
            return self._decoded(node, _told(node))
        if name not in MOVES:
            return None
        [value] = (value for value in inputs[:1] if value is not None)

        def move(array: Any) -> Any:
            return node.target(torch.from_numpy(np.array(array)), *node.args[1:], **node.kwargs).numpy()  # type: ignore[operator]

        return value.moved(move)

    def _decoded(self, node: Node, told: Mapping[str, Any]) -> Constant:
        """Let the operator decode stored codes; the distance of levels is told but for scales of blocks."""
        args = [self._tensor(one) for one in node.args]
        array = node.target(*args, **node.kwargs).float().numpy()  # type: ignore[operator]
        scale, axis = self._tensor(told.get("scales", told.get("scale"))), told.get("axis")
        wide = np.asarray(scale, np.float32)
        known = isinstance(axis, int) or wide.size == 1
        step = np.broadcast_to(along(wide, array.shape, axis or 0, 0), array.shape) if known else None
        return Constant(array, step, f"PT2E int{_bits(told)}")

    def _tensor(self, argument: Any) -> Any:
        """Return an argument of a node that depends on constants alone, as the operator takes it."""
        value = self._of(argument)
        return argument if value is None else torch.from_numpy(np.array(value.array))


def _name(node: Node) -> str:
    """Return an operator's name without namespace and overload; empty for what is none."""
    target = node.target
    return target._schema.name.rpartition("::")[2] if isinstance(target, torch._ops.OpOverload) else ""


def _told(node: Node) -> dict[str, Any]:
    """Return the arguments of an operator by the names of its schema."""
    names = [argument.name for argument in node.target._schema.arguments]  # type: ignore[union-attr]
    return {**dict(zip(names, node.args, strict=False)), **node.kwargs}


def _sources(node: Any) -> list[Node]:
    """Return a node, and what it takes one of several results from."""
    if not isinstance(node, Node):
        return []
    return [node, *(given for given in node.all_input_nodes if node.op == "call_function")]


def _ends(told: Mapping[str, Any]) -> tuple[int, int]:
    """Return the lowest and the highest code that an operator reads or writes."""
    low, high = (told.get(f"quant_{end}") for end in ("min", "max"))
    return (low, high) if isinstance(low, int) and isinstance(high, int) else (-128, 127)


def _bits(told: Mapping[str, Any]) -> int:
    low, high = _ends(told)
    return (high - low).bit_length()
