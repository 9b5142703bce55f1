"""The pictures of docs/protect.md: fronts, and what is given away along training."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.protect.fronts import DROPS, PROTECT, QUANTIZERS, STUDENTS, by_task, interval
from benchmarks.protect.settings import STOPS
from leaq.types import Floats

__all__ = ["along", "fronts_drawn"]

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 560, 380, 64, 24, 24, 56
COLOURS = {QUANTIZERS: "#b35900", STUDENTS: "#7a7a7a", PROTECT: "#0b6e99"}
REFIT = "sparse_refit(sparsity=0.9, calibrated=elsewhere"


def fronts_drawn(leaks: Mapping[str, Floats]) -> str:
    """Draw the fronts, means over tasks with the intervals over tasks of each."""
    found = {name: np.array([interval(column) for column in leaks[name].T]) for name in COLOURS}
    top = np.ceil(max(values.max() for values in found.values()) * 10) / 10
    frame = _Frame(0.0, float(DROPS[-1]), float(top))
    parts = frame.ticks([0, 0.02, 0.04, 0.06, 0.08, 0.1], np.arange(0, top + 1e-9, 0.2))
    for at, (name, values) in enumerate(found.items()):
        parts += frame.curve(DROPS, values, colour=COLOURS[name], name=name, at=at)
    parts += frame.titles("allowed drop of R² or ROC-AUC", "smallest advantage of who holds the file")
    return _svg("Leak against accuracy, with and without protection", parts)


def along(cells: Sequence[Mapping[str, Any]]) -> str:
    """Draw advantage and change of the metric against the share of training, means over tasks."""
    named = {
        "full precision": ({stop: f"none(stop={stop})" for stop in STOPS} | {1.0: "none"}, "#b35900"),
        "ternary 90% sparse, refitted": (
            {stop: f"{REFIT}, stop={stop})" for stop in STOPS} | {1.0: f"{REFIT})"},
            "#0b6e99",
        ),
    }
    there = set.intersection(*(set(one["rows"]) for one in cells))
    curves = {
        name: ({stop: row for stop, row in rows.items() if row in there}, colour)
        for name, (rows, colour) in named.items()
    }
    panels = (("file", "advantage of who holds the file"), ("metric", "metric below full precision's"))
    drawn = []
    for which, (key, title) in enumerate(panels):
        found = {}
        for name, (rows, _) in curves.items():
            values = np.array([[one["rows"][row][key] for row in rows.values()] for one in cells])
            if key == "metric":
                values = np.array([[one["rows"]["none"][key]] for one in cells]) - values
            found[name] = np.array([interval(column) for column in by_task(cells, list(values)).T])
        top = max(0.1, float(np.ceil(max(values.max() for values in found.values()) * 10) / 10))
        top = 1.05 if key == "file" else top  # names stand above the curves
        frame = _Frame(0.0, 1.0, top, least=min(0.0, float(min(values.min() for values in found.values()))))
        parts = frame.ticks([0, 0.25, 0.5, 0.75, 1], np.arange(0, top + 1e-9, 0.2 if top > 0.3 else 0.05))
        for at, (name, values) in enumerate(found.items()):
            parts += frame.curve(np.array(list(curves[name][0])), values, colour=curves[name][1], name=name, at=at)
        parts += frame.titles("share of training", title)
        drawn.append(f'<g transform="translate({which * WIDTH} 0)">{"".join(parts)}</g>')
    return _svg("Leak and accuracy along training", drawn, panels=2)


class _Frame:
    """Places values on one panel."""

    def __init__(self, first: float, last: float, top: float, *, least: float = 0.0) -> None:
        self._first, self._last, self._top, self._least = first, last, top, least

    def x(self, value: float) -> float:
        return LEFT + (value - self._first) / (self._last - self._first) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self._least) / (self._top - self._least) * (HEIGHT - TOP - BOTTOM)

    def ticks(self, across: Sequence[float], up: Floats) -> list[str]:
        parts = []
        for tick in up:
            y = self.y(tick)
            parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#8884"/>')
            parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#777">{tick:.2g}</text>')
        for tick in across:
            parts.append(
                f'<text x="{self.x(tick):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" fill="#777">{tick:g}</text>'
            )
        return parts

    def curve(self, across: Floats, found: Floats, *, colour: str, name: str, at: int) -> list[str]:
        """Draw means with their intervals, (points, 3), and the name at its place among the others."""
        points = [
            [f"{self.x(d):.1f},{self.y(v):.1f}" for d, v in zip(across, found[:, k], strict=True)] for k in range(3)
        ]
        return [
            f'<polygon points="{" ".join(points[2] + points[1][::-1])}" fill="{colour}" opacity="0.15"/>',
            f'<polyline points="{" ".join(points[0])}" fill="none" stroke="{colour}" stroke-width="2.5"/>',
            f'<text x="{WIDTH - RIGHT - 4}" y="{TOP + 14 + 18 * at}" text-anchor="end" fill="{colour}">{name}</text>',
        ]

    def titles(self, across: str, up: str) -> list[str]:
        middle = (TOP + HEIGHT - BOTTOM) / 2
        return [
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle" fill="#777">{across}</text>',
            f'<text x="16" y="{middle}" text-anchor="middle" fill="#777" transform="rotate(-90 16 {middle})">{up}</text>',
        ]


def _svg(title: str, parts: Sequence[str], *, panels: int = 1) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {panels * WIDTH} {HEIGHT}" font-family="sans-serif" '
        f'font-size="13" role="img"><title>{title}</title>{"".join(parts)}</svg>\n'
    )
