"""What leaves the house: aggregates only, and no folder names."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult

__all__ = ["shareable", "shareable_config"]


def shareable(result: CellResult) -> CellResult:
    """Return the result without the risk of single records and without the folder of its source."""
    rows = tuple(_aggregates(row) for row in result.rows)
    return replace(result, rows=rows, private={}, config=shareable_config(result.config))


def _aggregates(row: QuantizerRow) -> QuantizerRow:
    attacks = {
        key: replace(attack, risk=None) if isinstance(attack, AttackResult) else attack
        for key, attack in row.attacks.items()
    }
    return replace(row, attacks=attacks)


def shareable_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration with folders taken off file names: they may name people and projects.

    Examples
    --------
    >>> shareable_config({"source": "/home/ada/trial-7/patients.csv", "seed": 0})
    {'source': 'patients.csv', 'seed': 0}
    """
    plain = dict(config)
    if isinstance(plain.get("source"), str):
        plain["source"] = PurePosixPath(PureWindowsPath(plain["source"]).name).name
    return plain
