"""Measure what `leaq protect` is worth and write docs/protect.md's table and picture.

python -m benchmarks.protect FOLDER [--tasks freesolv,dili] [--seeds 1]   # FOLDER holds the molecular tasks
python -m benchmarks.protect                                              # write the page from what is collected
"""

import argparse
import json
from pathlib import Path

import torch

from benchmarks.protect.collect import kept
from benchmarks.protect.settings import TASKS

RESULTS = Path(__file__).parent / "results"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", type=int, default=1)
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if given.folder is not None:
        torch.set_num_threads(1)
        for seed in range(given.seeds):
            for task in given.tasks.split(","):
                kept(given.folder, task, RESULTS, seed=seed)
    from benchmarks.protect.page import write

    write([json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))])
