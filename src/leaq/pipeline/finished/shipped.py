"""Models that somebody already quantized: run as they run, or read from their file into the original's layers.

A program (a module, a session, an ONNX, LiteRT, OpenVINO, TorchScript or exported file, an endpoint) runs itself. A
file of weights is read into a copy of the original, each weight compared with the original's.
"""

import copy
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, UnsupportedModel, some
from leaq.models import unwrap
from leaq.models.boxes import BlackBox, box_of
from leaq.models.formats import fill
from leaq.models.formats.graphs import WeightGraph
from leaq.models.formats.levels import named_levels, rounding_of
from leaq.models.formats.matching import matched
from leaq.models.formats.packed import PackedLayers, has_packed_layers, packed_bytes, packed_numbers
from leaq.models.formats.placing import Folded, place
from leaq.models.formats.traced import TracedGraph, is_traced
from leaq.models.formats.weight import FEWEST, Weight, unlike
from leaq.models.programs import Running, open_program, program_box
from leaq.models.roles import tensors_of
from leaq.quantizers.files.opening import open_file
from leaq.results import Size
from leaq.system.memory import refuse_beyond_memory
from leaq.types import Activations, Flag


@dataclass(frozen=True)
class Opened:
    """A shipped model that can run, what it weighs, and doubts.

    Attributes
    ----------
    bytes : of all its tensors as they are packed, or of its file; None where neither is known.
    read : whether its weights were seen, and stand in `module` under the original's names.
    stored : in which form each quantized weight is stored, biases left out.
    activations : how the file rounds activations when it runs; None where it does not, or where that is not known.
    folded : weights that hold the batch normalisation after their layer, by name; in `module` they are without it.
    """

    module: nn.Module
    bytes: int | None
    flags: tuple[Flag, ...] = ()
    read: bool = False
    stored: Mapping[str, str] = field(default_factory=dict)
    activations: Activations | None = None
    folded: Mapping[str, Folded] = field(default_factory=dict)


def open_shipped(shipped: Any, original: nn.Module, *, name: str) -> Opened:
    """Return a shipped model ready to run.

    Parameters
    ----------
    shipped : a module; anything else that runs (a session, a function, an endpoint); or a file or folder.
    original : the full-precision model; copied where weights are read into it, never changed.

    Raises
    ------
    InvalidInput
        If a file's weights are not near the original's, or of another architecture.
    StoreError
        If a file is missing, damaged or incomplete.
    """
    if isinstance(shipped, nn.Module):
        module = unwrap(shipped)
        size, flags = _module_bytes(module)
        if is_traced(module):
            apart = copy.deepcopy(module)
            return _followed(TracedGraph(apart), program_box(apart, size), original, name)
        if has_packed_layers(module):
            return _packed(module, size, original, name)
        return Opened(_apart(module), size, (*_box_flags(module), *flags, *_compared(module, original, name)))
    if not isinstance(shipped, str | Path):
        box = box_of(shipped)
        if box is None:
            raise UnsupportedModel(
                f"{name}: a shipped model must be a module, a file, or something that can be called. "
                f"Found {type(shipped).__name__}."
            )
        return open_shipped(box, original, name=name)
    path = Path(shipped)
    if (opened := open_program(path)) is not None:
        program, graph = opened
        return _followed(graph, program, original, name)
    reading = open_file(path, original)
    numbers = sum(tensor.numel() for _, tensor, _ in tensors_of(original))
    refuse_beyond_memory(path, 4 * numbers, f"is read into a copy of its original, {numbers:,} numbers in 32 bits")
    filled = fill(reading, original, subject=name)
    flags = filled.flags
    if not filled.stored and not any(flag.code == "not-quantized" for flag in flags):
        flags = (*flags, _stored_as_floats(name))
    return Opened(filled.module, reading.bytes, flags, read=True, stored=filled.stored)


def _packed(module: nn.Module, size: int | None, original: nn.Module, name: str) -> Opened:
    """Run a module of packed layers as it is; their weights are compared with the original's where they are alike."""
    apart = _apart(module)
    if apart is module or has_packed_layers(original):  # not to be put into another mode; or packed, too
        return Opened(apart, size, (_unseen("the module"),))
    try:
        return _followed(PackedLayers(apart), Running(apart, bytes=size), original, name)
    except InvalidInput as refused:  # it runs all the same
        text = f"{name} is compared with an original that it was not made from, as it seems. {refused}"
        return Opened(apart, size, (Flag("unlike-original", text),))


def _followed(graph: WeightGraph, box: BlackBox | Running, original: nn.Module, name: str) -> Opened:
    """Run a program as it runs; its weights are followed through its graph for size and comparison."""
    weights = graph.weights()
    given, gives = ({str(i): getattr(one, key) for i, one in enumerate(weights)} for key in ("given", "gives"))
    activations = rounding_of(named_levels(given, gives, graph.outputs))
    placed = place(weights, original, subject=name)
    flags = []
    if activations is not None:
        text = f"{name} rounds activations too, as it says; they are in the numbers, since it was run."
        flags.append(Flag("integer-activations", text))
    if placed.missing:
        text = (
            f"{name} was run; {len(placed.missing)} of the original's weights ({some(placed.missing, 2)}) were not "
            "found in it, so that they were not compared."
        )
        flags.append(Flag("weights-not-seen", text))
    elif placed.module is not None and not placed.stored:
        pairs = zip(tensors_of(placed.module), tensors_of(original), strict=True)
        kept = all(torch.equal(read[1], own[1].detach().cpu().to(read[1].dtype)) for read, own in pairs)
        text = f"The weights of {name} are floating-point numbers, the original's: nothing was quantized."
        flags.append(Flag("not-quantized", text) if kept else _stored_as_floats(name))
    if placed.folded:
        text = (
            f"In {name} batch normalisation is folded into the layer before it ({some(list(placed.folded), 2)}), which "
            "was undone to compare them. A quantizer rounds the layers of shadow models before that is folded in: with "
            "a scale for each output the same but for single codes, with one for all of them another rounding."
        )
        flags.append(Flag("normalisation-folded", text))
    module = box if placed.module is None else box.graft(placed.module)
    seen = placed.module is not None
    size = graph.bytes or box.bytes
    return Opened(module, size, tuple(flags), seen, placed.stored, activations, placed.folded)


