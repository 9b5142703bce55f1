"""What a run ran on and took: versions, platform, threads, memory and time; stored beside its numbers."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_LIBRARIES = ("leaq", "torch", "numpy", "scipy", "scikit-learn", "pandas", "rdkit")


def installed_version(package: str) -> str | None:
    """Return the version of a package that is installed, None where it is not."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def duration(seconds: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> duration(42.4), duration(754), duration(7300)
    ('42 s', '13 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def cuda_here() -> bool:
    """Tell whether torch can use a CUDA GPU of this machine."""
    import torch

    return bool(torch.cuda.is_available())


def describe_environment(device: str = "cpu") -> dict[str, Any]:
    """Return versions of what computes numbers, and the machine; nothing that names a user or a folder.

    `device` is where models were trained and evaluated; measuring is always the CPU's.
    """
    import torch

    return {
        "versions": {name: found for name in _LIBRARIES if (found := installed_version(name))},
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
    }


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes; 0 where the system does not count it."""
    try:
        import resource
    except ImportError:  # Windows
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)


@contextmanager
def limited_threads(count: int | None) -> Iterator[None]:
    """Let torch and the linear algebra under numpy use `count` threads; None leaves them as they are.

    A sum split over more threads is rounded otherwise, so the count belongs to what an exact repetition needs.
    """
    if count is None:
        yield
        return
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(limits=count):
            yield
    finally:
        torch.set_num_threads(before)
