"""One command: python -m benchmarks.fidelity [CACHE]; resumes where it stopped, then writes docs/fidelity.md."""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.fidelity import level_a, level_b, page

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main() -> None:
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir()) / "leaq-fidelity"
    if "--page-only" not in sys.argv:
        level_a.run(results)
        level_b.run(results, cache)
    exact = json.loads((results / level_a.RECORDED).read_text())
    trained = json.loads((results / level_b.RECORDED).read_text())
    rows = trained["rows"]
    page.write(
        ROOT / "docs" / "fidelity.md",
        {
            "level-a": page.level_a(exact, level_a.summary(exact), level_a.slopes()),
            "indicators": page.indicators(rows),
            "level": page.level(rows),
            "costs": page.costs(trained["timings"]),
            "settings": [page.settings(rows)],
        },
    )
    page.figure(rows, ROOT / "docs" / "fidelity.svg")


if __name__ == "__main__":
    main()
