"""What input may ask of this machine: looked at before memory and time are given to it."""

import os
from pathlib import Path

from leaq.errors import InvalidInput

__all__ = ["MOST_ATOMS", "memory_budget", "refuse_larger"]

SHARE = 2
"""A file may claim one part in so many of the memory that is free."""
UNKNOWN = 4 << 30
"""Bytes taken to be free where the system does not say."""
MOST_ATOMS = 10_000
"""Atoms of a molecule, and characters of a SMILES. RDKit's canonical form takes a second for as many, four times as
long for twice as many, and ends the process at some ten thousands more."""


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


def memory_budget() -> int:
    """Return how many bytes one file may take: a share of what is free, or of what this process is limited to."""
    free = UNKNOWN
    try:
        with Path("/proc/meminfo").open() as lines:
            free = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
            free = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return free // SHARE
