"""Finished chunks of models on disk: plain arrays and JSON, no pickle."""

import json
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from leaq.files import write_atomic
from leaq.results import Size
from leaq.types import Flag, LossTable

__all__ = ["DiskShelf"]

_ARRAYS = ("losses", "members", "scores", "outputs", "targets", "ids", "groups", "whitebox")
_WORDS = ("task", "game", "n_train", "quantizer", "strategy", "score_kind")

Found = dict[str, tuple[LossTable, Size]]


class DiskShelf:
    """Keeps what evaluation found for a chunk of models, one file a chunk.

    A file that is truncated or damaged counts as absent: its chunk is computed again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, key: str) -> Found | None:
        """Return what was put under `key`."""
        path = self._folder / f"{key}.npz"
        if not path.exists():
            return None
        try:
            with np.load(path, allow_pickle=False) as arrays:
                heads = json.loads(str(arrays["heads"]))
                return {
                    head["spec"]: (_table(head, {name: arrays[f"{i}.{name}"] for name in head["arrays"]}), _size(head))
                    for i, head in enumerate(heads)
                }
        except (OSError, ValueError, KeyError, zipfile.BadZipFile):
            return None

    def put(self, key: str, found: Mapping[str, tuple[LossTable, Size]]) -> None:
        """Keep a finished chunk."""
        arrays: dict[str, Any] = {}
        heads = []
        for i, (spec, (table, size)) in enumerate(found.items()):
            held = {name: getattr(table, name) for name in _ARRAYS if getattr(table, name) is not None}
            held |= {f"numbers.{kind}": values for kind, values in (table.numbers or {}).items()}
            present = list(held)
            arrays |= {f"{i}.{name}": values for name, values in held.items()}
            heads.append(
                {
                    "spec": spec,
                    "arrays": present,
                    "words": {name: getattr(table, name) for name in _WORDS},
                    "flags": [asdict(flag) for flag in table.flags],
                    "size": asdict(size),
                }
            )
        buffer = BytesIO()
        np.savez(buffer, heads=np.array(json.dumps(heads)), **arrays)
        write_atomic(self._folder / f"{key}.npz", buffer.getvalue())


def _table(head: dict[str, Any], arrays: dict[str, Any]) -> LossTable:
    numbers = {name.partition(".")[2]: arrays.pop(name) for name in list(arrays) if name.startswith("numbers.")}
    flags = tuple(Flag(**flag) for flag in head["flags"])
    return LossTable(**arrays, **head["words"], flags=flags, numbers=numbers or None)


def _size(head: dict[str, Any]) -> Size:
    return Size(**head["size"])
