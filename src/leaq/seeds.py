"""One root seed, independent named streams.

Every random choice in leaq reads ``stream(seed, "what", index)``. A stream depends on its name alone, never on
how many other streams were read before it, so chunk sizes, engines and the order of work leave numbers unchanged.
"""

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

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


def shared_states() -> tuple[Any, ...]:
    """Return the states of the generators that all code shares: Python's, NumPy's and torch's (on the CPU).

    Examples
    --------
    >>> before = shared_states()
    >>> _ = random.random()
    >>> drawn(before)
    True
    """
    import torch

    return random.getstate(), np.random.get_state(legacy=True), torch.get_rng_state()  # noqa: NPY002


def drawn(before: tuple[Any, ...]) -> bool:
    """Whether anything was drawn from the shared generators since their states were taken."""
    python, numbers, torch_state = shared_states()
    if python != before[0] or numbers[2:] != before[1][2:]:
        return True
    return not (np.array_equal(numbers[1], before[1][1]) and bool((torch_state == before[2]).all()))


@contextmanager
def shared_generators_kept() -> Iterator[tuple[Any, ...]]:
    """Put the generators that all code shares back as they were; yields their states. Those of GPUs stay moved."""
    import torch

    before = shared_states()
    try:
        yield before
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])


def torch_stream(seed: int, *names: str | int) -> "torch.Generator":
    """Return a CPU torch generator for the same names; draw on the CPU and move, so that devices agree."""
    import torch

    generator = torch.Generator(device="cpu")
    generator.manual_seed(int(stream(seed, *names).integers(2**63 - 1)))
    return generator
