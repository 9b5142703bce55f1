"""torchao: x._weight_qdata, x._weight_scale, x._weight_zero_point of layer x."""

from collections.abc import Mapping
from typing import Any

import torch

from leaq.errors import InvalidInput
from leaq.models.formats.codes import scaled
from leaq.models.formats.layout import LayerLayout, Parts
from leaq.models.formats.weight import Weight


def _torchao(parts: Parts, settings: Mapping[str, Any]) -> Weight:
    codes, scale = parts["_weight_qdata"], parts.get("_weight_scale")
    kind = f"torchao {str(codes.dtype).removeprefix('torch.')}"
    if codes.dtype == torch.int8 and scale is not None:  # fewer bits lie in bytes, too
        bits = next(bits for bits in range(2, 9) if int(codes.max()) < 2 ** (bits - 1) >= -int(codes.min()))
        groups = scale.shape[1] if scale.ndim == codes.ndim == 2 else 1
        kind = f"torchao int{bits}" + f" in groups of {codes.shape[1] // groups}" * (groups > 1)
        kind += " with zero points" * bool("_weight_zero_point" in parts and parts["_weight_zero_point"].any())
    found = None
    if scale is not None and codes.dtype != torch.int32:
        found = scaled(codes, scale, parts.get("_weight_zero_point"), form=kind)
    if found is None:
        raise InvalidInput(
            f"Layer {settings['layer']!r} is in a layout of torchao that is not read: codes {tuple(codes.shape)} of "
            f"{codes.dtype} with scales {None if scale is None else tuple(scale.shape)}. Give the running module."
        )
    return found


LAYOUT = LayerLayout(
    ("_weight_qdata", "_weight_scale", "_weight_zero_point", "_weight_act_pre_scale"),
    lambda parts: "_weight_qdata" in parts,
    _torchao,
    shape=lambda parts: [parts["_weight_qdata"]],
)
