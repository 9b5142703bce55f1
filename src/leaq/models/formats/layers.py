"""Layers whose codes and scales are separate tensors of a safetensors file, told apart by the names of their parts.

Each layout that some producer writes is a file of `leaq.models.formats.layouts`.
"""

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from torch import Tensor

from leaq.config import modules_in
from leaq.errors import InvalidInput, LeaqError
from leaq.models.formats.layout import LayerLayout
from leaq.models.formats.weight import LazyWeight, Shape, Weight


@cache
def _layouts() -> tuple[LayerLayout, ...]:
    return tuple(module.LAYOUT for module in modules_in("leaq.models.formats.layouts"))


@cache
def _part() -> re.Pattern[str]:
    """Return what takes the name of a tensor apart into its layer and the part of it."""
    known = {name for layout in _layouts() for name in (*layout.parts, *layout.beside)}
    return re.compile(rf"^(?:(?P<layer>.*)\.)?(?P<part>{'|'.join(map(re.escape, sorted(known)))})$")


def layers_of(
    shapes: Mapping[str, Shape], load: Callable[[str], Tensor], settings: Mapping[str, Any]
) -> tuple[dict[str, LazyWeight], list[str]]:
    """Return the quantized weights of a file by name, and the names of the tensors that belong to none.

    Parameters
    ----------
    shapes : of all tensors of the file, by name.
    load : returns a tensor by name.
    settings : the checkpoint's quantization settings.
    """
    parts: dict[str, dict[str, str]] = {}
    for name in shapes:
        if match := _part().match(name):
            parts.setdefault(match["layer"] or "", {})[match["part"]] = name
    for layer, found in parts.items():
        if (name := f"{layer}.weight" if layer else "weight") in shapes:
            found["weight"] = name
    weights: dict[str, LazyWeight] = {}
    taken: set[str] = set()
    for layer, found in parts.items():
        layout = next((one for one in _layouts() if one.knows(found.keys())), None)
        if layout is None:
            continue
        name = f"{layer}.weight" if layer else "weight"
        read = _later(layout, found, load, {**settings, "layer": layer})
        weights[name] = LazyWeight(read, _shapes(layout, {part: shapes[of] for part, of in found.items()}))
        taken |= set(found.values())
    return weights, [name for name in shapes if name not in taken]


def _shapes(layout: LayerLayout, parts: Mapping[str, Shape]) -> tuple[Shape, ...]:
    """Return the shapes that a layer's weight may have; none where its parts do not fit, which reading them names."""
    try:
        return tuple(layout.shape(parts))
    except (KeyError, IndexError, ValueError, ZeroDivisionError):
        return ()


def _later(
    layout: LayerLayout, found: Mapping[str, str], load: Callable[[str], Tensor], settings: Mapping[str, Any]
) -> Callable[[], Weight]:
    def read() -> Weight:
        parts = {part: load(name) for part, name in found.items()}
        try:
            return layout.read(parts, settings)
        except LeaqError:
            raise
        except Exception as err:  # parts of other shapes and types than any producer writes
            held = ", ".join(f"{part} {tuple(tensor.shape)}" for part, tensor in parts.items())
            raise InvalidInput(
                f"Layer {settings['layer']!r}: its parts must belong together. Found {held} ({type(err).__name__}). "
                "The file is damaged, or of a layout that is not read: give the running model."
            ) from None

    return read
