"""Names that are markup, script, formulas or control characters, in every place of a result that can hold a name."""

import csv
import io
import re
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path

from leaq.errors import LeaqError, visible
from leaq.reporting.card import privacy_card
from leaq.reporting.exports import write_exports
from leaq.reporting.html import render
from leaq.results import CellResult
from leaq.types import Flag
from tests.attack.inputs import Rng
from tests.results import cell, row

PAYLOADS = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>", "' onmouseover='alert(1)",
    "</script><script>alert(1)",

    "</style><script>alert(1)</script>", "<svg onload=alert(1)>", "<!--", "]]>", "{{7*7}}", "{% raw %}", "&lt;b&gt;",
    "javascript:alert(1)", "[a](javascript:alert(1))", "![a](http://a.example/b.png)", "`a`", "|a|b|", "# a", "\\<b>",
    "=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "=HYPERLINK(\"http://a.example\")", "\x1b[2J",
    "\x1b]0;a\x07", "\x00",    "\x9b31m", "\u202eabc", "\ufeff", "\ud800", "a\nb", "é" * 300, "none", "sign",
)  # fmt: skip


class Seen(HTMLParser):
    """What a browser would take for elements and attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.names: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.names |= {name for name, _ in attrs}
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "xlink:href", "action", "data")]


def made(name: str, label: str, about: str, spec: str) -> CellResult:
    """A result of two quantizers with these names in it."""
    flag = Flag("unused-columns" if about == "none" else "heavy-tail", about)
    rows = (row("none", "full precision", 0.3), row(spec, label, 0.1, -0.01, flags=(flag,)))
    found = cell(*rows, name=name, flags=(flag,))
    config = {**found.config, "source": name, "embedder": about, "target": label}
    data = {**found.data, "classes": {name: 15, label: 15}, "unit": about}
    return replace(found, config=config, data=data, environment={**found.environment, "platform": about})


@cache
def harmless() -> Seen:
    """The page of a result whose names are plain."""
    return Seen(render(made("toy", "sign", "heavy", "sign")))


def names(rng: Rng, folder: Path) -> None:
    """Page, card, exports and text of a result with odd names: nothing is taken for more than text."""
    drawn = (str(rng.choice(PAYLOADS)) for _ in range(4))
    found = made(*(f"{text}{rng.choice(PAYLOADS)}" if rng.random() < 0.3 else text for text in drawn))
    try:
        page = render(found)
    except LeaqError as err:
        raise AssertionError(f"no page: {err}") from None
    seen = Seen(page)
    assert set(seen.tags) <= set(harmless().tags), f"other elements: {set(seen.tags) - set(harmless().tags)}"
    assert seen.tags.count("script") == harmless().tags.count("script"), "a script more"
    assert seen.names <= harmless().names, f"other attributes: {seen.names - harmless().names}"
    assert all(link.startswith(("#", "data:")) for link in seen.links), "a link that leads out"
    card = privacy_card(found)
    told = re.sub(r"^```.*?^```", "", card, flags=re.DOTALL | re.MULTILINE)  # a command, as it is
    assert not re.search(r"(?<!\\)<[a-zA-Z/!]", told), "markup in a card"
    assert not re.search(r"(?<!\\)\]\((?:javascript|http)", told), "a link in a card"
    assert visible(page) == page
    assert visible(card) == card
    _, table = write_exports(found, folder / "x")
    for line in csv.reader(io.StringIO(table.read_text(encoding="utf-8"), newline="")):
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) and not number(value) for value in line)


def number(text: str) -> bool:
    """Whether a spreadsheet reads a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
