"""What a run ran on: versions, platform, threads. Stored beside its numbers."""

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["describe_environment", "peak_memory"]

_LIBRARIES = ("leaq", "torch", "numpy", "scipy", "scikit-learn", "pandas", "rdkit")


def describe_environment() -> dict[str, Any]:
    """Return versions of what computes numbers, and the machine; nothing that names a user or a folder."""
    import torch

    versions = {}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": "cpu",
    }


def peak_memory() -> int:
    """Return the largest resident memory of this process so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak if sys.platform == "darwin" else peak * 1024)
