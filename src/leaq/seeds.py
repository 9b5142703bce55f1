"""One root seed, independent named streams.

Every random choice in leaq reads ``stream(seed, "what", index)``. A stream depends on its name alone, never on
how many other streams were read before it, so chunk sizes, engines and the order of work leave numbers unchanged.
"""

import hashlib
from typing import TYPE_CHECKING

import numpy as np

from leaq.errors import InvalidInput

if TYPE_CHECKING:
    import torch


def _key(name: str | int) -> int:
    """Map a name to 32 bits, the same in every process (Python's own `hash` is salted)."""
    digest = hashlib.sha256(repr(name).encode()).digest()
    return int.from_bytes(digest[:4], "little")


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random generator that belongs to `names` under the root `seed`.

    Examples
    --------
    >>> bool(stream(7, "split", 0).random() == stream(7, "split", 0).random())
    True
    >>> bool(stream(7, "split", 0).random() == stream(7, "split", 1).random())
    False
    """
    if seed < 0:
        raise InvalidInput(f"A seed must be 0 or more. Found {seed}.")
    sequence = np.random.SeedSequence(entropy=seed, spawn_key=tuple(_key(name) for name in names))
    return np.random.Generator(np.random.PCG64(sequence))


def torch_stream(seed: int, *names: str | int) -> "torch.Generator":
    """Return a CPU torch generator for the same names; draw on the CPU and move, so that devices agree."""
    import torch

    generator = torch.Generator(device="cpu")
    generator.manual_seed(int(stream(seed, *names).integers(2**63 - 1)))
    return generator
