"""On which machine and at which commit something was measured, and how processor time is taken."""

import os
import platform
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]


def described() -> dict[str, object]:
    """Return the machine, the commit and the libraries."""
    import numpy
    import torch

    told = Path("/proc/cpuinfo").read_text(encoding="utf-8") if Path("/proc/cpuinfo").exists() else ""
    names = [line.partition(":")[2].strip() for line in told.splitlines() if line.startswith("model name")]
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": names[0] if names else platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(pages / 1e9),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "",
        "torch": torch.__version__,
        "numpy": numpy.__version__,
        "commit": commit(),
        "day": time.strftime("%Y-%m-%d"),
        "load": round(os.getloadavg()[0], 1),
    }


def commit(folder: Path = ROOT) -> str:
    """Return the commit that a checkout stands at; with a plus where files differ from it."""
    try:
        short = _git(folder, "rev-parse", "--short", "HEAD")
        return short + "+" * bool(_git(folder, "status", "--porcelain", "--untracked-files=no", "--", "src"))
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _git(folder: Path, *words: str) -> str:
    return subprocess.run(["git", "-C", str(folder), *words], check=True, capture_output=True, text=True).stdout.strip()


def least(work: Callable[[], object], rounds: int = 5) -> float:
    """Return the fewest processor seconds of this thread: other work on the machine is not counted."""
    work()
    taken = []
    for _ in range(rounds):
        started = time.thread_time()
        work()
        taken.append(time.thread_time() - started)
    return min(taken)
