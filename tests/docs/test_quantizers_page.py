"""docs/quantizers.md shows the registry as it is."""

from benchmarks.pages import DOCS, held

from leaq.quantizers.catalogue import markdown


def test_the_catalogue_is_current():
    assert held(DOCS / "quantizers.md", "catalogue") == markdown(), "run: python -m benchmarks.quantizer_docs"
