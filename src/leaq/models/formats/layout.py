"""What is known of a file of quantized weights: its layout, where layers are told by their parts, or its container."""

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from leaq.models.formats.weight import LazyWeight, Shape, Weight

Parts = Mapping[str, Tensor]
"""The tensors of one layer by their names, the layer's left out."""


@dataclass(frozen=True)
class LayerLayout:
    """How layers are written into a safetensors file.

    Attributes
    ----------
    parts : names of the tensors beside ``weight`` that a layer of this layout consists of.
    knows : whether a layer of these parts is of this layout.
    read : returns the weight from the parts and the checkpoint's settings, in which ``layer`` is the layer's name.
    beside : names of further tensors of such layers that are no part of a weight.
    shape : returns the shapes that a weight may have from those of its parts, none where these do not tell.
    """

    parts: Sequence[str]
    knows: Callable[[Set[str]], bool]
    read: Callable[[Parts, Mapping[str, Any]], Weight]
    beside: Sequence[str] = ()
    shape: Callable[[Mapping[str, Shape]], Sequence[Shape]] = lambda _: ()


@dataclass(frozen=True)
class Container:
    """A kind of file that is no safetensors.

    Attributes
    ----------
    begins : its first bytes.
    suffix : of its name, with the dot; so it is found in a folder.
    read : returns the weights of a file under the names of the model beside it, and their bytes.
    describe : says what a file holds.
    count : returns how many numbers a file holds, by its header.
    """

    begins: bytes
    suffix: str
    read: Callable[[Path, nn.Module], tuple[dict[str, LazyWeight], int]]
    describe: Callable[[Path], str]
    count: Callable[[Path], int]
