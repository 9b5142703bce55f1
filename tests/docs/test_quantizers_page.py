"""docs/quantizers.md shows the registry as it is."""

from benchmarks.pages import DOCS, held
from benchmarks.quantizer_docs import quantizer_table


def test_the_catalogue_is_current():
    assert held(DOCS / "quantizers.md", "catalogue") == quantizer_table(), "run: python -m benchmarks.quantizer_docs"
