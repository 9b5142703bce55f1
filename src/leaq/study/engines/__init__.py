"""Engines: where the tasks of a study run. Each gives the same numbers."""

import os

from leaq.errors import InvalidInput, unknown_name
from leaq.study.engines.base import Engine, Local, WorkerDied
from leaq.study.engines.processes import Processes

__all__ = ["ENGINES", "Engine", "WorkerDied", "make_engine"]

ENGINES = ("local", "processes", "ray")


def make_engine(name: str = "local", *, workers: int | None = None, address: str | None = None) -> Engine:
    """Build an engine.

    Parameters
    ----------
    name : "local" (this process), "processes" (this machine) or "ray".
    workers : tasks at a time; by default all cores. The local engine runs one.
    address : of a Ray cluster; "auto" finds the one that runs here, None or "local" starts one.
    """
    if workers is not None and workers < 1:
        raise InvalidInput(f"workers must be at least 1. Found {workers}.")
    if name == "local":
        return Local()
    if name == "processes":
        return Processes(workers or os.cpu_count() or 1)
    if name == "ray":
        from leaq.study.engines.cluster import RayCluster

        return RayCluster(address, workers)
    raise unknown_name("engine", name, ENGINES)
