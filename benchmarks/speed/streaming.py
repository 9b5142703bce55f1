"""Losses streamed from Parquet: processor seconds of attacking them against reading them, and memory.

One table a process, one thread, libraries loaded before. Reading is every column of the file once, as arrays.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from leaq.attacks.blocks import BUFFER, RECORDS, parquet_blocks
from leaq.attacks.streamed import streamed

TABLES = ((10_000_000, 1), (1_000_000, 8), (2_000_000, 8), (10_000_000, 8))
"""Records and models."""
QUICK = ((1_000_000, 1), (200_000, 8))
GROUP = 500_000
"""Records of a row group."""


def write(path: Path, records: int, models: int) -> None:
    """Write losses of made-up models, each trained on a random half of the records."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    rng, writer = np.random.default_rng(0), None
    for start in range(0, records, GROUP):
        n = min(GROUP, records - start)
        first = np.arange(models)[:, None].repeat(n, 1) < models / 2
        members = rng.permuted(first, axis=0) if models > 1 else rng.random((1, n)) < 0.5
        losses = rng.exponential(np.where(members, 0.2, 1.0))
        columns = {"member": members, "loss": losses} | ({"score": -np.log(losses)} if models > 1 else {})
        table = pa.table({f"{name}_{i}": row for name, part in columns.items() for i, row in enumerate(part)})
        writer = writer or ParquetWriter(path, table.schema)
        writer.write_table(table)
    if writer is not None:
        writer.close()


def read(path: Path) -> None:
    """Read every column once."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:  # as leaq reads: less time, less memory
        for batch in file.iter_batches(batch_size=RECORDS):
            for column in batch.columns:
                column.to_numpy(zero_copy_only=False)


def timed(path: Path, *, rounds: int) -> dict[str, object]:
    """Read and attack a table in turns, in this process; the fastest of each counts."""
    import pyarrow as pa

    pa.set_cpu_count(1)
    streamed(parquet_blocks(path.with_name("few.parquet")))  # libraries
    read(path.with_name("few.parquet"))
    taken = {"reading": [], "seconds": []}
    attacks: list[str] = []
    for _ in range(rounds):
        taken["reading"].append(_seconds(lambda: read(path)))
        taken["seconds"].append(_seconds(lambda: attacks.extend(streamed(parquet_blocks(path)))))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {name: min(found) for name, found in taken.items()} | {
        "attacks": len(dict.fromkeys(attacks)), "bytes": peak,
    }  # fmt: skip


def _seconds(work: Callable[[], None]) -> float:
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(*, quick: bool) -> list[dict[str, object]]:
    rows = []
    for records, models in QUICK if quick else TABLES:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "losses.parquet"
            write(path, records, models)
            write(path.with_name("few.parquet"), 2000, models)
            line = [sys.executable, "-m", "benchmarks.speed.streaming", str(path)]
            ran = subprocess.run(
                line, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=True
            )
        rows.append({"kind": f"{records} x {models}", "records": records, "models": models, **json.loads(ran.stdout)})
        print(ran.stdout.strip(), flush=True)
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        "Losses streamed from Parquet, processor seconds with libraries loaded; threshold alone of one model, of several also "
        "difficulty calibration and LiRA:\n",
        "| records x models | attacks | reading, s | all, s | times reading | peak memory, GB |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        times = row["seconds"] / row["reading"]
        lines.append(
            f"| {row['records']:,} x {row['models']} | {row['attacks']} | {row['reading']:.2f} | {row['seconds']:.2f} | "
            f"{times:.1f} | {row['bytes'] / 1e9:.2f} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(json.dumps(timed(Path(sys.argv[1]), rounds=3)))
