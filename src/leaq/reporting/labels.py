"""Where to write the name of each point so that no name covers a point or another name."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["place_labels"]

Box = tuple[float, float, float, float]
Place = tuple[str, float, float]
"""Alignment, and the offsets in pixels from the point."""

CHARACTER, LINE, DOT = 6.3, 14.0, 6.5
"""Width of a character, height of a line, radius of a point: pixels at the size the figures use."""

PLACES: tuple[Place, ...] = (
    ("left", 10, 0), ("right", -10, 0), ("left", 8, -11), ("left", 8, 11), ("right", -8, -11), ("right", -8, 11),
    ("center", 0, -15), ("center", 0, 15), ("left", 14, -22), ("left", 14, 22), ("right", -14, -22), ("right", -14, 22),
)  # fmt: skip


def place_labels(
    points: Sequence[Mapping[str, Any]],
    domains: tuple[Sequence[float], Sequence[float]],
    size: tuple[int, int],
) -> list[tuple[Mapping[str, Any], Place]]:
    """Return the points that can be named without clutter, each with its place; the others are left to hovering.

    Greedy, in the order given: the first free place of each point is taken.

    Parameters
    ----------
    points : with ``x``, ``y`` and ``label``.
    domains : the ends of the x and of the y axis.
    size : width and height of the plot, in pixels.
    """
    at = [(_pixel(p["x"], domains[0], size[0]), size[1] - _pixel(p["y"], domains[1], size[1])) for p in points]
    taken: list[Box] = [(x - DOT, y - DOT, x + DOT, y + DOT) for x, y in at]
    named = []
    for own, (point, (x, y)) in enumerate(zip(points, at, strict=True)):
        others = taken[:own] + taken[own + 1 :]
        for place in PLACES:
            box = _box(x, y, len(str(point["label"])), place)
            if _inside(box, size) and not any(_overlap(box, other) for other in others):
                taken.append(box)
                named.append((point, place))
                break
    return named


def _pixel(value: float, domain: Sequence[float], length: int) -> float:
    return (value - domain[0]) / ((domain[1] - domain[0]) or 1.0) * length


def _box(x: float, y: float, characters: int, place: Place) -> Box:
    align, dx, dy = place
    width = characters * CHARACTER
    left = x + dx - {"left": 0.0, "center": width / 2, "right": width}[align]
    return left, y + dy - LINE / 2, left + width, y + dy + LINE / 2


def _inside(box: Box, size: tuple[int, int]) -> bool:
    return box[0] >= 0 and box[1] >= 0 and box[2] <= size[0] + 20 and box[3] <= size[1]


def _overlap(a: Box, b: Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
