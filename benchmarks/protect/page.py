"""The table and the picture of docs/protect.md, from what was collected.

Rows are chosen on one half of the models (whole complementary pairs) and reported on the other, and the other way
round: the best of many rows on the models it was chosen on would flatter whichever front has more rows.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.pages import DOCS, put
from benchmarks.protect.settings import CONTROLS, EXISTING, OURS
from leaq.quantizers import build
from leaq.seeds import stream
from leaq.types import Floats

__all__ = ["Front", "front", "write"]

PAGE = DOCS / "protect.md"
DROPS = np.linspace(0.0, 0.1, 21)
BUDGETS = (0.0, 0.02, 0.05)
STUDENT = "student"
QUANTIZERS, STUDENTS, PROTECT = "quantizers and training less", "a student as well", "with protect"
FRONTS = {
    QUANTIZERS: EXISTING,
    STUDENTS: (*EXISTING, STUDENT),
    PROTECT: (*EXISTING, STUDENT, *OURS),
}
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Front:
    """The smallest leak within each drop: advantage of who holds the file, and the drop that was really paid."""

    leak: Floats
    paid: Floats
    chosen: tuple[str, ...]


def front(rows: Mapping[str, Row], allowed: Sequence[str], drops: Floats = DROPS) -> Front:
    """Return the cross-fitted front of the rows that are allowed; full precision always is."""
    names = ["none", *(name for name in allowed if name in rows and name != "none")]
    leak = np.array([rows[name]["file_each"] for name in names])
    metric = np.array([rows[name]["metrics"] for name in names])
    metric = metric - metric[0]
    half = np.arange(leak.shape[1]) < leak.shape[1] // 2
    found, paid, chosen = np.zeros((2, len(drops))), np.zeros((2, len(drops))), []
    for side, learnt in enumerate((half, ~half)):
        for at, drop in enumerate(drops):
            kept = metric[:, learnt].mean(1) >= -drop
            best = int(np.where(kept, leak[:, learnt].mean(1), np.inf).argmin())
            found[side, at], paid[side, at] = leak[best, ~learnt].mean(), -metric[best, ~learnt].mean()
            chosen.append(names[best])
    return Front(found.mean(0), paid.mean(0), tuple(chosen))


def interval(values: Floats) -> tuple[float, float, float]:
    """Return the mean over tasks and its 95 % interval by bootstrap over tasks."""
    draws = stream(0, "protect", "tasks").integers(len(values), size=(10_000, len(values)))
    low, high = np.percentile(values[draws].mean(1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)


def write(results: Sequence[Mapping[str, Any]]) -> None:
    """Write the summary, the tables and the picture."""
    fronts = {name: [front(one["rows"], rows) for one in results] for name, rows in FRONTS.items()}
    put(PAGE, "protect-summary", "\n".join(_summary(results, fronts)))
    put(PAGE, "protect-tasks", "\n".join(_tasks(results)))
    put(PAGE, "protect-rows", "\n".join(_rows(results)))
    (DOCS / "protect.svg").write_text(_picture(fronts), encoding="utf-8")


def _summary(results: Sequence[Mapping[str, Any]], fronts: Mapping[str, Sequence[Front]]) -> list[str]:
    leaks = {name: np.array([one.leak for one in each]) for name, each in fronts.items()}
    full = np.array([one["rows"]["none"]["file"] for one in results])
    last = leaks[PROTECT]
    area = [f"{_triple(interval((leaks[name] - last).mean(1)))} below {name}" for name in FRONTS if name != PROTECT]
    lines = [
        f"Mean over {len(results)} tasks; advantage of the combined attack of who holds the file; 95 % intervals over tasks. "
        f"Full precision: {_triple(interval(full))}. Mean distance between the fronts over drops of 0 to 0.1: with protect "
        f"**{', '.join(area)}**.",
        "",
        f"| allowed drop | {' | '.join(FRONTS)} | less than {QUANTIZERS} | less than {STUDENTS} | really paid |",
        "|---|" + "---|" * (len(FRONTS) + 3),
    ]
    for drop in BUDGETS:
        at = int(np.abs(DROPS - drop).argmin())
        cells = [_triple(interval(leaks[name][:, at])) for name in FRONTS]
        for name in (QUANTIZERS, STUDENTS):
            less = leaks[name][:, at] - last[:, at]
            share = less.mean() / leaks[name][:, at].mean()
            counts = f"lower on {int((less > 1e-9).sum())}, higher on {int((less < -1e-9).sum())}"
            cells.append(f"{_triple(interval(less))}, {share:.0%}; {counts}")
        cells.append(" / ".join(f"{np.mean([one.paid[at] for one in each]):+.3f}" for each in fronts.values()))
        lines.append(f"| {drop:g} | {' | '.join(cells)} |")
    refits = np.array([front(one["rows"], (*EXISTING, *OURS)).leak for one in results])
    at = int(np.abs(DROPS - 0.02).argmin())
    less = leaks[QUANTIZERS][:, at] - refits[:, at]
    lines += ["", f"Refits without the student, at a drop of 0.02: {_triple(interval(refits[:, at]))}, less than {QUANTIZERS} by "
              f"{_triple(interval(less))}, {less.mean() / leaks[QUANTIZERS][:, at].mean():.0%}; lower on {int((less > 1e-9).sum())}, "
              f"higher on {int((less < -1e-9).sum())}."]  # fmt: skip
    return lines


def _tasks(results: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [
        "| task | full precision | best without, drop at most 0.02 | best with protect, drop at most 0.02 |",
        "|---|---|---|---|",
    ]
    for one in results:
        rows = one["rows"]
        picks = [_pick(rows, (*EXISTING, STUDENT)), _pick(rows, (*EXISTING, STUDENT, *OURS))]
        cells = [_cell(rows[name], name) for name in picks]
        lines.append(f"| {one['task']}, n {one['n']} | {_cell(rows['none'], '')} | {cells[0]} | {cells[1]} |")
    return lines


def _pick(rows: Mapping[str, Row], allowed: Sequence[str], drop: float = 0.02) -> str:
    kept = [name for name in allowed if name in rows and rows[name]["metric"] >= rows["none"]["metric"] - drop]
    return min(kept, key=lambda name: float(rows[name]["file"]))


def _cell(row: Row, name: str) -> str:
    said = f" {_label(name)}" if name else ""
    return f"{row['metric']:.3f} / {row['outputs']:+.3f} / {row['file']:+.3f} / {row['file_tpr']:.2f}{said}"


def _rows(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """Yield one line a release: means over tasks."""
    lines = [
        "| release | change of R² (6 tasks) | change of ROC-AUC (6 tasks) | sees outputs | holds the file | TPR at 1 % |",
        "|---|---|---|---|---|---|",
    ]
    groups = (("without", (*EXISTING, STUDENT)), (PROTECT, OURS), ("controls", CONTROLS))
    for title, names in groups:
        lines.append(f"| *{title}* | | | | | |")
        for name in names:
            kept = [one for one in results if name in one["rows"]]
            change = {
                kind: [o["rows"][name]["metric"] - o["rows"]["none"]["metric"] for o in kept if o["kind"] == kind]
                for kind in ("regression", "classification")
            }
            cells = [f"{np.mean(values):+.3f}" if values else "–" for values in change.values()]
            cells += [f"{np.mean([one['rows'][name][key] for one in kept]):+.3f}" for key in ("outputs", "file")]
            cells.append(f"{np.mean([one['rows'][name]['file_tpr'] for one in kept]):.3f}")
            lines.append(f"| {_label(name)} | {' | '.join(cells)} |")
    return lines


def _label(name: str) -> str:
    return "student on public records" if name == STUDENT else build(name).label()


def _triple(values: tuple[float, float, float]) -> str:
    return "{:.3f} [{:.3f}, {:.3f}]".format(*values)


# -- the picture -------------------------------------------------------------------------------------------------------

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 560, 380, 64, 24, 24, 56
COLOURS = {QUANTIZERS: "#b35900", STUDENTS: "#7a7a7a", PROTECT: "#0b6e99"}


def _picture(fronts: Mapping[str, Sequence[Front]]) -> str:
    """Draw the fronts, means over tasks with the intervals over tasks of each."""
    curves = {name: np.array([one.leak for one in each]) for name, each in fronts.items()}
    top = max(float(interval(column)[2]) for values in curves.values() for column in values.T)
    top = np.ceil(top * 10) / 10

    def x(drop: float) -> float:
        return LEFT + drop / DROPS[-1] * (WIDTH - LEFT - RIGHT)

    def y(leak: float) -> float:
        return HEIGHT - BOTTOM - leak / top * (HEIGHT - TOP - BOTTOM)

    parts = []
    for tick in np.arange(0, top + 1e-9, 0.2):
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(tick):.1f}" y2="{y(tick):.1f}" stroke="#8884"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#777">{tick:.1f}</text>')
    for tick in (0, 0.02, 0.04, 0.06, 0.08, 0.1):
        parts.append(
            f'<text x="{x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#777">{tick:g}</text>'
        )
    for at, (name, values) in enumerate(curves.items()):
        found = np.array([interval(column) for column in values.T])
        upper = [f"{x(d):.1f},{y(v):.1f}" for d, v in zip(DROPS, found[:, 2], strict=True)]
        lower = [f"{x(d):.1f},{y(v):.1f}" for d, v in zip(DROPS, found[:, 1], strict=True)]
        line = [f"{x(d):.1f},{y(v):.1f}" for d, v in zip(DROPS, found[:, 0], strict=True)]
        colour = COLOURS[name]
        parts.append(f'<polygon points="{" ".join(upper + lower[::-1])}" fill="{colour}" opacity="0.15"/>')
        parts.append(f'<polyline points="{" ".join(line)}" fill="none" stroke="{colour}" stroke-width="2.5"/>')
        parts.append(
            f'<text x="{WIDTH - RIGHT - 4}" y="{TOP + 14 + 18 * at}" text-anchor="end" fill="{colour}">{name}</text>'
        )
    middle = (TOP + HEIGHT - BOTTOM) / 2
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle" fill="#777">allowed drop of R² or '
        "ROC-AUC</text>"
        f'<text x="16" y="{middle}" text-anchor="middle" fill="#777" transform="rotate(-90 16 {middle})">smallest advantage '
        "of who holds the file</text>"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="13" '
        f'role="img"><title>Leak against accuracy, with and without protection</title>{"".join(parts)}</svg>\n'
    )
