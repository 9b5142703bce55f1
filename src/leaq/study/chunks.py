"""Finished chunks of models on disk: plain arrays and JSON, no pickle."""

import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaq.results import Size
from leaq.system.checksummed import DamagedFile, read_arrays, read_checked, write_arrays
from leaq.types import Flag, LossTable

if TYPE_CHECKING:
    from leaq.pipeline.planning import ReleaseTables

KIND = "chunk"


class ChunkStore:
    """Keeps what evaluation found for a chunk of models, one file a chunk.

    A file that is truncated, damaged or another chunk's counts as absent, and is named in `damaged`: its chunk is
    computed again.
    """

    def __init__(self, folder: Path, damaged: "list[Path] | None" = None) -> None:
        self._folder = folder
        self.damaged = [] if damaged is None else damaged

    def get(self, key: str) -> "ReleaseTables | None":
        """Return what was put under `key`."""
        path = self._folder / f"{key}.npz"
        if not path.exists():
            return None
        try:
            arrays = read_arrays(path, kind=KIND, key=self._identity(key))
            heads = json.loads(str(arrays["heads"]))
            return {
                head["spec"]: (_table(head, {n: arrays[f"{i}.{n}"] for n in head["arrays"]}), Size(**head["size"]))
                for i, head in enumerate(heads)
            }
        except (DamagedFile, ValueError, KeyError, TypeError):  # the latter: another version's, whole
            self.damaged.append(path)
            return None

    def check(self, key: str) -> None:
        """Raise `DamagedFile` unless what was put under `key` is there to the byte."""
        read_checked(self._folder / f"{key}.npz", kind=KIND, key=self._identity(key))

    def _identity(self, key: str) -> str:
        return f"{self._folder.name}/{key}"

    def put(self, key: str, found: Mapping[str, tuple[LossTable, Size]]) -> None:
        """Keep a finished chunk."""
        arrays: dict[str, Any] = {}
        heads = []
        for i, (spec, (table, size)) in enumerate(found.items()):
            arrays |= {f"{i}.{name}": values for name, values in _held(table).items()}
            heads.append({"spec": spec, "size": asdict(size), **_head(table)})
        content = {"heads": np.array(json.dumps(heads)), **arrays}
        write_arrays(self._folder / f"{key}.npz", content, kind=KIND, key=self._identity(key))


def _fields(table: LossTable) -> dict[str, Any]:
    return {item.name: getattr(table, item.name) for item in fields(table)}


def _held(table: LossTable) -> dict[str, Any]:
    """Return the arrays of a table and of its tasks' tables, by name."""
    held: dict[str, Any] = {}
    for name, value in _fields(table).items():
        if isinstance(value, np.ndarray):
            held[name] = value
        elif isinstance(value, Mapping) and name != "by_task":
            held |= {f"{name}.{kind}": values for kind, values in value.items()}
    for at, part in enumerate(table.by_task.values()):
        held |= {f"task{at}.{name}": values for name, values in _held(part).items()}
    return held


def _head(table: LossTable) -> dict[str, Any]:
    """Return everything of a table that is no array."""
    return {
        "arrays": list(_held(table)),
        "words": {name: value for name, value in _fields(table).items() if isinstance(value, str | int)},
        "flags": [asdict(flag) for flag in table.flags],
        "by_task": {name: _head(part) for name, part in table.by_task.items()},
    }


def _table(head: dict[str, Any], arrays: dict[str, Any]) -> LossTable:
    by_task = {}
    for at, (name, inner) in enumerate(head.get("by_task", {}).items()):
        by_task[name] = _table(inner, {key: arrays.pop(f"task{at}.{key}") for key in inner["arrays"]})
    held: dict[str, Any] = {}
    for key, values in arrays.items():
        name, _, kind = key.partition(".")
        if kind:
            held.setdefault(name, {})[kind] = values
        else:
            held[name] = values
    flags = tuple(Flag(**flag) for flag in head["flags"])
    return LossTable(**held, **head["words"], flags=flags, by_task=by_task)
