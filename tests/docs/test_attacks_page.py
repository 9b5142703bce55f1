"""docs/attacks.md shows the registry as it is."""

from pathlib import Path

from leaq.attacks.registry import BEGIN, END, markdown

PAGE = Path(__file__).parents[2] / "docs" / "attacks.md"


def test_the_catalogue_is_current():
    shown = PAGE.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert shown == markdown(), "run: python -m benchmarks.attack_docs"
