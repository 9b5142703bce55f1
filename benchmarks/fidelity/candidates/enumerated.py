"""Every codeword of a small model: the reference that sampled candidates are judged against."""

from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from leaq.errors import InvalidInput
from leaq.quantizers.neighbours import flat_models, levels_of
from leaq.quantizers.scheme import Fitted, Scheme
from leaq.types import Checkpoints

__all__ = ["enumeration"]

MOST_CODEWORDS = 2**16


def enumeration(
    quantizer: Scheme | Fitted, released: Checkpoints, *, most: int = 4096, calibration: Any = None
) -> Checkpoints:
    """Return every model the fitted scales allow: batch (s, c + 1), the last one being the released model again.

    Parameters
    ----------
    released : batch (s,), in full precision; biases and scalers stay as they are.
    most : codewords at most; the number grows as levels to the power of weights.
    calibration : what calibrated quantizers ask for, a `leaq.quantizers.Calibration` of the s models.

    Raises
    ------
    InvalidInput
        If there are more codewords than `most` (at most 65,536).
    """
    import torch

    s = flat_models(released, "enumeration")
    fitted = quantizer.fitted_to(released, calibration)
    coded = fitted.codes(released)
    sizes = [
        (name, int(np.prod(codes.shape[1:])), levels_of(quantizer, name, released))
        for name, (codes, _) in coded.items()
    ]
    total = float(np.prod([float(levels) ** count for _, count, (_, levels) in sizes]))
    if total > min(most, MOST_CODEWORDS):
        weights = sum(count for _, count, _ in sizes)
        raise InvalidInput(
            f"enumeration: {quantizer.spec()} on {weights} weights has {total:.3g} codewords, more than {most:,}. "
            "Use neighbours, or a smaller model."
        )
    words = np.array(list(product(*[range(levels) for _, count, (_, levels) in sizes for _ in range(count)])))
    final: Checkpoints = fitted(released)
    params = {name: _repeat(tensor, len(words)) for name, tensor in final.params.items()}
    start = 0
    for name, count, (scheme, _) in sizes:
        codes, scales = coded[name]
        chosen = torch.as_tensor(words[:, start : start + count]).reshape(len(words), *codes.shape[1:])
        repeated = {key: value.repeat_interleave(len(words), 0) for key, value in scales.items()}
        every = scheme.dequantize(chosen.repeat(s, *[1] * (codes.ndim - 1)).to(codes.dtype), repeated)
        params[name][:, :-1] = every.reshape(s, len(words), *codes.shape[1:]).to(params[name].dtype)
        start += count
    return replace(final, params=params, batch=(s, len(words) + 1))


def _repeat(tensor, words: int):  # type: ignore[no-untyped-def]
    return tensor.unsqueeze(1).repeat(1, words + 1, *[1] * (tensor.ndim - 1))
