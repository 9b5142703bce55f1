"""``leaq claims``: judge the source study's claims on the cells of one or more runs."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["claims"]


def claims(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, made by leaq run.")],
    out: Annotated[Path | None, typer.Option(help="Markdown file to write; by default it is printed.")] = None,
    runs_page: Annotated[
        Path | None,
        typer.Option("--runs", help="Markdown file to write about the runs themselves: commands, seconds, versions."),
    ] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print every claim with its estimate and verdict as JSON and nothing else.")
    ] = False,
) -> None:
    """Judge the claims of the source study: a statistic, its interval and a verdict for each.

    Examples:

        leaq claims runs/synthetic runs/molecular --out docs/results/claims.md --runs docs/results/runs.md
    """
    from leaq.files import writable_place, write_atomic
    from leaq.study import Store
    from leaq.study.claims import claims as judge
    from leaq.study.claims_page import Group, claims_page
    from leaq.study.claims_page import runs_page as about_runs

    pages = {place: write for place, write in ((out, claims_page), (runs_page, about_runs)) if place is not None}
    for place in pages:
        writable_place(place)
    groups = []
    for run in runs:
        store = Store(run)
        name = str(store.config.get("name", store.folder.name))
        groups.append(Group(name, store.finished(), f"leaq run studies/{name}.toml --out {run}"))
    if json:
        from leaq.results import as_plain

        console.say_json(
            [
                {"run": group.name, "verdict": one.verdict, **as_plain(one)}
                for group in groups
                for one in judge(group.cells)
            ]
        )
    elif out is None:
        console.say(claims_page(groups))
    for place, write in pages.items():
        write_atomic(place, write(groups), mode=0o644)
        console.note(f"Written: {place}")
