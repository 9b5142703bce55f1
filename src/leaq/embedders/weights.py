"""Pretrained weights: from a folder, from the cache, or downloaded; checked by content before they are used.

Files are safetensors, which hold numbers and nothing that could run. Upstream's own files are PyTorch checkpoints;
a downloaded one is read by torch's weights-only loader after its hash was checked, and kept as safetensors.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from leaq.errors import InvalidInput
from leaq.system.downloads import cache_folder, download
from leaq.system.files import write_atomic
from leaq.types import Progress, silent

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Weights", "check_shapes", "find_weights", "embedder_weights", "tensor_sha256"]

TensorMap = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Weights:
    """Pretrained weights that leaq knows.

    Attributes
    ----------
    file : the name it is looked for under, e.g. in LEAQ_WEIGHTS_DIR.
    sha256 : hash of the tensors' content, see `tensor_sha256`; not of the file, whose header may differ.
    address : upstream's file at a fixed commit; empty if leaq cannot convert it.
    upstream_sha256 : hash of upstream's file.
    source, licence, pretrained : for the listing.
    """

    file: str
    sha256: str
    address: str
    upstream_sha256: str
    source: str
    licence: str
    pretrained: str


def embedder_weights(known: Weights, own: str | None = None, *, progress: Progress = silent) -> dict[str, "Tensor"]:
    """Return the tensors of known weights, or of a safetensors file of the user's own.

    Raises
    ------
    InvalidInput
        If the file is absent and cannot be downloaded, is no safetensors file, or its content has another hash.
    """
    from leaq.models.weights import read_tensors

    path = find_weights(known, own, progress=progress)
    tensors, _ = read_tensors(path)
    if own is not None:
        return tensors
    found = tensor_sha256(tensors)
    if found != known.sha256:
        raise InvalidInput(
            f"{path.name}: these weights must have content hash {known.sha256}. Found {found}: another version, or "
            f"damaged. Replace {str(path)!r}; weights of your own go in with the option weights=FILE."
        )
    return tensors


def find_weights(known: Weights, own: str | None = None, *, progress: Progress = silent) -> Path:
    """Return the file of known weights, downloaded if it is nowhere yet, or the user's own; not opened."""
    if own is not None:
        return _existing(Path(own))
    named = os.environ.get("LEAQ_WEIGHTS_DIR")
    folders = [*([Path(named)] if named else []), cache_folder() / "weights"]
    path = next((folder / known.file for folder in folders if (folder / known.file).is_file()), None)
    return path or _fetch(known, folders[-1] / known.file, progress)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise InvalidInput(f"There is no weights file {str(path)!r}. Name an existing safetensors file.")
    return path


def _fetch(known: Weights, path: Path, progress: Progress) -> Path:
    """Download upstream's checkpoint, check its hash, keep its tensors as safetensors."""
    remedy = f"Put {known.file} at {str(path)!r}, or name its folder in LEAQ_WEIGHTS_DIR."
    if not known.address:
        raise InvalidInput(
            f"{known.file}: upstream's file is in a format leaq does not read, so it is not downloaded. {remedy}"
        )
    raw = path.with_name(f"{path.stem}.pth")
    download(known.address, raw, sha256=known.upstream_sha256, what=known.file, remedy=remedy, progress=progress)
    import torch
    from safetensors.torch import save

    tensors = torch.load(raw, map_location="cpu", weights_only=True)
    write_atomic(path, save({name: tensor.contiguous() for name, tensor in tensors.items()}))
    raw.unlink()
    return path


def tensor_sha256(tensors: TensorMap) -> str:
    """Return the hash of names, types, shapes and values, however the file stores them."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = tensors[name].contiguous().numpy()
        digest.update(f"{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def check_shapes(what: str, found: TensorMap, wanted: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse weights whose names or shapes are not those of the architecture."""
    absent, extra = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if absent or extra:
        raise InvalidInput(
            f"{what}: the weights must hold exactly the network's tensors. Absent: {', '.join(absent[:3]) or 'none'}; "
            f"unknown: {', '.join(extra[:3]) or 'none'}. They belong to another architecture."
        )
    for name, shape in wanted.items():
        if tuple(found[name].shape) != shape:
            raise InvalidInput(
                f"{what}: the tensor {name!r} must have shape {shape}. Found {tuple(found[name].shape)}: the weights "
                "belong to another size or architecture."
            )
