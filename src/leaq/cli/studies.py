"""A study file as what is audited: a grid of audits, one cell each."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import typer
from pydantic import ConfigDict

from leaq.cli import console
from leaq.cli.configured import CommandLine
from leaq.cli.pages import Pages
from leaq.cli.running import Folders, Output, resumable, run_folder
from leaq.config import Config
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.study import Study

PLACED = ("threads", "device")
"""Options of an audit that the command may decide in the study's place; both are part of the numbers' rounding."""
ELSEWHERE = (*Folders.model_fields, *Pages.model_fields, "out", "jobs", "engine", "quiet", "plan")
"""Options that mean the same for a study."""


class Grid(Config):
    """What concerns a study only."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title="A study file")

    variant: str | None = None
    """A variant the study file defines, e.g. quick."""
    address: str | None = None
    """Ray cluster: auto, host:port, or local to start one here."""
    retry_failed: bool = False
    """Try cells again that failed in an earlier run."""
    allow_missing: bool = False
    """Compute the rest where data sets or weights cannot be found; by default nothing is computed then."""
    keep_losses: bool = False
    """Keep every record's losses of finished cells (sensitive, about 10 MB a cell), so that a version of leaq that
    measures otherwise trains nothing anew."""
    mlflow: str | None = None
    """Log finished cells, aggregates only, to an MLflow store such as sqlite:///mlflow.db; each is logged once, also
    when the command is given again (extra mlflow)."""
    json_lines: bool = False
    """Progress as JSON on standard output, one event a line."""


def run_grid(named: CommandLine) -> None:
    """Run the study file that was named."""
    named.refuse_others((*Grid.model_fields, *PLACED, *ELSEWHERE), "A study file says itself what is audited and how.")
    grid, output, pages = named.bundle(Grid), named.bundle(Output), named.bundle(Pages)
    if output.quiet and grid.json_lines:
        raise InvalidInput("--quiet and --json-lines exclude each other. Name one.")
    asked = _read(named, grid)
    workers = named.said.get("jobs")
    if output.plan:
        _plan(asked, workers or 1, as_json=grid.json_lines)
        return
    named.bundle(Folders).use()
    out = output.out or run_folder(named.source, asked)
    if out is None:
        raise InvalidInput("A study is kept in a run folder. Found LEAQ_RUNS_DIR=off. Name one with --out.")
    pages.check(out)
    _run(asked, out, grid=grid, output=output, workers=workers)
    if pages.any:
        from leaq.study import Store

        store = Store(out)
        pages.write(out, store.with_risks if pages.internal else store.finished)


def _read(named: CommandLine, grid: Grid) -> "Study":
    from leaq.study import Study

    asked = Study.from_toml(Path(named.source), variant=grid.variant)
    placed = {name: named.said[name] for name in PLACED if name in named.said}
    return asked.but(**placed) if placed else asked


def _run(asked: "Study", out: Path, *, grid: Grid, output: Output, workers: int | None) -> None:
    from leaq.study import Rules, Store, run_study
    from leaq.study.engines import make_engine
    from leaq.study.tracking import check_store, track

    if grid.mlflow is not None:
        check_store(grid.mlflow)
    engine = output.engine or ("processes" if (workers or 1) > 1 else "local")
    rules = Rules(retry_failed=grid.retry_failed, allow_missing=grid.allow_missing, keep_losses=grid.keep_losses)
    with (
        resumable(out),
        console.watching(quiet=output.quiet, json_lines=grid.json_lines) as watch,
        closing(make_engine(engine, workers=workers, address=grid.address)) as made,
    ):
        outcome = run_study(asked, out, engine=made, rules=rules, watch=watch)
    if not output.quiet:
        console.note(outcome.describe())
    if grid.mlflow is not None:
        logged = track(Store(out), grid.mlflow)
        if not output.quiet:
            console.note(f"MLflow: {logged.logged} cells logged to {grid.mlflow}, {logged.there} were there.")
    if outcome.failures:
        raise typer.Exit(1)


def _plan(study: "Study", slots: int, *, as_json: bool) -> None:
    from leaq.study.plan import missing
    from leaq.study.plan import plan as count

    counted, absent = count(study.cells(), finished=0, failed=0, slots=slots), missing(study.cells())
    if as_json:
        console.say_json(counted, missing=absent)
        return
    console.say(counted.describe())
    for name, reason in absent.items():
        console.say(f"MISSING  {name}: {reason.removeprefix(f'{name}: ')}")
