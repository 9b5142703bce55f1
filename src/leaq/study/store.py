"""A run folder: what was asked, what was found, and the chunks an interrupted run goes on from.

    config.json                  the resolved configuration: running it again gives the same numbers
    cells/NAME-KEY.json          one finished audit, shareable: aggregates only, checksummed
    cells/NAME-KEY.timings.json  seconds and memory, apart from the numbers because no two runs share them
    private/NAME-KEY.json        findings by row number; gives members away
    chunks/KEY/*.npz             losses of finished chunks of models; gives members away; removed when a cell is done

KEY is a digest of the configuration, the records and the code that computes numbers, so that a changed file, option
or version is never answered from an old result. Folders have mode 0700, files 0600.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from leaq.cell import AuditConfig
from leaq.errors import InvalidInput, StoreError
from leaq.files import private_folder, read_bytes, write_atomic
from leaq.results import CellResult
from leaq.study.shelf import DiskShelf
from leaq.types import Samples

__all__ = ["Store", "cell_key"]

UNCOUNTED = frozenset({"cli", "reporting", "study"})
"""Rooms whose code changes no number."""


class Store:
    """One run folder.

    Examples
    --------
    >>> import tempfile
    >>> store = Store.open(Path(tempfile.mkdtemp()) / "run", AuditConfig(source="wine"))
    >>> store.config["source"], list(store.results())
    ('wine', [])
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config: dict[str, Any] = self._read_config()

    @classmethod
    def open(cls, folder: Path, config: AuditConfig) -> "Store":
        """Create the run folder of `config`, or enter it again.

        Raises
        ------
        InvalidInput
            If the folder holds another configuration or anything else; nothing in it is changed.
        StoreError
            If it cannot be written to.
        """
        path = folder / "config.json"
        if not path.exists():
            if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
                raise InvalidInput(
                    f"The run folder {str(folder)!r} must be new, empty, or one that leaq made. It holds other things. "
                    "Name another --out folder."
                )
            private_folder(folder)
            write_atomic(path, json.dumps(config.to_dict(), indent=1, sort_keys=True) + "\n")
        store = cls(folder)
        _refuse_other(folder, store.config, config.to_dict())
        for part in ("cells", "private", "chunks"):
            private_folder(folder / part)
        return store

    def _read_config(self) -> dict[str, Any]:
        path = self.folder / "config.json"
        if not path.is_file():
            raise InvalidInput(f"{str(self.folder)!r} is no run folder: it has no config.json. Name an --out folder.")
        try:
            found: dict[str, Any] = json.loads(read_bytes(path))
        except ValueError as err:
            raise StoreError(f"{str(path)!r} is damaged ({err}). Name another --out folder.") from None
        return found

    def load(self, key: str) -> CellResult | None:
        """Return a finished audit, or None; a damaged file is set aside and counts as unfinished."""
        path = self._cell(key)
        if not path.exists():
            return None
        try:
            return self._whole(path)
        except StoreError:
            path.replace(path.with_suffix(".damaged"))
            return None

    def save(self, key: str, result: CellResult) -> None:
        """Keep a finished audit; its chunks are no longer needed and go."""
        write_atomic(self.folder / "private" / f"{key}.json", json.dumps(result.private_json()))
        write_atomic(self._cell(key).with_suffix(".timings.json"), json.dumps(dict(result.timings), sort_keys=True))
        write_atomic(self._cell(key), _sealed(result.to_json(timings=False)))
        shutil.rmtree(self.folder / "chunks" / key, ignore_errors=True)

    def shelf(self, key: str) -> DiskShelf:
        """Return where the chunks of an unfinished audit are kept."""
        return DiskShelf(private_folder(self.folder / "chunks" / key))

    def finished(self) -> list[CellResult]:
        """Return every finished audit; raises `StoreError` if there is none, or one is damaged."""
        found = list(self.results())
        if not found:
            raise StoreError(f"{str(self.folder)!r} holds no finished audit yet. Run its command again to go on.")
        return found

    def results(self) -> Iterator[CellResult]:
        """Yield every finished audit, in the order of file names; raises `StoreError` at a damaged file."""
        for path in sorted((self.folder / "cells").glob("*.json")):
            if not path.name.endswith(".timings.json"):
                yield self._whole(path)

    def _cell(self, key: str) -> Path:
        return self.folder / "cells" / f"{key}.json"

    def _whole(self, path: Path) -> CellResult:
        """Read one cell with its timings, checking that not a byte is missing or changed."""
        text = _unsealed(path)
        timings = path.with_suffix(".timings.json")
        plain = json.loads(text)
        plain["timings"] = json.loads(read_bytes(timings)) if timings.exists() else {}
        return CellResult.from_json(json.dumps(plain))


def cell_key(config: AuditConfig, samples: Samples) -> str:
    """Return the name a cell is stored under: the data's name, and a digest of all that its numbers depend on."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", samples.name).strip("_")[:40] or "data"
    text = json.dumps([config.to_dict(), data_digest(samples), code_digest()], sort_keys=True)
    return f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def data_digest(samples: Samples) -> str:
    """Return a digest of the records as they are trained on."""
    digest = hashlib.sha256(json.dumps([samples.task, samples.classes]).encode())
    for array in (samples.inputs, samples.targets, samples.groups, samples.ids):
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


@cache
def code_digest() -> str:
    """Return a digest of the installed code that computes numbers."""
    root = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        part = path.relative_to(root)
        if part.parts[0] not in UNCOUNTED:
            digest.update(part.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _sealed(text: str) -> str:
    """Put the checksum of a JSON object's other fields into it."""
    plain = json.loads(text)
    return json.dumps({"checksum": _checksum(plain), **plain}, indent=1) + "\n"


def _unsealed(path: Path) -> str:
    try:
        plain = json.loads(read_bytes(path))
        stated = plain.pop("checksum")
    except (ValueError, KeyError, AttributeError) as err:
        raise StoreError(f"{str(path)!r} is truncated or no result of leaq ({err}). Run the audit again.") from None
    if stated != _checksum(plain):
        raise StoreError(f"{str(path)!r} was changed after it was written (checksum). Run the audit again.")
    return json.dumps(plain)


def _checksum(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _refuse_other(folder: Path, found: dict[str, Any], asked: dict[str, Any]) -> None:
    differing = sorted(key for key in found.keys() | asked.keys() if found.get(key) != asked.get(key))
    if differing:
        key = differing[0]
        raise InvalidInput(
            f"The run folder {str(folder)!r} holds another configuration: {', '.join(differing)} differ "
            f"({key}: {found.get(key)!r} there, {asked.get(key)!r} asked for). Name another --out folder."
        )
