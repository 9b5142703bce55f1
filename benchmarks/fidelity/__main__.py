"""One command: python -m benchmarks.fidelity [CACHE]; resumes where it stopped, then writes docs/fidelity.md."""

import json
import sys
import tempfile
from pathlib import Path

from benchmarks.fidelity import coverage, level_a, level_b, page, page_a, sampled, tried

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def main() -> None:
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    cache = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir()) / "leaq-fidelity"
    if "--page-only" not in sys.argv:
        level_a.run(results)
        sampled.run(results)
        if not coverage.RECORDED.exists():
            coverage.record()
        level_b.run(results, cache)
        tried.run(results, cache)
    exact, samples, covered = (
        json.loads((results / name).read_text())
        for name in (level_a.RECORDED, sampled.RECORDED, coverage.RECORDED.name)
    )
    records = json.loads((results / level_b.RECORDED).read_text())
    page.write(
        ROOT / "docs" / "fidelity.md",
        {
            "level-a": page_a.given_p(exact),
            "closed-forms": page_a.closed_forms(level_a.slopes()),
            "sampled": page_a.given_samples(samples),
            "coverage": page_a.coverage(covered),
            "settings": page.settings(records),
            "order": page.ordered(records),
            "level": page.level(records),
            "single": page.single(records),
            "costs": page.costs(records),
            "tried": tried.told(json.loads((results / tried.STORED).read_text())),
        },
    )
    page.figure(records, ROOT / "docs" / "fidelity.svg")


if __name__ == "__main__":
    main()
