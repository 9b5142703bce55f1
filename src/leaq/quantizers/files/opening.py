"""A file of weights, leaq's own packed ones included, ready to be read one by one."""

from functools import partial
from math import prod
from pathlib import Path

from torch import nn

from leaq.errors import InvalidInput, some
from leaq.models.formats import FileWeights, LazyWeight, Weight, read_file
from leaq.models.formats.matching import matched
from leaq.models.formats.reading import weight_files
from leaq.models.weights import OpenWeights, open_weights
from leaq.quantizers.files.packing import FORMAT, packed_with, unpack
from leaq.quantizers.registry import build
from leaq.types import Checkpoints

SCALERS = ", by which its inputs are centred and scaled: (x - input_mean) / input_scale"


def open_file(path: Path, original: nn.Module) -> FileWeights:
    """Return the weights of any file that `read_file` reads, or that leaq packed (`leaq protect`, `leaq quantize`).

    Raises
    ------
    InvalidInput
        As `read_file`; of packed files, for those that hold several models, or round activations, too.
    StoreError
        As `read_file`.
    """
    opened = None if (first := weight_files(path)[0]).suffix != ".safetensors" else open_weights(first)
    if opened is None or opened.metadata.get("format") != FORMAT:
        return read_file(path, original)
    checkpoints, _ = unpack(first)
    if (models := prod(checkpoints.batch)) != 1:
        raise InvalidInput(f"{first.name}: a file must hold one model. Found {models} in one packed file. Pack one.")
    if checkpoints.activations is not None:
        raise InvalidInput(
            f"{first.name}: of packed files weights are read. This one rounds activations too, which its weights do "
            "not show. Audit the original, and name its quantizer."
        )
    weights = _weights(checkpoints, opened)
    used = set(matched(weights, original).values())
    if left := [name for name in weights if name not in used and checkpoints.params[name].is_floating_point()]:
        raise InvalidInput(
            f"{first.name}: the network must hold every tensor of a packed file. It lacks {some(left)}"
            f"{SCALERS * any('input_mean' in name for name in left)}. Name a function that builds the whole network."
        )
    return FileWeights(weights, opened.bytes, "packed by leaq")


def _weights(checkpoints: Checkpoints, opened: OpenWeights) -> dict[str, LazyWeight]:
    rules = {name: _rule(item["quantizer"]) for name, item in packed_with(opened.metadata).items()}
    axes = len(checkpoints.batch)
    values = {name: tensor.reshape(tensor.shape[axes:]).float() for name, tensor in checkpoints.params.items()}
    return {
        name: LazyWeight(partial(Weight, value, None, f"leaq {rules[name]}" if name in rules else ""), (value.shape,))
        for name, value in values.items()
    }


def _rule(spec: str) -> str:
    """Return what one weight went through, without what the quantizer does to other ones."""
    return build(spec).model_copy(update={"first": "same", "last": "same", "others": ""}).spec()
