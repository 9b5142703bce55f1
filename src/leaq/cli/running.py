"""What the verbs that train share: reading options, saying the cost, running with a progress bar."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaq.cli import console
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult

__all__ = [
    "DATA",
    "Epochs",
    "Json",
    "LearningRate",
    "MODEL",
    "OUTPUT",
    "Quiet",
    "Report",
    "Seed",
    "Smiles",
    "Target",
    "Task",
    "build_config",
    "name_folders",
    "run_config",
    "widths",
]

DATA, MODEL, OUTPUT = "What to audit", "How models are trained and attacked", "Where results go"

# Options that mean the same on every verb.
Target = Annotated[str | None, typer.Option(help="Column to predict; needed for files.", rich_help_panel=DATA)]
Smiles = Annotated[
    str | None, typer.Option(help="Column of SMILES strings: the records are molecules.", rich_help_panel=DATA)
]
Task = Annotated[str, typer.Option(help="auto, classification or regression.", rich_help_panel=DATA)]
Epochs = Annotated[int, typer.Option(help="Passes over the training records.", rich_help_panel=MODEL)]
LearningRate = Annotated[float, typer.Option(help="Step size of Adam.", rich_help_panel=MODEL)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.", rich_help_panel=MODEL)]
Report = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report.", rich_help_panel=OUTPUT)]
Json = Annotated[
    bool, typer.Option("--json", help="Print the result as JSON and nothing else.", rich_help_panel=OUTPUT)
]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.", rich_help_panel=OUTPUT)]


def build_config(**options: Any) -> "AuditConfig":
    """Check all options at once."""
    from leaq.cell import AuditConfig

    return AuditConfig.from_dict(options)


def name_folders(**folders: Path | None) -> None:
    """Put folders where every process of this run finds them; they are no part of the configuration."""
    for variable, folder in folders.items():
        if folder is not None:
            if not folder.is_dir():
                raise InvalidInput(f"There is no folder {str(folder)!r}. Create it, or name another one.")
            os.environ[variable] = str(folder.resolve())


def widths(text: str) -> tuple[int, ...]:
    """Read --hidden."""
    if text.strip().lower() in ("none", ""):
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--hidden must be widths such as 128,64, or none. Found {text!r}.") from None


def run_config(config: "AuditConfig", out: Path | None, *, quiet: bool) -> "CellResult":
    """Run an audit; say beforehand what it costs, if there is anything to compute."""
    from leaq.pipeline import audit_samples, prepare
    from leaq.study import audit_into

    try:
        with console.progress_bar(quiet=quiet) as progress:
            samples, resolved = prepare(config, progress=progress)

        def say_cost() -> None:
            if not quiet:
                from leaq.costing import cost

                console.note(cost(samples, resolved).sentence())

        if out is None:
            say_cost()
        with console.progress_bar(quiet=quiet) as progress:
            if out is None:
                return audit_samples(samples, resolved, progress=progress)
            return audit_into(config, out, prepared=(samples, resolved), started=say_cost, progress=progress)
    except KeyboardInterrupt:
        kept = "Nothing was kept: name a run folder with --out to be able to resume."
        if out is not None:
            kept = f"Finished work is kept in {out}. Resume: the same command again."
        console.note(f"Interrupted. {kept}")
        raise typer.Exit(130) from None
