"""Where to write the name of each point so that no name covers a point or another name, nor a line if that can be."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from leaq.errors import some

Box = tuple[float, float, float, float]
Segment = tuple[float, float, float, float]
Place = tuple[str, float, float]
"""Alignment, and the offsets in pixels from the point."""

CHARACTER, LINE, DOT = 6.3, 14.0, 6.5
"""Width of a character, height of a line, radius of a point: pixels at the size the figures use."""
THIN = 2.0
"""Pixels that a line keeps free to either side where names may go elsewhere."""
PLAINLY = 1.3
"""How much farther than from its own point a name is from every other, at least."""
MOST_NAMES = 2
"""Names that a dot over other dots carries; the others are counted."""

PLACES: tuple[Place, ...] = (
    ("left", 10, 0), ("right", -10, 0), ("left", 8, -11), ("left", 8, 11), ("right", -8, -11), ("right", -8, 11),
    ("center", 0, -15), ("center", 0, 15), ("left", 6, -16), ("left", 6, 16), ("right", -6, -16), ("right", -6, 16),
)  # fmt: skip


def place_labels(
    points: Sequence[Mapping[str, Any]],
    domains: tuple[Sequence[float], Sequence[float]],
    size: tuple[int, int],
    lines: Sequence[Segment] = (),
) -> list[tuple[Mapping[str, Any], Place]]:
    """Return the points that can be named without clutter, each with its place; the others are left to hovering.

    Greedy, in the order given: the first free place of each point is taken, one that no line goes through if there is
    one. A name is nearest to its own point; points that lie on each other share one.

    Parameters
    ----------
    points : with ``x``, ``y`` and ``label``.
    domains : the ends of the x and of the y axis.
    size : width and height of the plot, in pixels.
    lines : level or upright lines (x, y, x, y) that are drawn, in the units of the axes.
    """

    def pixels(x: float, y: float) -> tuple[float, float]:
        return _pixel(x, domains[0], size[0]), size[1] - _pixel(y, domains[1], size[1])

    shown = _together(points, [pixels(point["x"], point["y"]) for point in points])
    at = [pixels(point["x"], point["y"]) for point in shown]
    dots: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in at]
    ends = [(*pixels(*line[:2]), *pixels(*line[2:])) for line in lines]
    strokes: list[Box] = [
        (min(x, u) - THIN, min(y, v) - THIN, max(x, u) + THIN, max(y, v) + THIN) for x, y, u, v in ends
    ]
    names: list[Box] = []
    named: list[tuple[Mapping[str, Any], Place]] = []
    for own, (point, (x, y)) in enumerate(zip(shown, at, strict=True)):
        hard, others = [*dots[:own], *dots[own + 1 :], *names], [*at[:own], *at[own + 1 :]]
        for label in point["labels"]:
            free = [(place, box) for place in PLACES if _inside(box := _box(x, y, len(label), place), size)
                    and not any(_overlap(box, other) for other in hard)
                    and all(PLAINLY * _far(box, (x, y)) <= _far(box, dot) for dot in others)]  # fmt: skip
            clear = [one for one in free if not any(_overlap(one[1], stroke) for stroke in strokes)]
            if free:
                place, box = (clear or free)[0]
                names.append(box)
                named.append(({**point, "label": label}, place))
                break
    return named


def _together(points: Sequence[Mapping[str, Any]], at: Sequence[tuple[float, float]]) -> list[dict[str, Any]]:
    """Return one point for those that cover each other, at the first one's place, with the names of all."""
    found: list[tuple[dict[str, Any], tuple[float, float], list[str]]] = []
    for point, (x, y) in zip(points, at, strict=True):
        near = next((one for one in found if abs(one[1][0] - x) < DOT and abs(one[1][1] - y) < DOT), None)
        if near is None:
            found.append((dict(point), (x, y), [str(point["label"])]))
        else:
            near[2].append(str(point["label"]))
    for point, _, labels in found:
        point["labels"] = [some(labels, MOST_NAMES), some(labels, 1)]  # the shorter one where there is no room
    return [point for point, _, _ in found]


def _pixel(value: float, domain: Sequence[float], length: int) -> float:
    return (value - domain[0]) / ((domain[1] - domain[0]) or 1.0) * length


def _box(x: float, y: float, characters: int, place: Place) -> Box:
    align, dx, dy = place
    width = characters * CHARACTER
    left = x + dx - {"left": 0.0, "center": width / 2, "right": width}[align]
    return left, y + dy - LINE / 2, left + width, y + dy + LINE / 2


def _inside(box: Box, size: tuple[int, int]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] + 20 and box[3] <= size[1]


def _far(box: Box, dot: tuple[float, float]) -> float:
    """Return how far a dot is from a box."""
    across = max(box[0] - dot[0], 0.0, dot[0] - box[2])
    return math.hypot(across, max(box[1] - dot[1], 0.0, dot[1] - box[3]))


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
