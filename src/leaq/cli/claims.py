"""``leaq claims``: judge the source study's claims on the cells of one or more runs."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["claims"]


def claims(
    runs: Annotated[list[Path], typer.Argument(help="Run folders, made by leaq run.")],
    out: Annotated[Path | None, typer.Option(help="Markdown file to write; by default it is printed.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print every claim with its estimate and verdict as JSON and nothing else.")
    ] = False,
) -> None:
    """Judge the claims of the source study: a statistic, its interval and a verdict for each.

    Examples:

        leaq claims runs/synthetic runs/molecular --out docs/results/claims.md
    """
    from leaq.files import writable_place, write_atomic
    from leaq.study import Store
    from leaq.study.claims import claims as judge
    from leaq.study.claims import markdown

    if out is not None:
        writable_place(out)
    stores = [Store(run) for run in runs]
    named = [(str(store.config.get("name", store.folder.name)), store.finished()) for store in stores]
    page = "" if json and out is None else markdown(named)
    if json:
        from leaq.results import as_plain

        console.say_json(
            [{"run": name, "verdict": one.verdict, **as_plain(one)} for name, cells in named for one in judge(cells)]
        )
    elif out is None:
        console.say(page)
    if out is not None:
        write_atomic(out, page, mode=0o644)
        console.note(f"Claims: {out}")
