"""Measure what `leaq protect` is worth and write docs/protect.md's tables and pictures.

python -m benchmarks.protect FOLDER [--stage seeds] [--tasks freesolv,dili] [--seeds 0,1]
python -m benchmarks.protect                                        # write the page from what is collected

FOLDER holds the molecular tasks, ``<task>.csv`` with the columns smiles and target. Each row of each cell is kept as
soon as it is measured: the same command again goes on, and measures what a cell lacks.
"""

import argparse
import json
from pathlib import Path

import torch

from benchmarks.protect.collect import keep
from benchmarks.protect.guarantees import keep_certified
from benchmarks.protect.searched import keep_searched
from benchmarks.protect.settings import STAGES, TASKS, stage

RESULTS, CERTIFIED, SEARCHED = (Path(__file__).parent / name for name in ("results", "certified", "searched"))
BY_TASK = {"certified": (keep_certified, CERTIFIED), "searched": (keep_searched, SEARCHED)}
"""What measures one task a file, all seeds aside."""

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--stage", default="seeds", choices=(*STAGES, *BY_TASK))
    parser.add_argument("--tasks", default=",".join(TASKS))
    parser.add_argument("--seeds", default="0,1,2")
    given = parser.parse_args()
    RESULTS.mkdir(exist_ok=True)
    if given.folder is not None:
        torch.set_num_threads(1)
        seeds = tuple(int(seed) for seed in given.seeds.split(","))
        if given.stage in BY_TASK:
            keep_task, results = BY_TASK[given.stage]
            results.mkdir(exist_ok=True)
            for task in given.tasks.split(","):
                keep_task(task, given.folder, results)
            raise SystemExit
        for cell in stage(given.stage, tasks=tuple(given.tasks.split(",")), seeds=seeds):
            keep(cell, given.folder, RESULTS)
    else:
        from benchmarks.protect.page import write

        kept = [
            [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
            for folder in (RESULTS, CERTIFIED, SEARCHED)
        ]
        write(*kept)
