"""``leaq clean``: keep only what a run folder may show to others."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console
from leaq.cli.completing import complete_runs, there


def clean_command(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="A run folder.", autocompletion=complete_runs, callback=there)
    ],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would go.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print what went as JSON and nothing else.")] = False,
) -> None:
    """Remove everything from a run folder that can give members away; results that may be shared stay.

    Losses by record, row numbers, risks by record, tracebacks and set-aside files go. What stays: configuration,
    results.csv and the cells, which hold aggregates only.
    """
    from leaq.study.cleaning import clean as remove

    removed = remove(run, dry_run=dry_run)
    if json:
        from leaq.results import as_plain

        console.say_json({"dry_run": dry_run, **as_plain(removed)})
        return
    links = f" {removed.links} were links; what they point to was left alone." if removed.links else ""
    verb = "Would remove" if dry_run else "Removed"
    size = f"{removed.files} files, {removed.bytes / 2**20:.1f} MiB"
    console.note(f"{verb} {size}.{links} See what is left: leaq show {run} --what")
