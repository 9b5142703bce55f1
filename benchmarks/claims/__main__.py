"""Judge the claims of the source study on the cells of one or more runs, and write the pages about them.

python -m benchmarks.claims runs/synthetic runs/molecular --out docs/results/claims.md --runs docs/results/runs.md
"""

import argparse
import json
from pathlib import Path

from benchmarks.claims.judging import claims
from benchmarks.claims.page import Group, claims_page, runs_page
from leaq.results import as_plain
from leaq.study import Store
from leaq.system.files import writable_place, write_atomic


def main(given: list[str] | None = None) -> None:
    """Read the runs, and print or write what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="run folders, made by leaq audit STUDY")
    parser.add_argument("--out", type=Path, help="Markdown file to write; by default it is printed")
    parser.add_argument(
        "--runs", dest="about", type=Path, help="Markdown file about the runs: commands, seconds, versions"
    )
    parser.add_argument("--json", action="store_true", help="print every claim, its estimate and verdict as JSON")
    asked = parser.parse_args(given)
    pages = {place: write for place, write in ((asked.out, claims_page), (asked.about, runs_page)) if place}
    for place in pages:
        writable_place(place)
    groups = []
    for run in asked.runs:
        store = Store(run)
        name = str(store.config.get("name", store.folder.name))
        groups.append(Group(name, store.finished(), f"leaq audit studies/{name}.toml --out {run}"))
    if asked.json:
        found = [(group.name, one) for group in groups for one in claims(group.cells)]
        print(json.dumps([{"run": name, "verdict": one.verdict, **as_plain(one)} for name, one in found], indent=1))
    elif asked.out is None:
        print(claims_page(groups))
    for place, write in pages.items():
        write_atomic(place, write(groups), mode=0o644)


if __name__ == "__main__":
    main()
