"""docs/attacks.md shows the registry as it is."""

from benchmarks.attack_docs import attack_table
from benchmarks.pages import DOCS, held

from leaq.attacks.registry import entries


def test_the_catalogue_is_current():
    assert held(DOCS / "attacks.md", "catalogue") == attack_table(), "run: python -m benchmarks.attack_docs"


def test_the_page_has_a_line_each_and_no_bar_breaks_it():
    lines = attack_table().splitlines()
    assert len(lines) == 2 + len(entries())
    assert {line.replace(r"\|", "").count("|") for line in lines} == {7}
