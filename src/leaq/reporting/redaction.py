"""What leaves the house: aggregates only, and no folder names."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult

__all__ = ["shareable", "shareable_config"]


def shareable(result: CellResult) -> CellResult:
    """Return the result without the risk of single records and without the folder of its source."""
    rows, together = (tuple(_aggregates(row) for row in kind) for kind in (result.rows, result.together))
    return replace(result, rows=rows, together=together, private={}, config=shareable_config(result.config))


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
    >>> shareable_config({"source": "/home/ada/trial-7/patients.csv", "embedder": "saved(path='~/nets/v2')", "seed": 0})
    {'source': 'patients.csv', 'embedder': "saved(path='v2')", 'seed': 0}
    """
    plain = {key: _bare(value) for key, value in config.items()}
    if isinstance(plain.get("source"), str):
        plain["source"] = PurePosixPath(PureWindowsPath(plain["source"]).name).name
    return plain


_FOLDERS = re.compile(r"(?<![\w.~/\\])(?:[A-Za-z]:|~|\.{1,2})?[/\\]+(?:[^'\"(),=/\\]+[/\\]+)*")
"""The folders of a path that starts at a root, a home, a drive or here; names such as ``owner/model`` stay whole."""


def _bare(value: Any) -> Any:
    """Take folders off every string in a configuration."""
    if isinstance(value, str):
        return _FOLDERS.sub("", value)
    if isinstance(value, Mapping):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_bare(item) for item in value]
    return value
