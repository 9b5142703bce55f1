"""Finished cells read together: whole, summed up, or as one table."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaq.decisions import evidence
from leaq.decisions.evidence import in_order
from leaq.errors import StoreError
from leaq.lazy import Lazy
from leaq.results import CellResult, Comparison, QuantizerRow, Size, as_plain
from leaq.results.tidy import NUMERIC, as_csv, tidy
from leaq.system.checksummed import DamagedFile, checksum_of, json_with_checksum, read_json
from leaq.system.files import sweep, write_atomic
from leaq.system.locks import Lock
from leaq.system.memory import without_collecting
from leaq.types import AttackResult, Estimate, Flag, NotComputed

if TYPE_CHECKING:
    import pandas as pd


INDEX = "index.json"
"""What is summed up of every cell; written with results.csv."""
KIND = "index"


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
            whole = {key: one for key, one in plain.get("entries", {}).items() if "comparison" in one[1]}
            return cls(whole, str(plain.get("table", "")))  # entries of older versions lack what choices go by
        except DamagedFile:
            return cls()

    def add(self, key: str, result: CellResult, path: Path) -> None:
        """Take up a cell that is stored in `path`."""
        self._entries[key] = [checksum_of(path), _brief(result)]

    def get(self, key: str, path: Path) -> CellResult | None:
        """Return a cell without curves and indicators, None if it is not the one that is stored in `path` now."""
        found = self._entries.get(key)
        return _cell(found[1]) if found is not None and found[0] == checksum_of(path) else None

    def covers(self, paths: Mapping[str, Path]) -> bool:
        """Tell whether exactly these cells are here, each as it is stored now."""
        return paths.keys() == self._entries.keys() and all(
            self._entries[key][0] == checksum_of(path) for key, path in paths.items()
        )

    def content(self) -> bytes:
        """Return the index as the content of a file."""
        text = json.dumps({"table": self.table, "entries": self._entries}, separators=(",", ":"), allow_nan=False)
        return json_with_checksum(text, kind=KIND, key="")


def _brief(result: CellResult) -> dict[str, Any]:
    kept = ("config", "data", "primary_metric", "primary_attack", "environment", "schema")
    return {
        **{name: getattr(result, name) for name in kept},
        "flags": _pairs(result.flags),
        "rows": [_brief_row(row) for row in result.rows],
        "together": [_brief_row(row) for row in result.together],
        "comparison": as_plain(result.comparison),
    }


def _brief_row(row: QuantizerRow) -> dict[str, Any]:
    return {
        "quantizer": row.quantizer,
        "label": row.label,
        "size": [row.size.bits, row.size.entropy_bits, row.size.bytes, row.size.compression],
        "flags": _pairs(row.flags),
        "metrics": {name: _pack(number) for name, number in row.metrics.items()},
        "drops": {name: _pack(number) for name, number in row.drops.items()},
        "attacks": {
            name: [found.attacker, found.game, _pack(found.advantage), _pack(found.auc)]
            if isinstance(found, AttackResult)
            else found.reason
            for name, found in row.attacks.items()
        },
    }


def _pack(number: Estimate | NotComputed) -> Any:
    if isinstance(number, NotComputed):
        return number.reason
    ends = [repr(float(x)) if abs(x) == float("inf") else float(x) for x in (number.value, number.low, number.high)]
    return [*ends, number.n, number.level, number.unit, _pairs(number.flags)]


def _pairs(flags: Sequence[Flag]) -> list[list[str]]:
    return [[flag.code, flag.text] for flag in flags]


def _number(_name: str, packed: Any) -> Estimate | NotComputed:
    if isinstance(packed, str):
        return NotComputed(packed)
    value, low, high, n, level, unit, flags = packed
    return Estimate(float(value), float(low), float(high), n, level, unit, flags=_flags(flags))


def _attack(name: str, packed: Any) -> AttackResult | NotComputed:
    if isinstance(packed, str):
        return NotComputed(packed)
    attacker, game, advantage, auc = packed
    return AttackResult(name, attacker, game, _number("", advantage), _number("", auc))  # type: ignore[arg-type]


def _flags(packed: list[list[str]]) -> tuple[Flag, ...]:
    return tuple(Flag(code, text) for code, text in packed)


def _cell(plain: Mapping[str, Any]) -> CellResult:
    rows = {kind: tuple(map(_row, plain[kind])) for kind in ("rows", "together")}
    comparison = plain["comparison"] and Comparison.from_plain(plain["comparison"])
    return CellResult(**{**plain, **rows, "comparison": comparison, "flags": _flags(plain["flags"])})


def _row(row: Mapping[str, Any]) -> QuantizerRow:
    return QuantizerRow(
        row["quantizer"],
        row["label"],
        Size(*row["size"]),
        metrics=Lazy(row["metrics"], _number),
        drops=Lazy(row["drops"], _number),
        attacks=Lazy(row["attacks"], _attack),
        flags=_flags(row["flags"]),
    )


class Finished:
    """The half of a `Store` that reads finished cells together; the other half says where each one is."""

    folder: Path

    def stored(self) -> list[str]:
        """Return what the finished audits are stored under, in order."""
        raise NotImplementedError

    def read(self, key: str) -> CellResult:
        """Return a finished audit."""
        raise NotImplementedError

    def cell_path(self, key: str) -> Path:
        """Return the file of a finished audit."""
        raise NotImplementedError

    def finished(self) -> list[CellResult]:
        """Return every finished audit by data set, embedder, head and seed; `StoreError` if none, or one is damaged."""
        found = in_order(self.results())
        if not found:
            raise StoreError(f"{str(self.folder)!r} holds no finished audit yet. Run its command again to go on.")
        return found

    def results(self) -> Iterator[CellResult]:
        """Yield every finished audit, in the order of keys; raises `StoreError` at a damaged file."""
        for key in self.stored():
            yield self.read(key)

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
