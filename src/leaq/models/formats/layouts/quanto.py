"""optimum-quanto: x.weight._data and x.weight._scale of layer x, whole numbers or float8 of 8 bits."""

from collections.abc import Mapping
from typing import Any

from leaq.errors import InvalidInput
from leaq.models.formats.codes import scaled
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Weight

CODES, SCALE, PACKED = "weight._data", "weight._scale", "weight._data._data"


def _quanto(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    codes, scale = parts.get(CODES), parts.get(SCALE)
    kind = "" if codes is None else str(codes.dtype).removeprefix("torch.")
    found = None if codes is None or scale is None else scaled(codes, scale, form=f"quanto {kind}")
    if found is None:
        raise InvalidInput(
            f"Layer {settings['layer']!r} is in a layout of optimum-quanto that is not read: groups of 4 or 2 bits lie "
            "in an order that only the layer's shape tells. Give the running module."
        )
    return found


LAYOUT = LayerLayout(
    (CODES, SCALE, PACKED, "weight._shift"),
    lambda parts: CODES in parts or PACKED in parts,
    _quanto,
    beside=("input_scale", "output_scale"),
)
