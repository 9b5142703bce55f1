"""What the verbs that train share: where results go, saying the cost, running with a progress bar."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult

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

    @property
    def silent(self) -> bool:
        """Whether no progress is shown: asked for, or because programs read along."""
        return self.quiet or self.json

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
    from leaq.study import audit_into

    out, quiet = output.out, output.silent
    try:
        with limited_threads(config.threads), console.progress_bar(quiet=quiet) as progress:
            samples, resolved = prepare(config, progress=progress)

        def say_cost() -> None:
            if not quiet:
                from leaq.costing import cost

                console.note(cost(samples, resolved).sentence())

        if out is None:
            say_cost()
        with limited_threads(config.threads), console.progress_bar(quiet=quiet) as progress:
            if out is None:
                return audit_samples(samples, resolved, progress=progress)
            return audit_into(config, out, prepared=(samples, resolved), started=say_cost, progress=progress)
    except KeyboardInterrupt:
        kept = "Nothing was kept: name a run folder with --out to be able to resume."
        if out is not None:
            kept = f"Finished work is kept in {out}. Resume: the same command again."
        console.note(f"Interrupted. {kept}")
        raise typer.Exit(130) from None
