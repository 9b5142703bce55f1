"""What was tried to better the forecast, the attack on few models and the risk from one run: python -m benchmarks.fidelity.tried CACHE.

Development settings only, from what Level B keeps of them in its cache. The command resumes where it stopped, then writes
the block of docs/fidelity.md that tells what helped and what did not.
"""

import json
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fidelity import ingredients, one_model, orders, page, scores
from benchmarks.fidelity.collect import REPLICATES, TRACED, Arrays, part_of
from benchmarks.fidelity.level_b import GROUPS, RECORDED
from benchmarks.fidelity.settings import SETTINGS, Setting, quantizers_of
from leaq.types import Floats

HERE = Path(__file__).parent
STORED = "tried.json"
NOW = "as it is"
FORECASTS: Mapping[str, str] = {
    NOW: "the forecast",
    "own": "no shrinkage over quantizers: each quantizer's own attack",
    "curve": "full shrinkage: the curve through all quantizers alone",
    "correlation": "the curve over the correlation of outputs, in place of what quantization keeps of deviations",
    "distortion": "the curve over distortion",
    "each noise": "shrinkage by the noise of each quantizer, not of all",
    "paired": "shrinkage by the noise of paired differences to full precision",
    "tv": "mean total variation of each record's two laws, with quantization noise a record; no attack",
    "tv curve": "the curve over that",
}
BORROWED = ("uniform(bits=3)", "uniform(bits=2)", "sign", "ternary(sparsity=0.5)", "ternary(sparsity=0.9)")
"""Quantizers under which attacks borrow from the same shadow models in full precision."""
ATTACKED = {8: (slice(0, 8), slice(8, 16)), REPLICATES: (slice(0, REPLICATES),)}
Found = dict[str, Any]


def one(setting: Setting, cache: Path, record: scores.Record) -> Found:
    """Return what every variant reaches in one setting."""
    folder = cache / setting.name.replace(" ", "-")
    common = dict(np.load(folder / "common.npz"))
    specs = ("none", *quantizers_of(setting))
    found = {spec: dict(np.load(folder / f"{spec}.npz")) for spec in specs}
    made: Found = {"task": record["task"]}
    for count, groups in GROUPS.items():
        told = [_forecasts(record, [part_of(found[spec], common, part) for spec in specs]) for part in groups]
        made[f"forecast of {count}"] = {
            name: [_mean([each[name][at] for each in told]) for at in range(3)] for name in FORECASTS
        }
    for count, groups in ATTACKED.items():
        made[f"borrowed {count}"] = _gain(found, common, groups)
    return made


def _forecasts(record: scores.Record, tables: list[Any]) -> dict[str, tuple[float | None, ...]]:
    """Return error of the level, and resolved pairs right, overall and of one bit width, of each variant."""
    truth = scores.reference(record)
    return {
        name: (
            float(np.abs(said - truth).mean()),
            scores.concordance(record, said),
            scores.concordance(record, said, within=True),
        )
        for name, said in ingredients.forecasts(tables).items()
    }


def _gain(found: dict[str, Arrays], common: Arrays, groups: tuple[slice, ...]) -> dict[str, list[float]]:
    """Return the advantage without borrowing and with it, by quantizer."""
    made = {}
    for spec in BORROWED:
        pairs = [(part_of(found[spec], common, part), part_of(found["none"], common, part)) for part in groups]
        made[spec] = np.mean([ingredients.borrowed(*pair) for pair in pairs], axis=0).tolist()
    return made


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def run(results: Path, cache: Path) -> Found:
    """Try everything in every development setting that is not stored yet; write after each."""
    path = results / STORED
    stored: Found = json.loads(path.read_text()) if path.exists() else {}
    records = json.loads((results / RECORDED).read_text())
    for setting in SETTINGS:
        if setting.dev and setting.name not in stored:
            stored[setting.name] = one(setting, cache, records[setting.name])
            path.write_text(json.dumps(stored) + "\n")
            print(setting.name, flush=True)
    for name, compare in (("one run", orders.compared), ("one level", _levels)):
        if name not in stored:
            stored[name] = compare(cache, records)
            path.write_text(json.dumps(stored) + "\n")
    return stored


