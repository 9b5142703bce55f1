"""Encoding in several processes, chunk by chunk, with progress.

The workers are fresh interpreters that read SMILES from their standard input and write arrays to their output. So a
script needs no ``if __name__ == "__main__"``, a process with threads is never forked, and nothing is pickled. The
result does not depend on the number of workers.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import IO

import numpy as np

from leaq.embedders.base import Encoded, MoleculeEmbedder
from leaq.errors import LeaqError
from leaq.types import Progress, silent

WORTHWHILE = 4.0
"""Seconds of work below which starting other processes does not pay."""
CHUNK = 1000
"""Molecules a worker gets at a time."""


def available_cores() -> int:
    """Return the cores this process may use: LEAQ_JOBS, or those the system grants."""
    named = os.environ.get("LEAQ_JOBS", "")
    if named.isdigit() and int(named) > 0:
        return int(named)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def encode(
    embedder: MoleculeEmbedder, smiles: Sequence[str], *, jobs: int | None = None, progress: Progress = silent
) -> Encoded:
    """Encode molecules in as many processes as pay; the same numbers as ``embedder.encode(smiles)``.

    Parameters
    ----------
    jobs : number of processes; by default the cores there are, and one where the work is short.
    """
    seconds = embedder.cost * len(smiles) / 1000
    own = type(embedder).__module__.startswith("leaq.embedders.")
    if jobs is None:
        jobs = available_cores() if seconds > WORTHWHILE else 1
    if jobs < 2 or not embedder.separable or not own:
        return embedder.encode(smiles, progress=progress)
    starts = range(0, len(smiles), CHUNK)
    with WorkerPool(embedder, min(jobs, len(starts))) as workers, ThreadPoolExecutor(workers.size) as pool:
        futures = {pool.submit(workers.work, smiles[start : start + CHUNK]): start for start in starts}
        parts: dict[int, Encoded] = {}
        for done, future in enumerate(as_completed(futures), start=1):
            parts[futures[future]] = future.result()
            progress("embedding", min(done * CHUNK, len(smiles)), len(smiles))
    failed = {start + row: reason for start in starts for row, reason in parts[start].failed.items()}
    return Encoded(np.concatenate([parts[start].features for start in starts]), failed)


class WorkerPool:
    """Worker processes of one embedder, each used by one thread at a time."""

    def __init__(self, embedder: MoleculeEmbedder, size: int) -> None:
        self.size = size
        self._order = json.dumps([type(embedder).__module__, type(embedder).__name__, embedder.to_dict()])
        self._idle: list[subprocess.Popen[bytes]] = []
        self._all: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> "WorkerPool":
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._all:
            if worker.stdin is not None:
                with contextlib.suppress(OSError):  # a worker that died left something unread
                    worker.stdin.close()  # the others end when nothing more can come
        for worker in self._all:
            worker.wait()
            if worker.stdout is not None:
                worker.stdout.close()

    def work(self, smiles: Sequence[str]) -> Encoded:
        """Encode one chunk in an idle worker."""
        worker = self._take()
        try:
            assert worker.stdin is not None  # our own invariant: opened with PIPE
            assert worker.stdout is not None
            worker.stdin.write(json.dumps(list(smiles)).encode() + b"\n")
            worker.stdin.flush()
            told = json.loads(worker.stdout.readline())
            content = worker.stdout.read(told["bytes"])
            features = np.frombuffer(content, dtype=told["dtype"]).reshape(told["shape"])
        except (ValueError, OSError) as err:
            worker.kill()
            raise LeaqError(
                f"A process that embeds molecules ended early (exit {worker.wait()}; {err}): it may have run out of "
                "memory. Set LEAQ_JOBS=1 to embed in this process."
            ) from None
        with self._lock:
            self._idle.append(worker)
        return Encoded(features, {int(row): reason for row, reason in told["failed"].items()})

    def _take(self) -> "subprocess.Popen[bytes]":
        with self._lock:
            if self._idle:
                return self._idle.pop()
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(os.path.isabs, sys.path))}
            # -P: without it, -m puts the current folder first on the path, and a pydantic.py in it would be run
            command = [sys.executable, "-P", "-m", "leaq.embedders.worker", self._order]
            worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
            self._all.append(worker)
            return worker


def answer_requests(embedder: MoleculeEmbedder, source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer chunks of SMILES, a JSON list a line, with a line about an array and its bytes, until none come."""
    for line in source:
        found = embedder.encode(json.loads(line))
        content = np.ascontiguousarray(found.features).tobytes()
        told = {
            "failed": {str(row): reason for row, reason in found.failed.items()},
            "bytes": len(content),
            "dtype": found.features.dtype.str,
            "shape": found.features.shape,
        }
        sink.write(json.dumps(told).encode() + b"\n" + content)
        sink.flush()
