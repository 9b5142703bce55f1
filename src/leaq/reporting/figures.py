"""Pictures of results, as Vega-Lite specifications: the same ones in notebooks and, drawn to SVG, in the report.

A specification is a plain dictionary. Colours are named for what they mean (`INK`, `ACCENT`, ...); the report
exchanges them for its light and dark ones. Every mark that stands for a measurement carries a `tip`: the sentence
shown on hover and read aloud.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from leaq.decisions.standing import cost, front, is_baseline, leak, reference, useful
from leaq.errors import need
from leaq.reporting.display_names import in_reading_order, metric, short_attack
from leaq.reporting.drawing import ACCENT, FAINT, INK, MUTED, PAPER, Spec, figure_of, hues, layer, rule_at
from leaq.reporting.labels import place_labels
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult, Estimate, Floats


def plot(result: CellResult, *, width: int = 620, height: int = 400) -> Any:
    """Return the privacy-performance picture of an audit as an Altair chart, for notebooks."""
    altair = need("altair", extra="report", purpose="Showing figures in a notebook")
    return altair.Chart.from_dict(tradeoff(result, width=width, height=height))


def tip(result: CellResult, row: QuantizerRow) -> str:
    """Return the sentence a point of the trade-off says about itself."""
    advantage, price = leak(result, row), cost(result, row)
    words = [f"{row.label}: advantage of {short_attack(result.primary_attack)} "]
    words.append(format_estimate(advantage) if advantage else "not computed")
    if price is not None and row is not reference(result):
        words.append(f", {worsening(result)} {format_estimate(price)}")
    words.append(f", {row.size.bits_words} bits per weight")
    return "".join(words) + ("" if useful(row) else "; predicts no better than guessing")


def tradeoff(result: CellResult, *, width: int = 620, height: int = 400) -> Spec:
    """Draw leak against cost with intervals and the Pareto front; the best corner is bottom left."""
    points = _points(result)
    on_top = sorted(points, key=lambda point: point["key"] == reference(result).quantizer)
    x_domain = _domain([p for p in points if p["useful"]] or points, points, "x")
    y_domain = _domain(points, points, "y")
    x = {"field": "x", "type": "quantitative", "scale": {"domain": x_domain, "nice": False},
         "title": f"{worsening(result)} against full precision →"}  # fmt: skip
    y = {"field": "y", "type": "quantitative", "scale": {"domain": y_domain, "nice": False},
         "title": f"leak: advantage of {short_attack(result.primary_attack)} →"}  # fmt: skip
    whisker = {"type": "rule", "clip": True, "strokeWidth": 1.1, "color": FAINT}
    best = [row.quantizer for row in front(result)]
    layers = [
        rule_at(y=0.0),
        rule_at(x=0.0),
        layer(points, whisker, x={**x, "field": "x_low"}, x2={"field": "x_high"}, y=y),
        layer(points, whisker, y={**y, "field": "y_low"}, y2={"field": "y_high"}, x=x),
        layer(
            [p for key in best for p in points if p["key"] == key],
            {"type": "line", "color": ACCENT, "strokeWidth": 1.6, "interpolate": "step-after", "clip": True},
            x=x,
            y=y,
        ),
        layer(
            on_top,
            {"type": "point", "size": 95, "filled": True, "opacity": 1, "strokeWidth": 1.6, "clip": True},
            x=x,
            y=y,
            **{channel: {"field": channel, "scale": None} for channel in ("fill", "stroke", "shape")},
            **SPOKEN,
        ),
        # The square is named first: a quantizer that costs nothing lies under it, and its name there would be a lie.
        *_names(
            [*on_top[-1:], *on_top[:-1]],
            (x_domain, y_domain),
            (width, height),
            {"x": x, "y": y},
            lines=_lines(points, best),
        ),
    ]
    return figure_of(layers, width, height)


def _names(
    points: Sequence[Mapping[str, Any]],
    domains: tuple[Sequence[float], Sequence[float]],
    size: tuple[int, int],
    axes: Spec,
    *,
    lines: Sequence[tuple[float, float, float, float]],
) -> Iterator[Spec]:
    groups: dict[Any, list[dict[str, Any]]] = {}
    for point, place in place_labels(points, domains, size, lines):
        groups.setdefault(place, []).append({key: point[key] for key in ("x", "y", "label")})
    for (align, dx, dy), named in groups.items():
        mark = {"type": "text", "fontSize": 11.5, "align": align, "baseline": "middle", "dx": dx, "dy": dy}
        yield layer(named, {**mark, "color": INK}, **axes, text={"field": "label"})


def _lines(points: Sequence[Mapping[str, Any]], best: Sequence[str]) -> list[tuple[float, float, float, float]]:
    """Return intervals and the steps of the front, as level and upright lines."""
    found = [(p["x_low"], p["y"], p["x_high"], p["y"]) for p in points]
    found += [(p["x"], p["y_low"], p["x"], p["y_high"]) for p in points]
    front_points = [p for key in best for p in points if p["key"] == key]
    for one, other in pairwise(front_points):
        found.append((one["x"], one["y"], other["x"], one["y"]))
        found.append((other["x"], one["y"], other["x"], other["y"]))
    return found


def worsening(result: CellResult) -> str:
    """Name what the trade-off is drawn against."""
    known = metric(result.primary_metric)
    return f"{known.worsening} of {known.name}"


def _points(result: CellResult) -> list[dict[str, Any]]:
    """Return one dictionary per row that has a leak and a cost."""
    best, full = front(result), reference(result)
    found = []
    for row in result.ranked():
        advantage, price = leak(result, row), cost(result, row)
        if advantage is None or price is None:
            continue
        ahead = row in best
        shape = "triangle-up" if is_baseline(row) else "square" if row is full else "circle"
        shape = shape if useful(row) else "cross"
        found.append({
            "key": row.quantizer, "label": row.label, "tip": tip(result, row),
            "x": price.value, "x_low": price.low, "x_high": price.high,
            "y": advantage.value, "y_low": advantage.low, "y_high": advantage.high,
            "useful": useful(row),
            "fill": ACCENT if ahead else PAPER,
            "stroke": ACCENT if ahead else (MUTED if useful(row) else FAINT),
            "shape": shape,
        })  # fmt: skip
    return found


def _domain(wide: Sequence[Mapping[str, Any]], points: Sequence[Mapping[str, Any]], axis: str) -> list[float]:
    """Hold every point, and the whole interval of those in `wide`, with a little air."""
    ends = [p[f"{axis}_{end}"] for p in wide for end in ("low", "high")] + [p[axis] for p in points] + [0.0]
    low, high = min(ends), max(ends)
    air = 0.07 * (high - low or 1.0)
    return [low - air, high + air]


def attack_keys(result: CellResult) -> list[str]:
    """Return the attacks of any row, simplest first."""
    return in_reading_order((key for row in result.rows for key in row.attacks), "attack")


SPOKEN: Spec = {"description": {"field": "tip"}, "tooltip": {"field": "tip"}}
MOST_DRAWN = 5
"""Attacks a figure can hold and still be read; the table of attack numbers holds all."""
POINTS = 70
"""Points of a ROC curve that are drawn."""
_TELLING = ("combined(sees=outputs)", "threshold", "lira", "whitebox", "lira(shadows=full_precision)", "rmia")


def drawn_attacks(result: CellResult) -> list[str]:
    """Return the attacks that figures show, simplest first: the leading one, and those that say most beside it."""
    every = attack_keys(result)
    keys = [key for key in every if any(key in row.computed for row in result.rows)] or every
    wanted = [key for key in (result.primary_attack, *_TELLING, *keys) if key in keys]
    return in_reading_order(list(dict.fromkeys(wanted))[:MOST_DRAWN], "attack")


def attack_tip(row: QuantizerRow, name: str, attack: AttackResult) -> str:
    """Return the sentence a point of the attack figure says about itself."""
    return f"{row.label}, {short_attack(name)}: advantage {format_estimate(attack.advantage)}"


def attacks(result: CellResult, *, width: int = 560) -> Spec:
    """Draw the advantage of every attack under every quantizer, with intervals, in the order of the ranking."""
    names = drawn_attacks(result)
    shown = [short_attack(name) for name in names]
    order = [row.label for row in result.ranked()]
    points: list[Mapping[str, Any]] = [
        {
            "label": row.label, "attack": short_attack(name), "key": row.quantizer,
            "x": found.advantage.value, "low": found.advantage.low, "high": found.advantage.high,
            "tip": attack_tip(row, name, found),
        }
        for row in result.ranked()
        for name in names
        if (found := row.computed.get(name))
    ]  # fmt: skip
    title = "advantage over blind guessing (TPR − FPR) →" if width > 300 else "advantage (TPR − FPR) →"
    ticks = {"tickCount": max(3, width // 90)}
    legend = {
        "orient": "top",
        "direction": "horizontal" if width > 300 else "vertical",
        "symbolSize": 70,
        "offset": 8,
        "columnPadding": 34,
    }
    lane = {
        "y": {"field": "label", "type": "nominal", "sort": order, "title": None,
              "axis": {"labelLimit": 170, "domain": False, "grid": True, "ticks": False}},
        "yOffset": {"field": "attack", "type": "nominal", "sort": shown, "scale": {"paddingOuter": 0.6}},
        "color": {"field": "attack", "type": "nominal", "title": None, "scale": hues(shown), "legend": legend},
    }  # fmt: skip
    shape = {"field": "attack", "type": "nominal", "title": None, "legend": legend, "scale": {"domain": shown}}
    layers = [
        rule_at(x=0.0),
        layer(points, {"type": "rule", "strokeWidth": 1.6, "opacity": 0.75},
              x={"field": "low", "type": "quantitative", "title": title, "axis": ticks}, x2={"field": "high"}, **lane),
        layer(points, {"type": "point", "filled": True, "size": 58, "opacity": 1},
              x={"field": "x", "type": "quantitative"}, shape=shape, **lane, **SPOKEN),
    ]  # fmt: skip
    return figure_of(layers, width, max(1, len(order)) * (13 * max(1, len(names)) + 8))


def roc(result: CellResult, row: QuantizerRow, *, width: int = 190, height: int = 190) -> Spec:
    """Draw the ROC curves of all attacks on one quantizer, both axes logarithmic, with blind guessing as diagonal.

    Where the table of attack numbers refuses a true-positive rate the curve is grey.
    """
    names = drawn_attacks(result)
    ran = row.computed
    curves = {name: _log_curve(roc) for name in names if name in ran and (roc := ran[name].roc) is not None}
    lowest = min((points[0][0] for points in curves.values() if points), default=0.01)
    floor = 10.0 ** min(-2, max(-5, decade(5 * lowest)))
    shown = [short_attack(name) for name in names]
    told: list[dict[str, Any]] = []
    refused: list[dict[str, Any]] = []
    for name, points in curves.items():
        # Told from there on.
        limit = min((rate for rate, found in ran[name].tpr.items() if isinstance(found, Estimate)), default=1.0)
        drawn: list[dict[str, Any]] = [{"fpr": x, "tpr": y, "attack": short_attack(name)} for x, y in points]
        start = next((at for at, point in enumerate(drawn) if point["fpr"] >= limit), len(drawn))
        refused += drawn[: start + 1]  # up to where the other part begins
        told += drawn[start:]
    scale = {"type": "log", "domain": [floor, 1], "clamp": True}
    axis = {"values": [10.0**k for k in range(decade(floor), 1)], "format": "~%", "grid": True}
    x = {"field": "fpr", "type": "quantitative", "scale": scale, "axis": axis, "title": "false-positive rate"}
    y = {"field": "tpr", "type": "quantitative", "scale": scale, "axis": axis, "title": "true-positive rate"}
    diagonal: list[dict[str, Any]] = [{"fpr": floor, "tpr": floor}, {"fpr": 1, "tpr": 1}]
    curve = {"type": "line", "strokeWidth": 1.7, "interpolate": "step-after", "clip": True}
    layers = [
        layer(diagonal, {"type": "line", "color": MUTED, "strokeDash": [2, 3], "strokeWidth": 1}, x=x, y=y),
        layer(refused, {**curve, "color": FAINT, "strokeWidth": 1}, x=x, y=y,
              detail={"field": "attack", "type": "nominal"}),
        layer(told, curve, x=x, y=y,
              color={"field": "attack", "type": "nominal", "scale": hues(shown), "legend": None}),
    ]  # fmt: skip
    return figure_of(layers, width, height)


def decade(value: float) -> int:
    """Return the power of ten at or below a positive value.

    Examples
    --------
    >>> decade(0.002), decade(0.01)
    (-3, -2)
    """
    return math.floor(math.log10(value) + 1e-9)


def _log_curve(curve: Floats) -> list[tuple[float, float]]:
    """Return the part of a ROC curve that logarithmic axes can show, thinned for drawing."""
    kept = curve[:, (curve[0] > 0) & (curve[1] > 0)]
    if kept.shape[1] > POINTS:
        wanted = np.geomspace(kept[0, 0], 1.0, POINTS)
        kept = kept[:, np.unique(np.searchsorted(kept[0], wanted * (1 + 1e-12), side="right") - 1)]
    return [(float(f"{x:.4g}"), float(f"{y:.4g}")) for x, y in kept.T]


def lambda_k(row: QuantizerRow, *, width: int = 190, height: int = 150) -> Spec:
    """Draw lambda_k against k with its band: which candidate decides r."""
    curve = row.curves["lambda_k"]
    values = [
        {"k": k, "y": y, "low": low, "high": high}
        for k, y, low, high in zip(curve.x, curve.y, curve.low or curve.y, curve.high or curve.y, strict=True)
    ]
    k = {"field": "k", "type": "quantitative", "title": "k",
         "axis": {"tickCount": 5, "format": "d"}}  # fmt: skip
    low = {"field": "low", "type": "quantitative", "title": "λₖ", "axis": {"tickCount": 4}}
    layers = [
        layer(values, {"type": "area", "color": ACCENT, "opacity": 0.16}, x=k, y=low, y2={"field": "high"}),
        layer(values, {"type": "line", "color": ACCENT, "strokeWidth": 1.8}, x=k, y={**low, "field": "y"}),
    ]
    return figure_of(layers, width, height)