def _levels(cache: Path, records: dict[str, scores.Record]) -> Found:
    """Return what the estimate from one model misses settings by that are left out, with its recording and without."""
    dev = [setting for setting in SETTINGS if setting.dev]
    folders = [cache / setting.name.replace(" ", "-") for setting in dev]
    known = []
    for folder, setting in zip(folders, dev, strict=True):
        specs = ("none", *quantizers_of(setting))
        found, truth = one_model.examples(folder, specs, scores.reference(records[setting.name]))
        known.append((found[:, :TRACED], truth))
    made = {NOW: one_model.left_out(known)}
    for kind in one_model.RECORDED:
        more = [one_model.with_recording(*pair, kind) for pair in zip(folders, known, strict=True)]
        made[kind] = one_model.left_out(more)
    return made


def told(stored: Found) -> list[str]:
    """Return the tables of the page."""
    settings = {name: found for name, found in stored.items() if not name.startswith("one ")}
    parts = (_told_borrowed(settings), _told_orders(stored["one run"]), _told_levels(stored["one level"]))
    return [*_told_forecasts(settings), *(line for part in parts for line in ("", *part))]


def _told_forecasts(settings: Found) -> list[str]:
    lines = [
        f"| forecasts, {len(settings)} development settings | error of 8 | resolved pairs | of one bit width | error of 4 "
        "| resolved pairs | of one bit width |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, words in FORECASTS.items():
        cells = []
        for count in (8, 4):
            for at in range(3):
                of = partial(_numbers, settings, f"forecast of {count}", at=at)
                cells.append(_set_against(of(NOW), of(name), plain=name == NOW))
        lines.append(f"| {words} | {' | '.join(cells)} |")
    return lines


def _numbers(settings: Found, kind: str, name: str, *, at: int) -> Floats:
    return np.array([found[kind][name][at] for found in settings.values()], dtype=float)


def _set_against(usual: Floats, other: Floats, *, plain: bool) -> str:
    """Return a mean, and where it is not the usual one the paired difference with its interval over settings."""
    known = np.isfinite(usual) & np.isfinite(other)
    if plain:
        return f"{other[known].mean():.3f}"
    _, low, high = scores.interval((other - usual)[known].tolist())
    return f"{other[known].mean():.3f} ({low:+.3f} to {high:+.3f})"


def _told_borrowed(settings: Found) -> list[str]:
    lines = [
        "| hierarchical attack whose shadows also borrow from themselves in full precision: gain in advantage, five quantizers "
        "| 6 shadows | 14 shadows |",
        "|---|---|---|",
    ]
    for task in ("regression", "classification"):
        cells = []
        for count in ATTACKED:
            each = [found[f"borrowed {count}"] for found in settings.values() if found["task"] == task]
            gains = [float(np.mean([with_ - without for without, with_ in one.values()])) for one in each]
            cells.append("{:+.4f} [{:+.4f}, {:+.4f}]".format(*scores.interval(gains)))
        lines.append(f"| {task} ({len(gains)} settings) | {' | '.join(cells)} |")
    return lines


def _told_orders(found: Found) -> list[str]:
    lines = [
        "| order of members by one run, each setting left out of the fit | share of what the reference repeats | against the "
        "shipped | regressions | classifications |",
        "|---|---|---|---|---|",
    ]
    shipped = np.array(list(found[orders.SHIPPED]["share"].values()))
    tasks = np.array(found["tasks"])
    for name, each in found.items():
        if name == "tasks":
            continue
        share = np.array(list(each["share"].values()))
        _, low, high = scores.interval((share - shipped).tolist())
        apart = "" if name == orders.SHIPPED else f"{low:+.3f} to {high:+.3f}"
        parts = [f"{share[tasks == task].mean():.3f}" for task in ("regression", "classification")]
        lines.append(f"| {name} | {share.mean():.3f} | {apart} | {' | '.join(parts)} |")
    return lines


def _told_levels(found: Found) -> list[str]:
    lines = [
        "| estimate from one model, each setting left out of the fit | missed by | against the shipped |",
        "|---|---|---|",
    ]
    usual = np.array(found[NOW])
    for name, missed in found.items():
        _, low, high = scores.interval((np.array(missed) - usual).tolist())
        words = "shipped" if name == NOW else f"and {one_model.RECORDED[name]}"
        lines.append(f"| {words} | {np.mean(missed):.3f} | {'' if name == NOW else f'{low:+.3f} to {high:+.3f}'} |")
    return lines


def main() -> None:
    stored = run(HERE / "results", Path(sys.argv[1]))
    page.write(HERE.parents[1] / "docs" / "fidelity.md", {"tried": told(stored)})


if __name__ == "__main__":
    main()
