"""What the audit of a finished model reads, looked at before anything large is read or hashed.

Names and shapes are in the headers of files; whether an audit fits into memory follows from them.
"""

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import nn

from leaq.errors import LeaqError
from leaq.models.causal_folder import empty_causal
from leaq.models.causal_gguf import stays_in_gguf
from leaq.models.formats import bytes_in_memory
from leaq.models.formats.gguf_file import open_gguf
from leaq.models.formats.matching import fitting
from leaq.models.roles import plain_tensors, tensors_of
from leaq.models.weights import architecture, built
from leaq.quantizers.files.opening import open_file
from leaq.system.memory import free_memory, refuse_beyond_memory

COUNTER = "num_batches_tracked"
LARGE = 2**28
"""Bytes from which a file is looked at before it is hashed, and weights in 32 bits stay in it."""
AT_ONCE = 4
"""Copies of a weight that are in memory while an operation works it out."""


def is_large(*places: str | Path) -> bool:
    """Whether files and folders are so large together that they are looked at before they are hashed."""
    files = [file for place in map(Path, places) for file in (place.rglob("*") if place.is_dir() else [place])]
    return sum(file.stat().st_size for file in files if file.is_file()) >= LARGE


def fills_memory(path: Path) -> bool:
    """Whether a model's numbers take much memory in 32 bits, so that they rather stay in their file."""
    return bytes_in_memory(path) >= LARGE


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
    """Whether a file's weights stay in the file, each read by every operation that needs it: those of large networks.

    Parameters
    ----------
    network : its architecture, without values.
    rows : quantizers beside full precision.

    Raises
    ------
    InvalidInput
        If names or shapes are not the network's, or not even its largest weights fit into memory.
    """
    fitting(open_file(path, network), network, subject=path.name)
    sizes = [4 * tensor.numel() for _, tensor, _ in tensors_of(network)]
    if sum(sizes) < LARGE and sum(sizes) * (1 + min(rows, 1)) <= free_memory():
        return False
    _refuse_largest(path, sizes, rows)
    return True


def _refuse_largest(path: Path, sizes: Sequence[int], rows: int) -> None:
    """Refuse weights that do not fit into memory one by one, or as the codes of a quantizer."""
    need, why = AT_ONCE * max(sizes), f"holds {sum(sizes) // 4:,} numbers, the largest weight of {max(sizes) // 4:,}"
    if rows:
        told = why + ", and a byte for each code of a quantizer"
        remedy = ", or in full precision alone (quantizers none)" if need <= free_memory() else ""
        refuse_beyond_memory(path, need + sum(sizes) // 4, told, remedy=remedy)
    refuse_beyond_memory(path, need, why)


def refuse_large_folder(place: str | Path, *, rows: int) -> None:
    """Refuse a language model, a folder or a GGUF file, that does not fit into memory; other names are no file."""
    path = Path(place)
    if path.suffix == ".gguf" and path.is_file() and stays_in_gguf(path):
        _refuse_largest(path, [4 * prod(tensor.shape) for tensor in open_gguf(path).tensors], rows)
        return
    if (empty := empty_causal(path)) is not None:
        _refuse_largest(path.absolute(), [4 * tensor.numel() for _, tensor, _ in tensors_of(empty)], rows)
        return
    if not path.exists() or (path.is_dir() and not [*path.glob("*.safetensors"), *path.glob("*.gguf")]):
        return
    why = "holds a language model, in 32 bits" + " and once more for the row of a quantizer" * bool(rows)
    refuse_beyond_memory(path.absolute(), bytes_in_memory(path) * (1 + min(rows, 1)), why)
