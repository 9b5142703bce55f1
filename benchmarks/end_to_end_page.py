"""The tables of docs/molecules.md from what `benchmarks.end_to_end` measured so far."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.pages import DOCS, put

__all__ = ["write"]

PAGE = DOCS / "molecules.md"
MODELS = {
    "perceptron": "ECFP4, perceptron",
    "frozen": "frozen GCN, perceptron",
    "dmpnn": "D-MPNN, end to end",
    "tuned": "GCN, fine-tuned",
    "references": "ECFP4, forest and neighbours",
}
MODELS_EACH = 16
NAMES = {"roc_auc": "ROC AUC", "r2": "R²", "skill": "skill"}
Cells = Mapping[tuple[str, str], Mapping[str, Any]]


def write(results: Path) -> None:
    """Write both tables, tasks in the order of their size."""
    cells: dict[tuple[str, str], Any] = {}
    for path in sorted(results.glob("*.json")):
        task, _, kind = path.stem.removesuffix("-protect").rpartition("-")
        kind += "-protect" * path.stem.endswith("-protect")
        cells[task, kind] = json.loads(path.read_text(encoding="utf-8"))
    tasks = sorted(
        {task for task, _ in cells}, key=lambda task: max(c["n"] for (t, _), c in cells.items() if t == task)
    )
    put(PAGE, "end-to-end-models", "\n".join(_models(cells, tasks)))
    put(PAGE, "end-to-end-weights", "\n".join(_weights(cells, tasks)))
    put(PAGE, "end-to-end-rows", "\n".join(_rows(cells, tasks)))


def _models(cells: Cells, tasks: list[str]) -> list[str]:
    """Return one line a task: what each model gives away in full precision, and what it predicts."""
    kinds = [kind for kind in MODELS if kind != "references"]
    heads = [*(MODELS[kind] for kind in kinds), "ECFP4, forest"]
    lines = [f"| task, n, metric | {' | '.join(heads)} |", "|---|" + "---|" * len(heads)]
    for task in tasks:
        known = max((cell for (name, _), cell in cells.items() if name == task), key=lambda cell: cell["n"])
        found = [_first(cells.get((task, kind))) for kind in (*kinds, "references")]
        lines.append(f"| {task}, {known['n']}, {NAMES[known['metric']]} | {' | '.join(found)} |")
    return lines


def _first(cell: Mapping[str, Any] | None) -> str:
    if cell is None:
        return "not measured"
    row = cell["rows"][0]
    return f"{_number(row['advantage'])} at {row['metric'][0]:.2f}"


def _weights(cells: Cells, tasks: list[str]) -> list[str]:
    """Return one line a model and its weights: means over tasks, with the lowest and the highest."""
    lines = [
        "| model | weights | tasks | advantage | TPR at 1 % FPR | ROC AUC | R² | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for kind, name in MODELS.items():
        rows: dict[str, list[tuple[Mapping[str, Any], Mapping[str, Any]]]] = {}
        for key in (kind, f"{kind}-protect"):
            for task in (task for task in tasks if (task, key) in cells):
                cell = cells[task, key]
                for weights, row in _named(key, cell["rows"]):
                    rows.setdefault(weights, []).append((cell, row))
        for weights, found in rows.items():
            metrics = [
                [row["metric"][0] for cell, row in found if cell["metric"] == wanted] for wanted in ("roc_auc", "r2")
            ]
            leaks = [[row[key][0] for _, row in found if row[key] is not None] for key in ("advantage", "tpr")]
            numbers = [_mean(values) for values in (*leaks, *metrics)]
            seconds = sum(cell["seconds"] for cell, _ in found) / len(found)
            lines.append(f"| {' | '.join([name, weights, str(len(found)), *numbers, f'{seconds:.0f}'])} |")
    return lines


def _named(key: str, rows: list[Mapping[str, Any]]) -> list[tuple[str, Mapping[str, Any]]]:
    """Name rows by their quantizers; what `protect` released by one name, full precision where it found nothing."""
    if not key.endswith("-protect"):
        return [(row["label"], row) for row in rows]
    return [("protect: its full precision", rows[0]), ("protect: its release", rows[-1])]


def _mean(values: list[float]) -> str:
    return "-" if not values else f"{sum(values) / len(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _rows(cells: Cells, tasks: list[str]) -> list[str]:
    lines = [
        "| task | model | weights | n | metric | advantage | TPR at 1 % FPR | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for task in tasks:
        for kind, name in MODELS.items():
            for key, more in ((kind, ""), (f"{kind}-protect", "protect: ")):
                if (cell := cells.get((task, key))) is not None:
                    fewer = f"{cell['models']} models, " if cell.get("models", MODELS_EACH) != MODELS_EACH else ""
                    lines += [_line((task, name, f"{fewer}{more}{row['label']}"), cell, row) for row in cell["rows"]]
    return lines


def _line(names: tuple[str, str, str], cell: Mapping[str, Any], row: Mapping[str, Any]) -> str:
    numbers = [_number(row[key]) for key in ("metric", "advantage", "tpr")]
    return f"| {' | '.join([*names, str(cell['n']), *numbers, str(round(cell['seconds']))])} |"


def _number(found: list[float] | None) -> str:
    return "not computed" if found is None else "{:.2f} [{:.2f}, {:.2f}]".format(*found)
