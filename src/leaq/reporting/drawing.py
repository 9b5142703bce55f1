"""A figure becomes an SVG that the report can carry: themed by CSS variables, reachable by keyboard, no script in it.

Vega-Lite draws (through vl-convert, without a browser); only its drawing goes into the file, no script. Elements
and attributes outside a short list are refused, so a string in the data can never become markup. The look is one for
all figures: colours named for what they mean, and how layers are put together.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from leaq.errors import need, visible
from leaq.reporting.artist import draw

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


_SVG = "http://www.w3.org/2000/svg"
_ELEMENTS = {"svg", "g", "path", "line", "rect", "text", "tspan", "circle", "defs", "clipPath", "title"}
_DROPPED = {"font-family", "pointer-events", "class", "aria-roledescription", "role"}


def svg(figure: Spec, *, name: str, label: str, keys: Mapping[str, str] | None = None) -> str:
    """Draw a figure.

    Parameters
    ----------
    name : unique in the page; ids inside the drawing start with it.
    label : what the picture shows, for those who do not see it.
    keys : from the sentence of a mark to the quantizer it stands for; such marks can be found by script.
    """
    need("vl_convert", extra="report", purpose="Drawing figures")
    keys = {visible(sentence): quantizer for sentence, quantizer in (keys or {}).items()}
    root = ElementTree.fromstring(draw(_printable(figure)))
    # Ids count up over all drawings of a process; numbered anew, the same result gives the same bytes.
    named = [element.get("id", "") for element in root.iter() if "id" in element.attrib]
    ids = {old: f"{name}-{at}" for at, old in enumerate(named)}
    for element in root.iter():
        _clean(element, ids, keys)
    width, height = root.get("width", "0"), root.get("height", "0")
    root.attrib.clear()
    root.attrib.update({"viewBox": f"0 0 {width} {height}", "width": width, "role": "group", "aria-label": label})
    root[:] = [child for child in root if child.tag != "rect"]  # the page is the background
    text = ElementTree.tostring(root, encoding="unicode")
    for colour, value in COLOURS.items():
        text = text.replace(f'"{value}"', f'"var(--{colour})"')
    return text


def _printable(value: Any) -> Any:
    """Spell out control characters anywhere in a figure: the library ends its process at one."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        return {key: _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list | tuple) else value


def _clean(element: ElementTree.Element, ids: Mapping[str, str], keys: Mapping[str, str]) -> None:
    """Take the namespace off, refuse foreign elements, mark what can be pointed at."""
    element.tag = element.tag.removeprefix(f"{{{_SVG}}}")
    if element.tag not in _ELEMENTS:
        raise ValueError(f"a drawing must hold shapes and text only, found <{element.tag}>")
    sentence = element.get("aria-label")
    pointable = sentence is not None and sentence in keys
    for attribute in [key for key in element.attrib if key in _DROPPED or key.startswith(("on", "{"))]:
        del element.attrib[attribute]
    element.attrib.pop("aria-label", None)
    if sentence is not None and pointable:
        element.attrib.update({
            "class": "mark", "role": "img", "tabindex": "-1", "aria-label": sentence, "data-key": keys[sentence],
        })  # fmt: skip
    if "id" in element.attrib:
        element.set("id", ids[element.get("id", "")])
    if "clip-path" in element.attrib:
        old = re.sub(r"^url\(#|\)$", "", element.get("clip-path", ""))
        element.set("clip-path", f"url(#{ids[old]})")
    for attribute in ("d", "transform", "x2", "y2", "x", "y"):
        if attribute in element.attrib:
            element.set(
                attribute, re.sub(r"\d+\.\d{2,}(?!e)", lambda m: f"{float(m[0]):.1f}", element.get(attribute, ""))
            )
