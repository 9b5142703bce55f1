"""Every benchmark that speaks of speed: ``python -m benchmarks [--quick] [--only PART,...] [--before CHECKOUT]``.

Each part runs in a process of its own and is stored with machine and commit in benchmarks/speed/results as soon as it is
done; it is compared with what was stored before it. Then docs/performance.md is written from all that is stored.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks.speed import machine, page

PARTS = page.BODIES
RESULTS = Path(__file__).parent / "speed" / "results"
NAMED = (
    *("what", "source", "side", "width", "kind", "models", "tool", "axis", "at", "engine"), "parameters", "quantizers",
)  # fmt: skip
"""Fields that say what a row is about; the others are numbers."""
SECONDS = ("seconds", "step", "together", "apart", "wall", "cuda", "bytes", "microseconds")
"""Numbers that are compared with the last ones."""


def stored(name: str) -> dict | None:
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def compared(before: dict | None, after: dict) -> list[str]:
    """Return a line for each number that the last run measured too."""
    if before is None:
        return []
    earlier = {tuple(row.get(name) for name in NAMED): row for row in before["rows"]}
    lines = []
    for row in after["rows"]:
        old = earlier.get(key := tuple(row.get(name) for name in NAMED), {})
        for name in SECONDS:
            was, now = (sum(one.values()) if isinstance(one, dict) else one for one in (old.get(name), row.get(name)))
            if was and now:
                label = ", ".join(str(part) for part in key if part is not None)
                lines.append(f"{label}: {name} {was:.4g} -> {now:.4g} ({now / was - 1:+.0%})")
    return lines


def run(name: str, *, quick: bool, before: Path | None) -> None:
    """Measure a part in this process, and keep it."""
    about = machine.described()
    more = {"before": before} if name == "phases" else {}
    last, found = (
        stored(name),
        {"part": name, "quick": quick, "machine": about, "rows": PARTS[name].measure(quick=quick, **more)},
    )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(PARTS[name].body(found["rows"]), *compared(last, found), sep="\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few minutes: fewer points and rounds")
    parser.add_argument("--only", default=",".join(PARTS), help=f"of {', '.join(PARTS)}")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier commit, timed in the same run")
    parser.add_argument("--page-only", action="store_true", help="write the page from what is stored")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    names = [] if options.page_only else options.only.split(",")
    if odd := [name for name in names if name not in PARTS]:
        parser.error(f"no part is called {odd[0]!r}")
    if options.here:
        return run(names[0], quick=options.quick, before=options.before)
    words = (["--quick"] if options.quick else []) + (["--before", str(options.before)] if options.before else [])
    for name in names:
        print(f"\n## {name}\n", flush=True)
        line = [sys.executable, "-m", "benchmarks", "--here", "--only", name, *words]
        subprocess.run(line, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    page.write({name: found for name in PARTS if (found := stored(name)) is not None})
    return None


if __name__ == "__main__":
    main()
