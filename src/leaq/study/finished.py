"""Finished cells as they are stored: one by one, all together, summed up, or as one table."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import fields, replace
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaq.decisions import evidence
from leaq.decisions.evidence import in_order
from leaq.errors import StoreError
from leaq.results import SCHEMA as CELLS
from leaq.results import CellResult, QuantizerRow, as_plain
from leaq.results.tidy import NUMERIC, as_csv, tidy
from leaq.system.checksummed import DamagedFile, checksum_of, json_with_checksum, read_checked, read_json
from leaq.system.files import read_bytes, sweep, write_atomic
from leaq.system.locks import Lock
from leaq.system.memory import without_collecting
from leaq.types import AttackResult

if TYPE_CHECKING:
    import pandas as pd


INDEX = "index.json"
"""What is summed up of every cell; written with results.csv."""
KIND = "index"
FORM = 2
"""How entries are written; those of another form are not read: their cells are."""
CHECKSUMMED = 2
"""First layout whose files are checksummed."""
_KEPT = tuple(item.name for item in fields(CellResult) if item.name not in ("timings", "private"))
_MARKS = (
    f'\n "schema": {CELLS},',
    *(f'\n "{name}": ' for name in _KEPT),
    *(f'\n   "{item.name}": ' for item in fields(QuantizerRow)),
)
"""What stands in a stored cell that holds every field of this version."""


class Index:
    """What summing up and deciding need of every finished cell, in one file: curves and indicators are left out.

    A cell of ten quantizers is close to a megabyte, nearly all of it ROC curves; reading thousands to print a table
    takes minutes. The index holds, for each cell, the checksum of the file it was made from; that of a changed cell is
    not used. `table` is the checksum of the results.csv that was written with it.
    """

    def __init__(self, entries: Mapping[str, Any] | None = None, table: str = "") -> None:
        self._entries = dict(entries or {})
        self.table = table

    @classmethod
    def read(cls, path: Path) -> "Index":
        """Return the index in a file; an absent, damaged or foreign one is empty."""
        try:
            with without_collecting():
                plain = read_json(path, kind=KIND, key="") if path.is_file() else {}
            return cls(plain["entries"], str(plain["table"])) if plain.get("form") == FORM else cls()
        except DamagedFile:
            return cls()

    def add(self, key: str, result: CellResult, path: Path) -> None:
        """Take up a cell that is stored in `path`."""
        rows, together = (tuple(map(_brief, some)) for some in (result.rows, result.together))
        kept = replace(result, rows=rows, together=together, references=(), timings={}, private={})
        self._entries[key] = [checksum_of(path), as_plain(kept)]

    def get(self, key: str, path: Path) -> CellResult | None:
        """Return a cell without curves and indicators, None if it is not the one that is stored in `path` now."""
        found = self._entries.get(key)
        return (
            CellResult.from_plain(found[1], later=True) if found is not None and found[0] == checksum_of(path) else None
        )

    def covers(self, paths: Mapping[str, Path]) -> bool:
        """Tell whether exactly these cells are here, each as it is stored now."""
        return paths.keys() == self._entries.keys() and all(
            self._entries[key][0] == checksum_of(path) for key, path in paths.items()
        )

    def content(self) -> bytes:
        """Return the index as the content of a file."""
        plain = {"form": FORM, "table": self.table, "entries": self._entries}
        text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
        return json_with_checksum(text, kind=KIND, key="")


def _brief(row: QuantizerRow) -> QuantizerRow:
    """Return a row without curves, indicators, and what an attack found beside its advantage and area."""
    attacks = {
        name: AttackResult(name, found.attacker, found.game, found.advantage, found.auc)
        if isinstance(found, AttackResult)
        else found
        for name, found in row.attacks.items()
    }
    return replace(row, measures={}, curves={}, by_task={}, attacks=attacks)


class Finished:
    """The half of a `Store` that reads what is stored; the other half writes it."""

    folder: Path
    schema: int

    @property
    def checksummed(self) -> bool:
        """Whether this layout checksums its files."""
        return self.schema >= CHECKSUMMED

    def stored(self) -> list[str]:
        """Return what the finished audits are stored under, in order."""
        found = sorted((self.folder / "cells").glob("*.json"))
        return [path.stem for path in found if not path.name.endswith(".timings.json")]

    def cell_path(self, key: str) -> Path:
        """Return the file of a finished audit."""
        return self.folder / "cells" / f"{key}.json"

    def read(self, key: str) -> CellResult:
        """Return a finished audit with its timings; raises `StoreError` if a byte of it is missing or changed."""
        path = self.cell_path(key)
        plain = None if self.checksummed else self._unchecked(path)
        plain = read_json(path, kind="cell", key=key) if plain is None else plain
        plain["timings"] = self._timings(key)
        return CellResult.from_plain(plain)

    def line(self, key: str) -> str:
        """Return a finished audit as JSON on one line; raises as `read`.

        A cell of this version is handed on as it is stored: building thousands to take them apart again takes minutes.
        """
        stored = read_checked(self.cell_path(key), kind="cell", key=key).decode() if self.checksummed else ""
        if not all(mark in stored for mark in _MARKS):
            return self.read(key).to_json().replace("\n", " ")
        timings = json.dumps(self._timings(key), sort_keys=True)
        _, _, rest = stored.rstrip("\n").partition("\n")  # the checksum has the first line
        return f'{{"timings": {timings}, ' + rest.replace("\n", " ")

    def _timings(self, key: str) -> dict[str, Any]:
        try:
            return read_json(self._timings_path(key), kind="timings", key=key)
        except StoreError:
            return {}  # seconds are a courtesy; the numbers are whole

    def _timings_path(self, key: str) -> Path:
        return self.cell_path(key).with_suffix(".timings.json")

    def _unchecked(self, path: Path) -> dict[str, Any] | None:
        """Return a cell of an earlier layout, whose checksum is that of its fields; None if it is not whole."""
        with suppress(ValueError, KeyError, TypeError, AttributeError):
            plain: dict[str, Any] = json.loads(read_bytes(path))
            stated = plain.pop("checksum")
            text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
            return plain if stated == hashlib.sha256(text.encode()).hexdigest() else None
        return None

    def finished(self) -> list[CellResult]:
        """Return every finished audit by data set, embedder, head and seed; `StoreError` if none, or one is damaged."""
        found = in_order(self.results())
        if not found:
            raise StoreError(f"{str(self.folder)!r} holds no finished audit yet. Run its command again to go on.")
        return found

    def results(self) -> Iterator[CellResult]:
        """Yield every finished audit, in the order of keys; raises `StoreError` at a damaged file."""
        yield from (found for _, found in self.keyed())

    def keyed(self) -> Iterator[tuple[str, CellResult]]:
        """Yield the key and the result of every finished audit."""
        for key in self.stored():
            yield key, self.read(key)

    def count(self) -> int:
        """Return how many audits are finished, without reading them."""
        return len(self.stored())

    def reported(self) -> list[CellResult]:
        """Return what a page about the study is made of: summaries, and whole the cells that it lists one by one."""
        if self.count() <= evidence.LISTED:
            return self.finished()
        found = self._in_order()
        shown = {id(one) for one in evidence.listed([one for _, one in found])}
        return [self.read(key) if id(one) in shown else one for key, one in found]

    def ordered(self) -> Iterator[str]:
        """Yield the key of every finished audit in the order of `finished`: thousands need not fit into memory."""
        found = self._in_order()
        if not found:
            self.finished()
        yield from (key for key, _ in found)

    def _in_order(self) -> list[tuple[str, CellResult]]:
        """Return key and summary of every finished audit, from the index, or its own file if the index lacks it."""
        index = Index.read(self.folder / INDEX)
        with without_collecting():
            brief = [(key, index.get(key, self.cell_path(key)) or self.read(key)) for key in self.stored()]
        keys = {id(found): key for key, found in brief}
        return [(keys[id(found)], found) for found in in_order(found for _, found in brief)]

    def summaries(self) -> list[CellResult]:
        """Return what `finished` does without curves and indicators, from one file where a run has written it."""
        return [found for _, found in self._in_order()] or self.finished()

    def frame(self) -> "pd.DataFrame":
        """Return every number of every finished cell, one a row: what results.csv holds."""
        import pandas as pd

        reading: dict[str, Any] = {"keep_default_na": False, "na_values": {name: [""] for name in NUMERIC}}
        path = self.folder / "results.csv"
        index = Index.read(self.folder / INDEX)
        # The checksum of the results.csv that holds exactly the cells that are stored now.
        whole = index.covers({key: self.cell_path(key) for key in self.stored()})
        if path.is_file() and whole and (stated := index.table):
            with suppress(OSError), path.open("rb") as file:  # one handle: what is hashed is what is parsed
                if hashlib.file_digest(file, "sha256").hexdigest() == stated:
                    file.seek(0)
                    return pd.read_csv(file, **reading)  # type: ignore[no-any-return]
        return pd.read_csv(StringIO(self.table()), **reading)  # type: ignore[no-any-return]

    def table(self, index: Index | None = None) -> str:
        """Return what results.csv must hold, and take each cell up in `index`; the same cells give the same bytes."""

        def read() -> Iterator[CellResult]:
            for key, found in self.keyed():
                if index is not None:
                    index.add(key, found, self.cell_path(key))
                yield found

        return as_csv(tidy(read()))

    def write_table(self) -> Path:
        """Write results.csv anew from the finished cells, and the index of what is summed up."""
        path, index = self.folder / "results.csv", Index()
        with Lock.wait(self.folder / "locks" / path.name):  # whoever comes last has seen every cell
            for name in (path.name, INDEX):
                sweep(self.folder, name, older_than=0)
            content = self.table(index).encode()
            index.table = hashlib.sha256(content).hexdigest()
            write_atomic(path, content)
            write_atomic(self.folder / INDEX, index.content())
        return path
