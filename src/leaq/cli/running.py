"""What the verbs that train share: where results go, saying the cost, running with a progress bar."""

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult
    from leaq.types import Samples

__all__ = ["OUTPUT", "Folders", "Json", "Output", "Quiet", "Report", "run_config", "say_folder", "write_page"]

OUTPUT = "Where results go"

Report = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report.", rich_help_panel=OUTPUT)]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON and nothing else.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.", rich_help_panel=OUTPUT)]


@dataclass(frozen=True)
class Folders:
    """Where data and weights are looked for; no part of the configuration, so no part of the numbers."""

    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of catalogued molecular tasks, TASK.csv; else LEAQ_DATA_DIR, the cache, a download.",
            rich_help_panel="What to audit",
        ),
    ] = None
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pretrained weights; else LEAQ_WEIGHTS_DIR, the cache, a download.",
            rich_help_panel="What to audit",
        ),
    ] = None

    def use(self) -> None:
        """Put the folders where every process of this run finds them."""
        for variable, folder in (("LEAQ_DATA_DIR", self.data_dir), ("LEAQ_WEIGHTS_DIR", self.weights_dir)):
            if folder is not None:
                if not folder.is_dir():
                    raise InvalidInput(f"There is no folder {str(folder)!r}. Create it, or name another one.")
                os.environ[variable] = str(folder.resolve())


@dataclass(frozen=True)
class Output:
    """What becomes of the result."""

    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder: keeps configuration and results, private to you; the same command again goes on after "
            "an interruption, or reads what is finished.",
            rich_help_panel=OUTPUT,
        ),
    ] = None
    report: Report = None
    show_records: Annotated[
        bool,
        typer.Option(
            "--show-records",
            help="Print the records most exposed too, by row and content; with --out, molecules are also drawn, in "
            "exposed.html of the run folder. Names training records: not to be shared.",
            rich_help_panel=OUTPUT,
        ),
    ] = False
    json: Json = False
    quiet: Quiet = False
    jobs: Annotated[
        int,
        typer.Option(help="Processes that train and measure at the same time; the numbers are the same.", min=1),
    ] = 1
    engine: Annotated[
        str | None,
        typer.Option(help="Where these run: processes (this machine) or ray; by default processes, for several jobs."),
    ] = None

    @property
    def silent(self) -> bool:
        """Whether no progress is shown: asked for, or because programs read along."""
        return self.quiet or self.json

    @property
    def alone(self) -> bool:
        """Whether everything runs in this process."""
        return self.jobs == 1 and self.engine in (None, "local")

    def check(self) -> None:
        """Refuse, before the work starts, what cannot be written or goes not together."""
        if self.show_records and self.json:
            raise InvalidInput("--json prints aggregates, --show-records single records. Found both. Name one.")
        if self.report is not None:
            from leaq.reporting.html import check_place

            check_place(self.report)


def write_page(result: "CellResult", report: Path | None) -> None:
    """Write the report of --report, and say where it is."""
    if report is not None:
        from leaq.reporting.html import write_report

        write_report([result], report)
        console.note(f"Report: {report}")


def say_folder(out: Path | None) -> None:
    """Say where the run is kept, and how to read it again."""
    if out is not None:
        console.note(f"Run folder: {out} (private: it holds row numbers and losses). Show it again: leaq show {out}")


def run_config(config: "AuditConfig", output: Output, folders: Folders) -> "CellResult":
    """Run an audit; say beforehand what it costs, if there is anything to compute."""
    output.check()
    folders.use()
    from leaq.environment import limited_threads
    from leaq.pipeline import audit_samples, prepare

    out, quiet = output.out, output.silent
    try:
        with limited_threads(config.threads), console.progress_bar(quiet=quiet) as progress:
            samples, resolved = prepare(config, progress=progress)

        def say_cost() -> None:
            if not quiet:
                from leaq.costing import cost

                console.note(cost(samples, resolved).sentence())

        with limited_threads(config.threads), console.progress_bar(quiet=quiet) as progress:
            if out is None and output.alone:
                say_cost()
                return audit_samples(samples, resolved, progress=progress)
            return _into_folder(config, output, (samples, resolved), started=say_cost, progress=progress)
    except KeyboardInterrupt:
        kept = "Nothing was kept: name a run folder with --out to be able to resume."
        if out is not None:
            kept = f"Finished work is kept in {out}. Resume: the same command again."
        console.note(f"Interrupted. {kept}")
        raise typer.Exit(130) from None


def _into_folder(
    config: "AuditConfig", output: Output, prepared: "tuple[Samples, AuditConfig]", **watching: Any
) -> "CellResult":
    """Run in the folder of --out, or in one for the time being: processes exchange their parts there."""
    from leaq.study import audit_into
    from leaq.study.engines import make_engine

    name = output.engine or ("local" if output.jobs == 1 else "processes")
    with closing(make_engine(name, workers=output.jobs)) as engine, tempfile.TemporaryDirectory() as passing:
        folder = output.out or Path(passing) / "run"
        return audit_into(config, folder, prepared=prepared, engine=engine, **watching)
