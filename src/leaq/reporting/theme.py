"""The one look all figures share: colours named for what they mean, and how layers are put together."""

from collections.abc import Mapping, Sequence
from typing import Any

Spec = dict[str, Any]
"""A Vega-Lite specification, or a part of one."""

INK, MUTED, GRID, PAPER = "#1d2733", "#5b6673", "#e4e8ec", "#fefefe"
ACCENT, SECOND, THIRD, FAINT = "#0b6e99", "#c2500a", "#6a4fb3", "#98a3af"
COLOURS = {
    "ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER, "accent": ACCENT, "second": SECOND, "third": THIRD,
    "faint": FAINT,
}  # fmt: skip
"""Names of the colours; the report turns each into a CSS variable with a light and a dark value."""


def layer(values: Sequence[Mapping[str, Any]], mark: Spec, **encoding: Any) -> Spec:
    """Return one layer: data, mark, and what each channel shows."""
    return {"data": {"values": list(values)}, "mark": mark, "encoding": encoding}


def rule_at(**at: float) -> Spec:
    """Return a dotted line at one x or y."""
    ((axis, value),) = at.items()
    mark = {"type": "rule", "color": MUTED, "strokeDash": [2, 3]}
    return layer([{axis: value}], mark, **{axis: {"field": axis, "type": "quantitative"}})


HUES = (MUTED, ACCENT, SECOND, THIRD, INK, FAINT)
"""Grey, blue, vermilion, purple, ink, pale: told apart by every common kind of colour vision."""


def hues(shown: Sequence[str]) -> Spec:
    """Return one colour a name."""
    return {"domain": list(shown), "range": [HUES[i % len(HUES)] for i in range(len(shown))]}


def figure_of(layers: Sequence[Spec], width: int, height: int) -> Spec:
    """Return the layers as a whole figure."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": width,
        "height": height,
        "layer": list(layers),
        "config": {
            "background": "transparent",
            "padding": {"left": 12, "right": 12, "top": 4, "bottom": 4},
            "font": "Helvetica, Arial, sans-serif",
            "view": {"stroke": None},
            "axis": {
                "labelColor": MUTED, "titleColor": INK, "titleFontWeight": 500, "titleFontSize": 12,
                "labelFontSize": 11, "gridColor": GRID,
                "domainColor": FAINT, "tickColor": FAINT, "titlePadding": 8,
            },
            "axisQuantitative": {"labelOverlap": True, "labelSeparation": 10},  # names of rows all stay
            "legend": {"labelColor": INK, "titleColor": INK, "labelFontSize": 12, "labelLimit": 220},
        },
    }  # fmt: skip
