"""The engine that runs tasks on a Ray cluster, or on this machine through Ray.

One task is one core. Prepared records and loss tables stay where they were made until another task needs them; a
node that leaves takes its values along, and Ray makes them again from their tasks. The driver alone writes to the
run folder, so nodes need no shared disk for it.

Whoever reaches Ray's ports can run code. A cluster started here therefore listens on this machine's loopback alone,
with its sockets and logs in a folder of its own that only its owner can enter; one that is joined is used as it is.
The current folder, which Ray would put on its workers' path, stays off it: what lies beside data may be called
pydantic.py.
"""

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from leaq.errors import InvalidInput, need
from leaq.study.engines.base import Handle, Task, WorkerDied
from leaq.types import Progress

KNOCK = 5.0
"""Seconds a cluster has to accept a connection."""
TRIES = 5
"""Times Ray starts a task again whose node or process went away."""
LOOPBACK = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"
"""Ray's switch for clusters of several machines, by default on where it supports them; off, it listens on loopback."""


class RayCluster:
    """Tasks on Ray; `address` "auto" joins a running cluster, "local" starts one here.

    Raises
    ------
    MissingExtra
        If Ray is not installed.
    InvalidInput
        If no cluster answers at the address.
    """

    def __init__(self, address: str | None = None, workers: int | None = None) -> None:
        self._ray = need("ray", extra="ray", purpose="The engine 'ray'")
        self._started = not self._ray.is_initialized()
        self._folder: str | None = None
        if self._started:
            self._connect(address, workers)
        self._workers = workers

    def _connect(self, address: str | None, workers: int | None) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "job_config": self._job()}
        local = address in (None, "local")
        if local:
            self._folder = tempfile.mkdtemp(prefix="leaq-ray-")
            options |= {"address": "local", "num_cpus": workers, "include_dashboard": False, "_temp_dir": self._folder}
        else:
            options |= {"address": address}
        try:
            _knock(address)
            with self._on_loopback() if local else nullcontext():
                self._ray.init(**options)
        except Exception as err:  # Ray raises bare Exceptions when a node does not start in time
            self._remove_folder()
            raise InvalidInput(
                f"No Ray cluster answers at {address!r} ({_first_line(err)}). Start one with 'ray start --head', name "
                "its address, or use --engine processes. On a busy machine set RAY_raylet_start_wait_time_s=120."
            ) from None

    @contextmanager
    def _on_loopback(self) -> Iterator[None]:
        """Let a cluster that is started meanwhile listen on loopback; a constant for this process, LOOPBACK for its."""
        constants = self._ray._private.ray_constants
        before, named = constants.ENABLE_RAY_CLUSTER, os.environ.get(LOOPBACK)
        constants.ENABLE_RAY_CLUSTER, os.environ[LOOPBACK] = False, "0"
        try:
            yield
        finally:
            constants.ENABLE_RAY_CLUSTER = before
            os.environ.pop(LOOPBACK)
            if named is not None:
                os.environ[LOOPBACK] = named

    def _job(self) -> Any:
        job = self._ray.job_config.JobConfig()
        job._py_driver_sys_path = _Closed()
        return job

    def _remove_folder(self) -> None:
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def slots(self) -> int:
        """The cluster's cores, as it is now."""
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        return max(1, min(cores, self._workers or cores))

    @property
    def has_cuda(self) -> bool:
        """Whether any node of the cluster has a GPU."""
        return float(self._ray.cluster_resources().get("GPU", 0)) > 0

    def submit(
        self, task: Task, *args: Any, returns: int = 1, cuda: bool = False, progress: Progress
    ) -> tuple[Handle, ...]:
        """Hand the task to Ray."""
        remote = self._ray.remote(task)
        asked = {"num_cpus": 1, "num_gpus": int(cuda)}  # without asking, Ray hides the GPUs from a task
        found = remote.options(**asked, num_returns=returns, max_retries=TRIES, name=task.__name__).remote(*args)
        return (found,) if returns == 1 else tuple(found)

    def share(self, value: Any) -> Handle:
        """Put a value into the object store of the driver's node."""
        return self._ray.put(value)

    def wait(self, handles: Sequence[Handle]) -> Handle:
        """Return a handle whose task has ended; its value is not moved here."""
        done, _ = self._ray.wait(list(handles), num_returns=1, fetch_local=False)
        return done[0]

    def result(self, handle: Handle) -> Any:
        """Bring the value here, or raise what the task raised."""
        errors = self._ray.exceptions
        try:
            return self._ray.get(handle)
        except errors.RayTaskError as err:
            raise _as_raised(err) from err
        except (errors.WorkerCrashedError, errors.OutOfMemoryError, errors.ObjectLostError) as err:
            raise WorkerDied(
                f"The task was started {TRIES + 1} times and its worker or node was lost each time "
                f"({_first_line(err)}). Run fewer workers a node, or give each task fewer models (training.chunk)."
            ) from err

    def close(self) -> None:
        """Leave the cluster, if this engine joined it."""
        if self._started:
            self._ray.shutdown()
        self._remove_folder()


class _Closed(list[str]):
    """Folders that Ray's workers import from beside their own: none, whatever Ray wants to add."""

    def extend(self, _more: Any) -> None:
        """Add nothing."""


def _knock(address: str | None) -> None:
    """Raise if nobody listens at host:port; Ray itself would go on asking for minutes, and say so in its own log."""
    host, colon, port = (address or "").rpartition("://")[2].rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=KNOCK).close()


def _as_raised(err: Any) -> BaseException:
    cause = getattr(err, "cause", None)
    return cause if isinstance(cause, BaseException) else err


def _first_line(err: BaseException) -> str:
    return (str(err).strip() or type(err).__name__).splitlines()[0].rstrip(".")
