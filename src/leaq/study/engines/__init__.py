"""Engines: where the tasks of a study run. Each gives the same numbers."""

from leaq.study.engines.base import Engine, WorkerDied
from leaq.study.engines.choice import ENGINES, make_engine

__all__ = ["ENGINES", "Engine", "WorkerDied", "make_engine"]
