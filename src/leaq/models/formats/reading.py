"""What a file is, by its content, and its weights ready to be read one by one."""

import json
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from leaq.config import modules_in
from leaq.errors import InvalidInput, StoreError
from leaq.models.formats.layers import layers_of
from leaq.models.formats.layout import Container
from leaq.models.formats.shards import indexed, numbered
from leaq.models.formats.weight import LazyWeight, Weight
from leaq.models.weights import OpenWeights, open_weights

LOOKED_AT = 16
"""Quantized weights that are read to say what a file holds."""


@dataclass(frozen=True)
class FileWeights:
    """The weights of a file, by its names, each read when it is asked for.

    Attributes
    ----------
    bytes : what all tensors of the file take, codes and scales as they are packed.
    kind : what the file is, in words.
    """

    weights: Mapping[str, LazyWeight]
    bytes: int
    kind: str = "safetensors"


def read_file(path: Path, original: nn.Module) -> FileWeights:
    """Return the weights of a safetensors file, a folder of them, or a GGUF file.

    Raises
    ------
    InvalidInput
        For pickled files, and for integers that stand alone where weights are expected.
    StoreError
        If there is no such file, it is damaged, or one of several is missing.
    """
    files = weight_files(path)
    if (container := _container(files[0])) is not None:
        weights, size = container.read(files[0], original)
        return FileWeights(weights, size, container.describe(files[0]))
    opened = [open_weights(file) for file in files]
    place = {name: one for one in opened for name in one.shapes}
    shapes = {name: one.shapes[name] for name, one in place.items()}
    weights, rest = layers_of(shapes, lambda name: place[name].get(name), metadata_of(files[0]))
    plain = {name: _plain(name, place[name], path.name) for name in rest}
    return FileWeights({**plain, **weights}, sum(one.bytes for one in opened))


@cache
def _containers() -> tuple[Container, ...]:
    return tuple(module.CONTAINER for module in modules_in("leaq.models.formats.containers"))


def _container(file: Path) -> Container | None:
    """Return what reads a file that is no safetensors, by its first bytes; None for one that may be."""
    with suppress(OSError), file.open("rb") as handle:
        first = handle.read(max(len(one.begins) for one in _containers()))
        found = next((one for one in _containers() if first.startswith(one.begins)), None)
        early = (one for one in _containers() if one.suffix == file.suffix and one.begins.startswith(first))
        return found or next(early, None)
    return None


def describe_file(path: Path) -> str:
    """Say what a file of weights holds: how many tensors, in which forms.

    Raises
    ------
    StoreError, InvalidInput
        As `read_file`.
    """
    file = weight_files(path)[0]
    if (container := _container(file)) is not None:
        return container.describe(file)
    opened = open_weights(file)
    quantized, rest = layers_of(opened.shapes, opened.get, metadata_of(file))
    looked = list(quantized.values())[:LOOKED_AT]
    forms = Counter(read().form for read in looked)
    words = [f"{count} weights as {form}" for form, count in forms.items()]
    if len(looked) < len(quantized):
        words = [f"{len(quantized)} quantized weights, the first {LOOKED_AT} as {' and '.join(forms)}"]
    return ", ".join([*words, f"{len(rest)} {'other ' * bool(words)}tensors"])


def bytes_in_memory(path: Path) -> int:
    """Return what a file, or a folder, of weights takes once it is read, by its headers.

    Numbers take 32 bits; the codes of layers stay as they are packed, as in a running model.

    Raises
    ------
    StoreError, InvalidInput
        As `read_file`.
    """
    files = weight_files(path)
    if (container := _container(files[0])) is not None:
        return 4 * container.count(files[0])
    return sum(open_weights(file).wide for file in files)


def _plain(name: str, opened: OpenWeights, subject: str) -> LazyWeight:
    def read() -> Weight:
        tensor = opened.get(name)
        if tensor.is_complex() or tensor.is_floating_point():
            coarse = tensor.dtype.itemsize == 1
            form = str(tensor.dtype).removeprefix("torch.") if tensor.dtype.itemsize < 4 else ""
            return Weight(tensor if tensor.is_complex() else tensor.float(), None, form * coarse)
        raise InvalidInput(
            f"{subject}: integers are codes, and codes need scales to be weights. {name} holds {tensor.dtype} numbers "
            f"{tuple(tensor.shape)} and no scales stand beside it. Give the file that holds both, or the running model."
        )

    return LazyWeight(read, (opened.shapes[name],), lambda: opened.mapped(name))


def weight_files(path: Path) -> list[Path]:
    """Return the files that hold a model's weights: the file itself with its kin, or what a folder's index names.

    Raises
    ------
    StoreError
        If nothing is there, or a shard of several is missing.
    """
    if not path.is_dir():
        if path.name.endswith(".safetensors.index.json"):
            return indexed(path)
        return numbered(path)
    if (index := path / "model.safetensors.index.json").is_file():
        return indexed(index)
    for pattern in ("model.safetensors", "*.safetensors", *(f"*{one.suffix}" for one in _containers())):
        found = sorted(path.glob(pattern))
        if found and set(parts := numbered(found[0])) == set(found):
            return parts
        if found:
            names = ", ".join(file.name for file in found[:3])
            raise StoreError(
                f"{path.resolve().name}: a folder must hold one model. Found {names}. Name the file itself."
            )
    adapter = " Found an adapter, not a model: merge it into its base first." * (path / "adapter_config.json").is_file()
    raise StoreError(
        f"{path.resolve().name}: a model's folder must hold its weights as safetensors or GGUF. Found none.{adapter}"
    )


def metadata_of(path: Path) -> dict[str, Any]:
    """Return the quantization settings that stand beside a checkpoint (config.json and its kin), if any.

    Raises
    ------
    InvalidInput
        If a file of settings is no JSON.
    """
    for name in ("quantize_config.json", "quantization_config.json", "quant_config.json", "config.json"):
        file = path.parent / name
        if file.is_file():
            try:
                found = json.loads(file.read_text())
            except (OSError, ValueError):
                raise InvalidInput(f"{file.name} beside {path.name} must be JSON. Found something else.") from None
            if not isinstance(found, dict):
                raise InvalidInput(f"{file.name} beside {path.name} must hold named settings. Found something else.")
            settings = found.get("quantization_config", found if name.startswith("quant") else None)
            if isinstance(settings, dict):
                return settings
    return {}
