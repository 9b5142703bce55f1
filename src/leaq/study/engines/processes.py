"""The engine that runs tasks in processes on this machine, each with its own memory.

One pool of one process a slot, so that when a process dies (the kernel's out-of-memory killer, a crash in native
code) it is known which task it died on: that task is tried once more, the others notice nothing.
"""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait as wait_for_end
from threading import Thread
from typing import Any

from leaq.study.engines.base import Handle, Here, Task, WorkerDied
from leaq.types import Progress

TRIES = 2
"""Times a task is started before the death of its process counts as its failure."""


@dataclass(eq=False)
class Job:
    """A task, and how far it is."""

    task: Task
    args: tuple[Any, ...]
    tries: int = 0
    slot: int | None = None
    future: "Future[Any] | None" = None
    value: Any = None
    error: BaseException | None = None
    ended: bool = False


@dataclass(frozen=True)
class Piece:
    """One of the values a job returns."""

    job: Job
    index: int | None = None

    def get(self) -> Any:
        """Return the value, or raise."""
        if self.job.error is not None:
            raise self.job.error
        return self.job.value if self.index is None else self.job.value[self.index]


@dataclass
class Processes(Here):
    """As many processes as `slots`; started afresh (spawn), so that nothing is inherited from this one."""

    slots: int
    _pools: list[ProcessPoolExecutor] = field(default_factory=list)
    _idle: list[int] = field(default_factory=list)
    _waiting: deque[Job] = field(default_factory=deque)
    _running: list[Job] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._pools = [_pool() for _ in range(self.slots)]
        self._idle = list(range(self.slots))

    def submit(
        self, task: Task, *args: Any, returns: int = 1, cuda: bool = False, progress: Progress
    ) -> tuple[Handle, ...]:
        """Queue the task; handles among `args` must have ended."""
        job = Job(task, args)
        self._waiting.append(job)
        self._pump()
        return (Piece(job),) if returns == 1 else tuple(Piece(job, i) for i in range(returns))

    def share(self, value: Any) -> Handle:
        """Wrap a value; it travels with each task that needs it."""
        return Piece(Job(task=_nothing, args=(), value=value, ended=True))

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """Return a handle that has ended."""
        while True:
            for handle in handles:
                if handle.job.ended:
                    return handle
            self._pump()
            wait([job.future for job in self._running if job.future], return_when=FIRST_COMPLETED)
            for job in [job for job in self._running if job.future and job.future.done()]:
                self._collect(job)
            self._pump()

    def result(self, handle: Handle) -> Any:
        """Return the value, or raise what the task raised."""
        return handle.get()

    def close(self) -> None:
        """Drop what waits and end the processes."""
        self._waiting.clear()
        for pool in self._pools:
            _end(pool)

    def _pump(self) -> None:
        while self._waiting and self._idle:
            job, job.slot = self._waiting.popleft(), self._idle.pop()
            job.tries += 1
            try:
                args = tuple(arg.get() if isinstance(arg, Piece) else arg for arg in job.args)
            except BaseException as err:
                self._end_job(job, error=err)
                continue
            with _safe_path():
                job.future = self._pools[job.slot].submit(job.task, *args)
            self._running.append(job)

    def _collect(self, job: Job) -> None:
        self._running.remove(job)
        error = job.future.exception() if job.future else None
        if not isinstance(error, BrokenProcessPool):
            self._end_job(job, value=None if error or not job.future else job.future.result(), error=error)
            return
        assert job.slot is not None
        _end(self._pools[job.slot])
        self._pools[job.slot] = _pool()
        if job.tries < TRIES:
            self._idle.append(job.slot)
            self._waiting.appendleft(job)
            return
        text = (
            f"The worker process died {job.tries} times on this task without a word; the system may have ended it for "
            "its memory. Run fewer workers, or give each task fewer models (training.chunk)."
        )
        self._end_job(job, error=WorkerDied(text))

    def _end_job(self, job: Job, *, value: Any = None, error: BaseException | None = None) -> None:
        job.value, job.error, job.ended = value, error, True
        job.args, job.future = (), None  # lets go of what the task was given
        if job.slot is not None:
            self._idle.append(job.slot)


def _nothing() -> None:
    """Stand for a task that was never run."""


def _pool() -> ProcessPoolExecutor:
    with _safe_path():  # the process that counts semaphores starts here
        return ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn"), initializer=_start)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Keep the current folder off the path of a process that is started meanwhile: a pickle.py in it would be run."""
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _start() -> None:
    """Let no library start threads of its own; tasks set what they need. An interrupt is the parent's to handle."""
    import signal

    Thread(target=_end_with_parent, daemon=True).start()

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _end_with_parent() -> None:
    """End this process when its parent has ended, however that came: nobody is left to take its result."""
    parent = parent_process()
    if parent is not None:
        wait_for_end([parent.sentinel])
        os._exit(1)


def _end(pool: ProcessPoolExecutor) -> None:
    for process in list((getattr(pool, "_processes", None) or {}).values()):
        process.terminate()
    pool.shutdown(wait=True, cancel_futures=True)
