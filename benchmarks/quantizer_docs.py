"""Put the registry's catalogue, and tables measured by the benchmarks, into docs/quantizers.md.

python benchmarks/quantizer_tables.py breast_cancer bbb_martins.csv freesolv --out tables.md
python -m benchmarks.quantizer_docs [--tables tables.md]
"""

import argparse
from pathlib import Path

from benchmarks.pages import DOCS, put
from leaq.quantizers.catalogue import entries

PAGE = DOCS / "quantizers.md"


def quantizer_table() -> str:
    """Return the catalogue as a Markdown table, the same on every machine (what is installed does not matter)."""
    lines = ["| quantizer | bits a code | levels | quantizes | needs | source |", "|---|---|---|---|---|---|"]
    for found in entries():
        cells = (f"`{found.example}`", f"{found.bits:g}", found.levels, found.weights, str(found.needs), found.source)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", type=Path)
    options = parser.parse_args()
    put(PAGE, "catalogue", quantizer_table())
    if options.tables is not None:
        put(PAGE, "tables", options.tables.read_text())
