"""Put the registry's catalogue, and tables measured by the benchmarks, into docs/quantizers.md.

python benchmarks/quantizers.py > speed.md
python benchmarks/quantizer_tables.py breast_cancer bbb_martins.csv freesolv --out tables.md
python benchmarks/quantizer_docs.py [--speed speed.md] [--tables tables.md]
"""

import argparse
from pathlib import Path

from leaq.quantizers.catalogue import markdown

PAGE = Path(__file__).parents[1] / "docs" / "quantizers.md"


def put(page: str, kind: str, text: str) -> str:
    """Replace what stands between the two marks of `kind`."""
    begin, end = f"<!-- {kind}: begin -->", f"<!-- {kind}: end -->"
    before, rest = page.split(begin)
    return f"{before}{begin}\n{text.strip()}\n{end}{rest.split(end)[1]}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--speed", type=Path)
    parser.add_argument("--tables", type=Path)
    options = parser.parse_args()
    page = put(PAGE.read_text(), "catalogue", markdown())
    for kind, path in (("speed", options.speed), ("tables", options.tables)):
        if path is not None:
            page = put(page, kind, path.read_text())
    PAGE.write_text(page)
