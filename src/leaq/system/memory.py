"""What input may take of this machine's memory, and what is handed back of it."""

import ctypes
import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from leaq.errors import InvalidInput

SHARE = 2
"""A file may claim one part in so many of the memory that is free."""
UNKNOWN = 4 << 30
"""Bytes taken to be free where the system does not say."""
CONTAINER = Path("/sys/fs/cgroup")
"""Where Linux says what the container of this process is limited to."""
MMAP_THRESHOLD = -3
"""The C library's number of the setting (malloc.h): bytes from which a block is one of the system's own."""
RETURNED, KEPT = 2**22, 2**25
"""Its values: while a large model runs, and the one that the library comes to by itself."""


def give_back_memory() -> None:
    """Hand the memory that was freed back to the system, where the C library can.

    The allocator keeps blocks of megabytes that lie between others for later: after a large model ran, half its size.
    """
    if sys.platform == "linux":
        with suppress(OSError, AttributeError):  # another C library than GNU's
            ctypes.CDLL(None).malloc_trim(0)


@contextmanager
def large_blocks_returned(wanted: bool = True) -> Iterator[None]:
    """Return every freed block of megabytes to the system at once, where the C library is GNU's.

    Layers of a large model that are worked out one after another leave gaps between what is kept, else, that fill
    memory several times over.
    """
    library = ctypes.CDLL(None) if wanted and sys.platform == "linux" else None
    library = library if hasattr(library, "mallopt") else None
    if library is not None:
        library.mallopt(MMAP_THRESHOLD, RETURNED)
    try:
        yield
    finally:
        if library is not None:
            library.mallopt(MMAP_THRESHOLD, KEPT)


@contextmanager
def without_collecting() -> Iterator[None]:
    """Pause the search for cycles, which plain data have none of: it takes longer than building millions of values."""
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()


def refuse_larger(claimed: int, *, name: str) -> None:
    """Refuse a file whose content would take more than its share of the memory that is free.

    Raises
    ------
    InvalidInput
        With both sizes.
    """
    budget = memory_budget()
    if claimed > budget:
        raise InvalidInput(
            f"{name}: its content must fit into {budget / 2**30:.1f} GiB, half of the memory that is free. It claims "
            f"{claimed / 2**30:,.1f} GiB. Take fewer rows, or a machine with more memory."
        )


def refuse_beyond_memory(path: Path, need: int, why: str, *, remedy: str = "") -> None:
    """Refuse a file that an audit cannot hold, before anything large is read.

    Parameters
    ----------
    need : bytes that must be free.
    why : what takes them, in words that follow the file's name.

    Raises
    ------
    InvalidInput
        With the file, what it takes and what there is.
    """
    if need > (free := free_memory()):
        raise InvalidInput(
            f"{path.name}: this file {why}, which takes {_gib(need)} of memory. {_gib(free)} are free. Audit it where "
            f"there is more memory{remedy}."
        )


def _gib(size: int) -> str:
    return f"{size / 2**30:,.1f} GiB" if size >= 2**28 else f"{size / 2**20:,.1f} MiB"


def memory_budget() -> int:
    """Return how many bytes one file may take: a share of the memory that is free."""
    return free_memory() // SHARE


def free_memory() -> int:
    """Return how many bytes are free on this machine, or of what the container of this process is limited to."""
    free = UNKNOWN
    try:
        with Path("/proc/meminfo").open() as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    try:
        limit, used = (int((CONTAINER / name).read_text()) for name in ("memory.max", "memory.current"))
        told = dict(line.split() for line in (CONTAINER / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):  # no such limit, which is the word "max"
        return free
    files = int(told.get("active_file", 0)) + int(told.get("inactive_file", 0))  # kept for later, and given up for this
    return max(0, min(free, limit - used + files))
