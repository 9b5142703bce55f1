"""docs/quantizers.md shows the registry as it is."""

from pathlib import Path

from leaq.quantizers.catalogue import markdown
from leaq.quantizers.registry import BEGIN, END

PAGE = Path(__file__).parents[2] / "docs" / "quantizers.md"


def test_the_catalogue_is_current():
    shown = PAGE.read_text().split(BEGIN)[1].split(END)[0].strip()
    assert shown == markdown(), "run: python -m benchmarks.quantizer_docs"
