"""``leaq run``: compute a study, a grid of audits."""

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.study import Study

__all__ = ["run"]

WHERE, HOW = "Where it runs", "What is shown"


def run(
    study: Annotated[Path, typer.Argument(help="A study file (TOML); see docs/studies.md.")],
    out: Annotated[
        Path,
        typer.Option(
            help="Run folder: keeps configuration and results, private to you; the same command again goes on after an "
            "interruption."
        ),
    ],
    variant: Annotated[
        str | None, typer.Option(help="A variant the study file defines, e.g. quick.", rich_help_panel=WHERE)
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            help="local (this process), processes (this machine) or ray (a cluster); the numbers are the same.",
            rich_help_panel=WHERE,
        ),
    ] = "local",
    workers: Annotated[
        int | None, typer.Option(help="Tasks at a time; by default all cores.", rich_help_panel=WHERE)
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="Ray cluster: auto, host:port, or local to start one here.", rich_help_panel=WHERE),
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(
            help="Threads of each task instead of the study's; part of the numbers' rounding.",
            min=1,
            rich_help_panel=WHERE,
        ),
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"] | None,
        typer.Option(
            help="Where models are trained and evaluated instead of the study's choice, cpu or cuda; part of the "
            "numbers' rounding.",
            metavar="<choice>",
            rich_help_panel=WHERE,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Try cells again that failed in an earlier run.")
    ] = False,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="Compute the rest where data sets or weights cannot be found; by default nothing is computed then.",
        ),
    ] = False,
    keep_losses: Annotated[
        bool,
        typer.Option(
            "--keep-losses",
            help="Keep every record's losses of finished cells (sensitive, about 10 MB a cell), so that a version of "
            "leaq that measures otherwise trains nothing anew.",
        ),
    ] = False,
    mlflow: Annotated[
        str | None,
        typer.Option(
            help="Log finished cells, aggregates only, to an MLflow store such as sqlite:///mlflow.db; each is logged "
            "once, also when the command is given again (extra mlflow).",
            metavar="URI",
        ),
    ] = None,
    plan: Annotated[
        bool, typer.Option("--plan", help="Print the plan and leave; as JSON with --json-lines.", rich_help_panel=HOW)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.", rich_help_panel=HOW)] = False,
    json_lines: Annotated[
        bool,
        typer.Option(
            "--json-lines", help="Progress as JSON on standard output, one event a line.", rich_help_panel=HOW
        ),
    ] = False,
) -> None:
    """Compute every cell of a study: data sets x embedders x heads x seeds, each audited under every quantizer.

    Finished cells are kept and never computed again; a cell that fails is recorded with its traceback and does not
    stop the others. Exit code 1: some cells failed. Data sets and weights that cannot be found are named before
    anything is computed.

    Examples:

        leaq run studies/synthetic.toml --variant quick --out runs/synthetic

        leaq run study.toml --out runs/x --engine processes --workers 4

        leaq run study.toml --out runs/x --engine ray --address auto
    """
    from leaq.study import Rules, Store, Study, run_study
    from leaq.study.engines import make_engine
    from leaq.study.tracking import check_store, track

    if quiet and json_lines:
        raise InvalidInput("--quiet and --json-lines exclude each other. Name one.")
    if mlflow is not None:
        check_store(mlflow)
    asked = Study.from_toml(study, variant=variant)
    placed = {name: value for name, value in (("threads", threads), ("device", device)) if value is not None}
    if placed:
        asked = Study.from_dict({**asked.to_dict(), **placed})
    if plan:
        _plan(asked, workers or 1, as_json=json_lines)
        return
    try:
        with (
            console.watching(quiet=quiet, json_lines=json_lines) as watch,
            closing(make_engine(engine, workers=workers, address=address)) as made,
        ):
            rules = Rules(retry_failed=retry_failed, allow_missing=allow_missing, keep_losses=keep_losses)
            outcome = run_study(asked, out, engine=made, rules=rules, watch=watch)
    except KeyboardInterrupt:
        console.note(f"Interrupted. Finished work is kept in {out}. Resume: the same command again.")
        raise typer.Exit(130) from None
    say = (lambda _text: None) if quiet else console.note
    say(outcome.describe())
    if mlflow is not None:
        logged = track(Store(out), mlflow)
        say(f"MLflow: {logged.logged} cells logged to {mlflow}, {logged.there} were there.")
    if outcome.failures:
        raise typer.Exit(1)


def _plan(study: "Study", slots: int, *, as_json: bool) -> None:
    from leaq.results import as_plain
    from leaq.study.plan import plan as count
    from leaq.study.sources import missing

    counted, absent = count(study.cells(), finished=0, failed=0, slots=slots), missing(study.cells())
    if as_json:
        console.say_json({**as_plain(counted), "missing": absent})
        return
    console.say(counted.describe())
    for name, reason in absent.items():
        console.say(f"MISSING  {name}: {reason}")
