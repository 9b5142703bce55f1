"""What summing up and deciding need of every finished cell, in one file: curves and indicators are left in the cells.

A cell of ten quantizers is close to a megabyte, nearly all of it ROC curves; reading thousands to print a table takes
minutes. The index holds, for each cell, the checksum of the file it was made from; that of a changed cell is not used.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaq.lazy import Lazy
from leaq.results import CellResult, Comparison, QuantizerRow, Size, as_plain
from leaq.system.checksummed import DamagedFile, checksum_of, json_with_checksum, read_json
from leaq.system.environment import without_collecting
from leaq.types import AttackResult, Estimate, Flag, NotComputed

KIND = "index"


class Index:
    """Entries by cell key; `table` is the checksum of the results.csv that was written with them."""

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
        if found is None or found[0] != checksum_of(path):
            return None
        return _cell(found[1])

    def covers(self, paths: Mapping[str, Path]) -> bool:
        """Tell whether exactly these cells are here, each as it is stored now."""
        return paths.keys() == self._entries.keys() and all(
            self._entries[key][0] == checksum_of(path) for key, path in paths.items()
        )

    def content(self) -> bytes:
        """Return the index as the content of a file."""
        plain = {"table": self.table, "entries": self._entries}
        text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
        return json_with_checksum(text, kind=KIND, key="")


def _brief(result: CellResult) -> dict[str, Any]:
    kept = ("config", "data", "primary_metric", "primary_attack", "environment", "schema")
    return {
        **{name: getattr(result, name) for name in kept},
        "flags": [[flag.code, flag.text] for flag in result.flags],
        "rows": [_brief_row(row) for row in result.rows],
        "together": [_brief_row(row) for row in result.together],
        "comparison": as_plain(result.comparison),
    }


def _brief_row(row: QuantizerRow) -> dict[str, Any]:
    return {
        "quantizer": row.quantizer,
        "label": row.label,
        "size": [row.size.bits, row.size.entropy_bits, row.size.bytes, row.size.compression],
        "flags": [[flag.code, flag.text] for flag in row.flags],
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
    return [*ends, number.n, number.level, number.unit, [[flag.code, flag.text] for flag in number.flags]]


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
    rows, together = (tuple(_row(row) for row in plain[kind]) for kind in ("rows", "together"))
    comparison = plain["comparison"] and Comparison.from_plain(plain["comparison"])
    built = {"rows": rows, "together": together, "comparison": comparison, "flags": _flags(plain["flags"])}
    return CellResult(**{**plain, **built})


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
