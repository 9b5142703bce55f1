"""Put the registry's catalogue, and tables measured by the benchmarks, into docs/quantizers.md.

python benchmarks/quantizer_tables.py breast_cancer bbb_martins.csv freesolv --out tables.md
python -m benchmarks.quantizer_docs [--tables tables.md]
"""

import argparse
from pathlib import Path

from benchmarks.pages import DOCS, put
from leaq.quantizers.catalogue import markdown

PAGE = DOCS / "quantizers.md"

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path)
    options = parser.parse_args()
    put(PAGE, "catalogue", markdown())
    if options.tables is not None:
        put(PAGE, "tables", options.tables.read_text())
