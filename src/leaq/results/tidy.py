"""Results as one tidy table: one number a row, with its interval, its n and where it comes from.

The same columns wherever results become a table: ``CellResult.frame()``, ``Store.frame()``, results.csv of a run
folder, and the exports of a report.

pandas.read_csv("runs/x/results.csv")   polars.read_csv(...)   duckdb.sql("from 'runs/x/results.csv'")
"""

import csv
from collections.abc import Iterable, Iterator
from io import StringIO
from typing import TYPE_CHECKING, Any

from leaq.errors import visible
from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult, Estimate, NotComputed

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = (
    "data", "task", "embedder", "head", "seed", "n_records", "n_train", "quantizer", "label", "bits", "kind",
    "name", "value", "low", "high", "level", "n", "unit", "method", "primary", "flags", "not_computed",
)  # fmt: skip
"""`kind` is size, metric, drop, measure or attack; `primary` marks the metric and the attack the cell is judged by;
of one of several targets `name` begins with the target's name and a colon; `flags` are codes; `not_computed` says why a
number is missing."""
NUMERIC = ("seed", "n_records", "n_train", "bits", "value", "low", "high", "level", "n")
"""Columns in which nothing means that there is no number."""


def tidy(results: Iterable[CellResult]) -> Iterator[dict[str, Any]]:
    """Yield one row a number of every cell and quantizer."""
    for result in results:
        where = _where(result)
        for row in (*result.rows, *result.unranked):
            here = {**where, "quantizer": row.quantizer, "label": row.label, "bits": row.size.bits}
            for name in ("bits", "entropy_bits", "bytes", "compression"):
                yield {**here, "kind": "size", "name": name, "value": float(getattr(row.size, name)), "primary": False}
            for kind, name, number in _numbers(row):
                primary = name in (result.primary_metric, f"{result.primary_attack}.advantage")
                yield {**here, "kind": kind, "name": name, **_columns(number), "primary": primary}
            for task, one in row.by_task.items():
                for kind, name, number in _numbers(one):
                    yield {**here, "kind": kind, "name": f"{task}: {name}", **_columns(number), "primary": False}


def _where(result: CellResult) -> dict[str, Any]:
    config, data = result.config, result.data
    training = config.get("training")
    head = ""  # a finished model's is its own
    if training:
        widths = "x".join(str(width) for width in training.get("hidden", ())) or "linear"
        head = f"{widths}, {training.get('epochs', '?')} epochs"
    return {
        "data": data.get("name", ""),
        "task": data.get("task", config.get("task", "")),
        "embedder": config.get("embedder", ""),
        "head": head,
        "seed": config.get("seed", ""),
        "n_records": data.get("n", ""),
        "n_train": data.get("n_train", ""),
    }


def _numbers(row: QuantizerRow) -> Iterator[tuple[str, str, Estimate | NotComputed]]:
    for kind, numbers in (("metric", row.metrics), ("drop", row.drops), ("measure", row.measures)):
        for name in sorted(numbers):
            yield kind, name, numbers[name]
    for name in sorted(row.attacks):
        attack = row.attacks[name]
        if not isinstance(attack, AttackResult):
            yield "attack", f"{name}.advantage", attack
            continue
        yield "attack", f"{name}.advantage", attack.advantage
        yield "attack", f"{name}.auc", attack.auc
        for fpr, number in sorted(attack.tpr.items()):
            yield "attack", f"{name}.tpr@{fpr:g}", number


def _columns(number: Estimate | NotComputed) -> dict[str, Any]:
    if isinstance(number, NotComputed):
        return {"not_computed": number.reason}
    return {
        "value": number.value,
        "low": number.low,
        "high": number.high,
        "level": number.level,
        "n": number.n,
        "unit": number.unit,
        "method": number.method,
        "flags": " ".join(sorted({flag.code for flag in number.flags})),
    }


def frame(results: CellResult | Iterable[CellResult]) -> "pd.DataFrame":
    """Return the rows of one or several results as a pandas table."""
    import pandas as pd

    return pd.DataFrame(list(tidy([results] if isinstance(results, CellResult) else results)), columns=COLUMNS)


def harmless(value: Any) -> Any:
    """Return a table's value so that a spreadsheet shows it, and any program reads it.

    Text that would be a formula gets an apostrophe; control characters, and bytes that are no text, are spelled out.

    Examples
    --------
    >>> harmless("=1+1.csv"), harmless(-0.5), harmless("wine")
    ("'=1+1.csv", -0.5, 'wine')
    """
    if not isinstance(value, str):
        return value
    return visible(f"'{value}" if value.startswith(_FORMULA) else value)


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(rows: Iterable[dict[str, Any]]) -> str:
    """Return rows as CSV; floats to the last bit, infinities as inf, what is missing as nothing."""
    text = StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({key: harmless(value) for key, value in row.items()} for row in rows)
    return text.getvalue()
