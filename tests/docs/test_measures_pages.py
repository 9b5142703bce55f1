"""Every number of a result has a page that says how to read it, and when not to."""

import re
from pathlib import Path

import pytest

from leaq.attacks.registry import attack_families
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.training import TrainingConfig

DOCS = Path(__file__).parents[2] / "docs"
PAGES = [page for page in sorted((DOCS / "measures").glob("*.md")) if page.name != "index.md"]
PARTS = ("Direction", "Range", "Do not trust", "Source", "```python")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_says_how_to_read_a_measure(page):
    text = page.read_text()
    assert [part for part in PARTS if part not in text] == []
    assert re.search(r"^ {4}\S.* = ", text, re.MULTILINE) or "    G ~" in text, "a formula"


def test_every_number_of_an_audit_is_named():
    quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    result = audit(AuditConfig(source="wine", quantizers=("sign",), replicates=8, training=quick, draws=20))
    text = "".join(page.read_text() for page in [DOCS / "attacks.md", *(DOCS / "measures").glob("*.md")])
    keys = {key for row in result.rows for key in (*row.measures, *row.attacks, *row.curves)}
    assert {"r", "finite_sample", "lira"} <= keys
    assert {key for key in keys if f"`{key}`" not in text} == set()


def test_every_attack_is_named_with_its_source():
    text = (DOCS / "attacks.md").read_text() + (DOCS / "measures" / "language-models.md").read_text()
    assert {name for name in (*attack_families()["all"], "reference", "min-k") if f"`{name}`" not in text} == set()
    for number in ("1709.01604", "2111.08440", "2112.03570", "2312.03262", "2307.03694", "2310.16789"):
        assert number in text
