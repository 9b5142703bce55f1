"""The engine that runs tasks on a Ray cluster, or on this machine through Ray.

One task is one core. Prepared records and loss tables stay where they were made until another task needs them; a
node that leaves takes its values along, and Ray makes them again from their tasks. The driver alone writes to the
run folder, so nodes need no shared disk for it.
"""

import socket
from collections.abc import Sequence
from typing import Any

from leaq.errors import InvalidInput, need
from leaq.study.engines.base import Handle, Task, WorkerDied
from leaq.types import Progress

__all__ = ["RayCluster"]

KNOCK = 5.0
"""Seconds a cluster has to accept a connection."""
TRIES = 5
"""Times Ray starts a task again whose node or process went away."""


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
        if self._started:
            self._connect(address, workers)
        self._workers = workers

    def _connect(self, address: str | None, workers: int | None) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if address in (None, "local"):
            options |= {"address": "local", "num_cpus": workers, "include_dashboard": False}
        else:
            options |= {"address": address}
        try:
            _knock(address)
            self._ray.init(**options)
        except Exception as err:  # Ray raises bare Exceptions when a node does not start in time
            raise InvalidInput(
                f"No Ray cluster answers at {address!r} ({_first_line(err)}). Start one with 'ray start --head', name "
                "its address, or use --engine processes. On a busy machine set RAY_raylet_start_wait_time_s=120."
            ) from None

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
