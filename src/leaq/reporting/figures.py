"""Pictures of results, as Altair charts: the same ones in notebooks and, drawn to SVG, in the HTML report.

Colours are named for what they mean (`INK`, `ACCENT`, ...); the report exchanges them for its light and dark ones.
Every mark that stands for a measurement carries a `tip`: the sentence shown on hover and read aloud.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from leaq.errors import need
from leaq.reporting.choice import cost, front, leak, reference, useful
from leaq.reporting.labels import place_labels
from leaq.reporting.words import in_order, metric, short_attack
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult

if TYPE_CHECKING:
    import altair as alt

__all__ = [
    "COLOURS",
    "attack_keys",
    "attack_tip",
    "attacks",
    "lambda_k",
    "plot",
    "roc",
    "round_down",
    "tip",
    "tradeoff",
]

INK, MUTED, GRID, PAPER = "#1d2733", "#5b6673", "#e4e8ec", "#fefefe"
ACCENT, SECOND, THIRD, FAINT = "#0b6e99", "#c2500a", "#6a4fb3", "#98a3af"
COLOURS = {
    "ink": INK, "muted": MUTED, "grid": GRID, "paper": PAPER, "accent": ACCENT, "second": SECOND, "third": THIRD,
    "faint": FAINT,
}  # fmt: skip
"""Names of the colours; the report turns each into a CSS variable."""


def _altair() -> Any:
    return need("altair", extra="report", purpose="Drawing figures")


def plot(result: CellResult, *, width: int = 620, height: int = 400) -> "alt.LayerChart":
    """Draw the privacy-performance picture of an audit; the public face of this module."""
    return tradeoff(result, width=width, height=height)


def tip(result: CellResult, row: QuantizerRow) -> str:
    """Return the sentence a point of the trade-off says about itself."""
    advantage, price = leak(result, row), cost(result, row)
    words = [f"{row.label}: advantage of {short_attack(result.primary_attack)} "]
    words.append(format_estimate(advantage) if advantage else "not computed")
    if price is not None and row is not reference(result):
        words.append(f", loss of {metric(result.primary_metric).name} {format_estimate(price)}")
    words.append(f", {row.size.bits:.3g} bits per weight")
    return "".join(words) + ("" if useful(row) else "; predicts no better than guessing")


def tradeoff(result: CellResult, *, width: int = 620, height: int = 400) -> "alt.LayerChart":
    """Draw leak against cost with intervals and the Pareto front; the best corner is bottom left."""
    alt = _altair()
    points = _points(result)
    best = [row.quantizer for row in front(result)]
    x_domain = _domain([p for p in points if p["useful"]] or points, points, "x")
    y_domain = _domain(points, points, "y")
    x = alt.X(
        "x:Q",
        title=f"loss of {metric(result.primary_metric).name} against full precision →",
        scale=alt.Scale(domain=x_domain, nice=False),
    )
    y = alt.Y(
        "y:Q",
        title=f"leak: advantage of {short_attack(result.primary_attack)} →",
        scale=alt.Scale(domain=y_domain, nice=False),
    )
    base = alt.Chart(alt.Data(values=points)).encode(x=x, y=y)
    whisker = {"clip": True, "strokeWidth": 1.1, "color": FAINT}
    steps = [p for key in best for p in points if p["key"] == key]
    labels = place_labels(points, (x_domain, y_domain), (width, height))
    layers = [
        alt.Chart(alt.Data(values=[{"y": 0.0}])).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(y="y:Q"),
        alt.Chart(alt.Data(values=[{"x": 0.0}])).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x="x:Q"),
        base.mark_rule(**whisker).encode(x=alt.X("x_low:Q"), x2="x_high:Q"),
        base.mark_rule(**whisker).encode(y=alt.Y("y_low:Q"), y2="y_high:Q"),
        alt.Chart(alt.Data(values=steps))
        .mark_line(color=ACCENT, strokeWidth=1.6, interpolate="step-after", clip=True)
        .encode(x=x, y=y),
        base.mark_point(size=95, filled=True, opacity=1, strokeWidth=1.6, clip=True).encode(
            fill=alt.Color("fill:N", scale=None),
            stroke=alt.Color("stroke:N", scale=None),
            shape=alt.Shape("shape:N", scale=None),
            description="tip:N",
            tooltip="tip:N",
        ),
        *(
            alt.Chart(alt.Data(values=[point]))
            .mark_text(fontSize=11.5, align=align, baseline="middle", dx=dx, dy=dy, color=INK)
            .encode(x=x, y=y, text="label:N")
            for point, (align, dx, dy) in labels
        ),
    ]
    return _dressed(alt.layer(*layers), width, height)


def _points(result: CellResult) -> list[dict[str, Any]]:
    """One dictionary per row that has a leak and a cost."""
    best, full = front(result), reference(result)
    found = []
    for row in result.ranked():
        advantage, price = leak(result, row), cost(result, row)
        if advantage is None or price is None:
            continue
        ahead = row in best
        found.append({
            "key": row.quantizer, "label": row.label, "tip": tip(result, row),
            "x": price.value, "x_low": price.low, "x_high": price.high,
            "y": advantage.value, "y_low": advantage.low, "y_high": advantage.high,
            "useful": useful(row),
            "fill": ACCENT if ahead else PAPER,
            "stroke": ACCENT if ahead else (MUTED if useful(row) else FAINT),
            "shape": "square" if row is full else ("circle" if useful(row) else "cross"),
        })  # fmt: skip
    return found


def _domain(wide: Sequence[dict[str, Any]], points: Sequence[dict[str, Any]], axis: str) -> list[float]:
    """Hold every point, and the whole interval of those in `wide`, with a little air."""
    ends = [p[f"{axis}_{end}"] for p in wide for end in ("low", "high")] + [p[axis] for p in points] + [0.0]
    low, high = min(ends), max(ends)
    air = 0.07 * (high - low or 1.0)
    return [low - air, high + air]


def attacks(result: CellResult, *, width: int = 560) -> "alt.LayerChart":
    """Draw the advantage of every attack under every quantizer, with intervals, in the order of the ranking."""
    alt = _altair()
    names = attack_keys(result)
    points = []
    for row in result.ranked():
        for name in names:
            attack = row.attacks.get(name)
            if isinstance(attack, AttackResult):
                number = attack.advantage
                points.append({
                    "label": row.label, "attack": short_attack(name), "x": number.value, "low": number.low,
                    "high": number.high, "key": row.quantizer,
                    "tip": attack_tip(row, name, attack),
                })  # fmt: skip
    order = [row.label for row in result.ranked()]
    shown = [short_attack(name) for name in names]
    lane = {
        "y": alt.Y("label:N", sort=order, title=None, axis=alt.Axis(labelLimit=170, domain=False, grid=True)),
        "yOffset": alt.YOffset("attack:N", sort=shown, scale=alt.Scale(paddingOuter=0.6)),
        "color": alt.Color("attack:N", sort=shown, title=None, scale=_hues(shown), legend=_legend(alt)),
    }
    base = alt.Chart(alt.Data(values=points))
    layers = [
        alt.Chart(alt.Data(values=[{"x": 0.0}])).mark_rule(color=MUTED, strokeDash=[2, 3]).encode(x="x:Q"),
        base.mark_rule(strokeWidth=1.6, opacity=0.75).encode(
            x=alt.X("low:Q", title="advantage over blind guessing (TPR − FPR) →"), x2="high:Q", **lane
        ),
        base.mark_point(filled=True, size=58, opacity=1).encode(
            x="x:Q",
            shape=alt.Shape("attack:N", sort=shown, legend=_legend(alt), title=None, scale=alt.Scale(domain=shown)),
            description="tip:N",
            tooltip="tip:N",
            **lane,
        ),
    ]
    return _dressed(alt.layer(*layers), width, max(1, len(order)) * (13 * max(1, len(names)) + 8))


def attack_keys(result: CellResult) -> list[str]:
    """Return the attacks of any row, simplest first."""
    return in_order((key for row in result.rows for key in row.attacks), "attack")


def attack_tip(row: QuantizerRow, name: str, attack: AttackResult) -> str:
    """Return the sentence a point of the attack figure says about itself."""
    return f"{row.label}, {short_attack(name)}: advantage {format_estimate(attack.advantage)}"


def roc(result: CellResult, row: QuantizerRow, *, width: int = 190, height: int = 190) -> "alt.LayerChart":
    """Draw the ROC curves of all attacks on one quantizer, both axes logarithmic, with blind guessing as diagonal."""
    alt = _altair()
    curves = {
        name: _log_curve(attack.roc)
        for name, attack in row.attacks.items()
        if isinstance(attack, AttackResult) and attack.roc is not None
    }
    lowest = min((points[0][0] for points in curves.values() if points), default=0.01)
    floor = 10.0 ** min(-2, max(-5, round_down(5 * lowest)))
    shown = [short_attack(name) for name in attack_keys(result)]
    values = [{"fpr": x, "tpr": y, "attack": short_attack(name)} for name, points in curves.items() for x, y in points]
    axis = alt.Axis(values=[10.0**k for k in range(-5, 1)], format="~%", grid=True)
    scale = alt.Scale(type="log", domain=[floor, 1], clamp=True)
    x = alt.X("fpr:Q", scale=scale, axis=axis, title="false-positive rate")
    y = alt.Y("tpr:Q", scale=scale, axis=axis, title="true-positive rate")
    layers = [
        alt.Chart(alt.Data(values=[{"fpr": floor, "tpr": floor}, {"fpr": 1, "tpr": 1}]))
        .mark_line(color=MUTED, strokeDash=[2, 3], strokeWidth=1)
        .encode(x=x, y=y),
        alt.Chart(alt.Data(values=values))
        .mark_line(strokeWidth=1.7, interpolate="step-after", clip=True)
        .encode(x=x, y=y, color=alt.Color("attack:N", sort=shown, scale=_hues(shown), legend=None)),
    ]
    return _dressed(alt.layer(*layers), width, height)


def round_down(value: float) -> int:
    """Return the decade at or below a positive value.

    Examples
    --------
    >>> round_down(0.002), round_down(0.01)
    (-3, -2)
    """
    from math import floor, log10

    return floor(log10(value) + 1e-9)


def _log_curve(curve: Any, points: int = 70) -> list[tuple[float, float]]:
    """The part of a ROC curve that logarithmic axes can show, thinned for drawing."""
    import numpy as np

    kept = curve[:, (curve[0] > 0) & (curve[1] > 0)]
    if kept.shape[1] > points:
        wanted = np.geomspace(kept[0, 0], 1.0, points)
        kept = kept[:, np.unique(np.searchsorted(kept[0], wanted * (1 + 1e-12), side="right") - 1)]
    return [(float(x), float(y)) for x, y in kept.T]


def lambda_k(row: QuantizerRow, *, width: int = 190, height: int = 150) -> "alt.LayerChart":
    """Draw lambda_k against k with its band: which candidate decides r."""
    alt = _altair()
    curve = row.curves["lambda_k"]
    values = [
        {"k": k, "y": y, "low": low, "high": high}
        for k, y, low, high in zip(curve.x, curve.y, curve.low or curve.y, curve.high or curve.y, strict=True)
    ]
    base = alt.Chart(alt.Data(values=values)).encode(
        x=alt.X("k:Q", title="k, from the second-best candidate", axis=alt.Axis(tickCount=5, format="d"))
    )
    layers = [
        base.mark_area(color=ACCENT, opacity=0.16).encode(
            y=alt.Y("low:Q", title="λₖ / largest", axis=alt.Axis(tickCount=4)), y2="high:Q"
        ),
        base.mark_line(color=ACCENT, strokeWidth=1.8).encode(y="y:Q"),
    ]
    return _dressed(alt.layer(*layers), width, height)


def _hues(shown: Sequence[str]) -> Any:
    """One colour a name: blue, vermilion, purple, ink - told apart by every common kind of colour vision."""
    hues = [MUTED, ACCENT, SECOND, THIRD, INK, FAINT]
    return _altair().Scale(domain=list(shown), range=[hues[i % len(hues)] for i in range(len(shown))])


def _legend(alt: Any) -> Any:
    return alt.Legend(orient="top", direction="horizontal", symbolSize=70, labelLimit=220, offset=8)


def _dressed(chart: Any, width: int, height: int) -> Any:
    """Apply the one look all figures share."""
    return (
        chart.properties(width=width, height=height)
        .configure(background="transparent", padding=4, font="Helvetica, Arial, sans-serif")
        .configure_view(stroke=None)
        .configure_axis(
            labelColor=MUTED,
            titleColor=INK,
            titleFontWeight=500,
            titleFontSize=12,
            labelFontSize=11,
            gridColor=GRID,
            domainColor=FAINT,
            tickColor=FAINT,
            titlePadding=8,
        )
        .configure_legend(labelColor=INK, titleColor=INK, labelFontSize=12)
    )
