"""What the audit of a finished model reads, looked at before anything large is read or hashed.

Names and shapes are in the headers of files; whether an audit fits into memory follows from them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leaq.errors import LeaqError
from leaq.models.boxes import program_bytes
from leaq.models.formats import bytes_in_memory, read_file
from leaq.models.formats.matching import fitting
from leaq.models.roles import plain_tensors, tensors_of
from leaq.models.weights import architecture, built
from leaq.system.environment import free_memory, refuse_beyond_memory

COUNTER = "num_batches_tracked"
LARGE = 2**28
"""Bytes of a file from which it is looked at before it is hashed: smaller ones are hashed and read in a second."""


def is_large(*places: str | Path) -> bool:
    """Whether files and folders are so large together that they are looked at before they are hashed."""
    files = [file for place in map(Path, places) for file in (place.rglob("*") if place.is_dir() else [place])]
    return sum(file.stat().st_size for file in files if file.is_file()) >= LARGE


def look_at(path: Path) -> None:
    """Refuse a file of a program or of weights that is missing, damaged or pickled, as far as its header says."""
    if path.is_dir() or not program_bytes(path):
        bytes_in_memory(path)


def network_of(builder: Any, about: Mapping[str, Any]) -> nn.Module:
    """Return the network that a function of the user's, or what names one, builds."""
    return built(builder, about) if callable(builder) else architecture(builder, given=about)


def empty_network(builder: Any, about: Mapping[str, Any]) -> nn.Module | None:
    """Return the same network without values and memory for them; None where what builds it needs some."""
    try:
        with torch.device("meta"):
            network = network_of(builder, about)
    except LeaqError:
        return None
    own = {id(tensor) for _, tensor, _ in tensors_of(network)}
    rest = [*network.named_buffers(), *plain_tensors(network)]
    lost = [name for name, tensor in rest if tensor.is_meta and id(tensor) not in own and not name.endswith(COUNTER)]
    return None if lost else network


def stays_in_file(path: Path, network: nn.Module, *, rows: int) -> bool:
    """Whether a file's weights have to stay in the file for an audit of it to fit into memory.

    Parameters
    ----------
    network : its architecture, without values.
    rows : quantizers beside full precision.

    Raises
    ------
    InvalidInput
        If names or shapes are not the network's, or the audit fits in neither way.
    """
    reading = read_file(path, network)
    found = fitting(reading, network, subject=path.name)
    sizes = {name: 4 * tensor.numel() for name, tensor, _ in tensors_of(network)}
    whole, free = sum(sizes.values()), free_memory()
    need, why = whole * (1 + min(rows, 1)), f"holds {whole // 4:,} numbers, in 32 bits"
    if need <= free:
        return False
    read = sum(size for name, size in sizes.items() if reading.weights[found[name]].mapped() is None)
    if rows:
        refuse_beyond_memory(
            path, need, f"{why} and once more for the row of a quantizer",
            remedy=", or in full precision alone (quantizers none)" if read <= free else "",
        )  # fmt: skip
    refuse_beyond_memory(path, read, why)
    return True


def refuse_large_folder(place: str | Path, *, rows: int) -> None:
    """Refuse a language model, a folder or a GGUF file, that does not fit into memory; other names are no file."""
    path = Path(place)
    if not path.exists() or (path.is_dir() and not [*path.glob("*.safetensors"), *path.glob("*.gguf")]):
        return
    why = "holds a language model, in 32 bits" + " and once more for the row of a quantizer" * bool(rows)
    refuse_beyond_memory(path.absolute(), bytes_in_memory(path) * (1 + min(rows, 1)), why)