def _stored_as_floats(name: str) -> Flag:
    text = (
        f"{name} stores its weights as floating-point numbers, though not the original's: its size is that of the "
        "file, whatever few levels these numbers may take."
    )
    return Flag("stored-as-floats", text)


def _apart(module: nn.Module) -> nn.Module:
    """Return a copy to run, since some layers repack their weights when they first run; itself if none can be made."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the formats that old programs were exported by
            return copy.deepcopy(module)
    except Exception:  # whatever a module's own parts raise when they cannot be copied
        return module


def _compared(module: nn.Module, original: nn.Module, name: str) -> tuple[Flag, ...]:
    """Say where the ordinary weights of a module are the original's as they are, or nowhere near them."""
    own = {key: tensor.detach().cpu() for key, tensor, _ in tensors_of(original)}
    there = {key: tensor for key, tensor, _ in tensors_of(module) if type(tensor) in (Tensor, nn.Parameter)}
    here = {
        key: there[given].detach().cpu()
        for key, given in matched(there, original).items()  # a wrapper's prefix is seen through
        if there[given].shape == own[key].shape
    }
    same = own and len(there) == len(own)
    if same and all(key in here and here[key].dtype == t.dtype and torch.equal(here[key], t) for key, t in own.items()):
        return (Flag("not-quantized", f"The weights of {name} equal the original's: nothing was quantized."),)
    for key, tensor in here.items():
        wanted = own[key]
        if tensor.ndim < 2 or tensor.is_complex() or wanted.is_complex() or not bool(wanted.any()):
            continue
        if wanted.numel() >= FEWEST and (problem := unlike(Weight(tensor.float()), wanted.float())):
            text = f"{name} is compared with an original that it was not made from, as it seems: {key} {problem}."
            return (Flag("unlike-original", text),)
    return ()


def _unseen(what: str) -> Flag:
    return Flag("weights-not-seen", f"This row is {what} as it runs; its weights were not seen or compared.")


def _box_flags(module: nn.Module) -> tuple[Flag, ...]:
    if not isinstance(module, BlackBox):
        return ()
    flags = [_unseen(module.kind)]
    if module.place:
        flags.append(Flag("records-sent", f"All records were sent to {module.place}."))
    if module.bytes is None:
        flags.append(Flag("size-unknown", f"What {module.kind} weighs is not known."))
    return tuple(flags)


def _module_bytes(module: nn.Module) -> tuple[int | None, tuple[Flag, ...]]:
    """Return what a module weighs: its tensors, and the packed codes of layers that keep them elsewhere."""
    if isinstance(module, BlackBox):
        return module.bytes, ()
    size = sum(stored_bytes(tensor) for tensor in _stored(module))
    size += packed_bytes(module)
    if size == 0 and any(True for _ in module.modules()):
        text = "Where this module keeps its weights is not known, and so is what it weighs."
        return None, (Flag("size-unknown", text),)
    return size, ()


def weigh(opened: Opened, original: nn.Module) -> Size:
    """Return bits per number of the original and bytes of a shipped model, NaN where its bytes are not known.

    The entropy of its codes is not estimated.
    """
    packed = packed_numbers(original)
    count = sum(tensor.numel() for _, tensor, _ in tensors_of(original)) + packed
    full = sum(tensor.numel() * max(4, tensor.element_size()) for _, tensor, _ in tensors_of(original)) + 4 * packed
    if opened.bytes is None or count == 0:
        return Size(math.nan, math.nan, opened.bytes or 0, math.nan)
    bits = 8 * opened.bytes / count
    return Size(bits, bits, opened.bytes, full / max(1, opened.bytes))


def _stored(module: nn.Module) -> Iterator[Tensor]:
    """Yield every tensor that a module keeps once; of a traced graph those that it uses.

    Converting a traced graph leaves the weights that it replaced by codes where they were.
    """
    seen: set[int] = set()
    used = None
    if isinstance(module, torch.fx.GraphModule):
        used = tuple(
            str(node.target) for node in module.graph.nodes if node.op in ("get_attr", "call_module") and node.users
        )
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if used is not None and not any(name == one or name.startswith(f"{one}.") for one in used):
            continue
        if id(tensor) not in seen:
            seen.add(id(tensor))
            yield tensor


def stored_bytes(tensor: Any) -> int:
    """Return the bytes a tensor takes, packed codes and scales of quantized tensor classes included."""
    flatten = getattr(tensor, "__tensor_flatten__", None)
    if flatten is not None and type(tensor) not in (Tensor, nn.Parameter):
        names, _ = flatten()
        return sum(stored_bytes(getattr(tensor, name)) for name in names)
    state = getattr(tensor, "quant_state", None)  # bitsandbytes keeps scales beside the packed codes
    scales = getattr(state, "absmax", None)
    extra = scales.nbytes if isinstance(scales, Tensor) else 0
    if not isinstance(tensor, Tensor):
        raise InvalidInput(f"A stored weight must be a tensor. Found {type(tensor).__name__}.")
    return int(tensor.nbytes) + extra
