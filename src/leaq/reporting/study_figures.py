"""Pictures of several audits: ranks as a heat map, and what quantization takes off the leak of each."""

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from leaq.decisions.standing import leak, reference
from leaq.reporting.drawing import ACCENT, FAINT, INK, MUTED, PAPER, Spec, figure_of, layer, rule_at
from leaq.reporting.narrative import winner
from leaq.reporting.study_tables import audit_names, rank_cells
from leaq.results import CellResult
from leaq.stats.digits import format_estimate


def ranks(cells: Sequence[CellResult], *, cell: int = 46) -> tuple[Spec, dict[str, str]]:
    """Draw the rank of every quantizer in every audit, and return the sentence of each cell.

    One row an audit; quantizers are ordered by their mean rank. Dark = gives away more.
    """
    values = rank_cells(cells)
    by_label: dict[str, list[float]] = {}
    for value in values:
        by_label.setdefault(value["label"], []).append(value["share"])
    order = sorted(by_label, key=lambda label: fmean(by_label[label]))
    audits = audit_names(cells)
    x = {"field": "label", "type": "nominal", "sort": order, "title": None,
         "axis": {"orient": "top", "labelAngle": -40, "domain": False, "ticks": False, "labelLimit": 180,
                  "labelColor": INK}}  # fmt: skip
    y = {"field": "audit", "type": "nominal", "sort": audits, "title": None,
         "axis": {"domain": False, "ticks": False, "labelLimit": 260, "labelColor": INK}}  # fmt: skip
    strength = {"field": "share", "type": "quantitative", "legend": None,
                "scale": {"domain": [0, 1], "range": [0.04, 0.95]}}  # fmt: skip
    pale = [value for value in values if value["share"] < 0.6]
    dark = [value for value in values if value["share"] >= 0.6]
    number: Mapping[str, Any] = {"type": "text", "fontSize": 11}
    layers = [
        layer(values, {"type": "rect", "color": ACCENT, "stroke": PAPER, "strokeWidth": 2}, x=x, y=y,
              fillOpacity=strength, description={"field": "tip"}, tooltip={"field": "tip"}),
        layer(pale, {**number, "color": INK}, x=x, y=y, text={"field": "text"}),
        layer(dark, {**number, "color": PAPER}, x=x, y=y, text={"field": "text"}),
    ]  # fmt: skip
    figure = figure_of(layers, max(2, len(order)) * cell, len(audits) * 26)
    figure["config"]["padding"] = {"left": 40, "right": 60, "top": 12, "bottom": 4}  # fonts differ: no name is cut off
    return figure, {value["tip"]: value["label"] for value in values}


CROWD = 32
"""Audits whose names a figure can hold on the first screen."""


def crowded(cells: Sequence[CellResult]) -> bool:
    """Tell whether there are too many audits for each to be named in the figure of leaks."""
    return len(cells) > CROWD


def leaks(cells: Sequence[CellResult], *, width: int = 560) -> tuple[Spec, dict[str, str]]:
    """Draw each audit's leak in full precision (square) and under its least leaking quantizer (circle).

    Where fewer than two models predict anything there is no circle: least of one is no win.

    Audits are ordered by their leak in full precision, largest first. Where they are `crowded` the rows are thin and
    unnamed: the tips and the table name them.
    """
    points: list[dict[str, Any]] = []
    for cell, name in zip(cells, audit_names(cells), strict=True):
        for shape, row in (("square", reference(cell)), ("circle", winner(cell))):
            number = leak(cell, row) if row is not None else None
            if row is not None and number is not None:
                points.append({
                    "audit": name, "x": number.value, "low": number.low, "high": number.high, "shape": shape,
                    "fill": PAPER if shape == "square" else ACCENT, "stroke": MUTED if shape == "square" else ACCENT,
                    "tip": f"{name} ({cell.data.get('task')}), {row.label}: advantage {format_estimate(number)}",
                })  # fmt: skip
    order = [p["audit"] for p in sorted(points, key=lambda p: -p["x"]) if p["shape"] == "square"]
    many = crowded(cells)
    y = {"field": "audit", "type": "nominal", "sort": order, "title": None,
         "axis": {"domain": False, "ticks": False, "grid": not many, "labels": not many,
                  "labelLimit": 320 if width > 300 else 130}}  # fmt: skip
    apart = {"field": "shape", "type": "nominal", "sort": ["square", "circle"], "scale": {"paddingOuter": 0.8}}
    offset = {} if many else {"yOffset": apart}
    x = {"field": "low", "type": "quantitative", "title": "advantage over blind guessing →",
         "axis": {"tickCount": max(3, width // 90)}}  # fmt: skip
    layers = [
        rule_at(x=0.0),
        layer(points, {"type": "rule", "strokeWidth": 1.6, "color": FAINT}, x=x, x2={"field": "high"}, y=y,
              **offset),
        layer(points, {"type": "point", "filled": True, "opacity": 1, "size": 24 if many else 70,
                       "strokeWidth": 1.2 if many else 1.5},
              x={**x, "field": "x"}, y=y, **offset, description={"field": "tip"}, tooltip={"field": "tip"},
              **{channel: {"field": channel, "scale": None} for channel in ("fill", "stroke", "shape")}),
    ]  # fmt: skip
    tall = max(5, 640 // len(order)) if many else min(64, max(20, 320 // max(1, len(order))))
    return figure_of(layers, width, max(1, len(order)) * tall), {point["tip"]: point["audit"] for point in points}
