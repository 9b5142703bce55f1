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
    "MODEL",
    "OUTPUT",
    "Attacks",
    "DataDir",
    "Embedder",
    "Epochs",
    "Standardise",
    "Group",
    "Hidden",
    "Ignore",
    "Json",
    "LearningRate",
    "LogTarget",
    "Out",
    "Quantizers",
    "Quiet",
    "Replicates",
    "Report",
    "Seed",
    "Shadows",
    "ShowRecords",
    "SkipInvalid",
    "Smiles",
    "Source",
    "Split",
    "StripSalts",
    "Target",
    "Task",
    "WeightsDir",
    "build_config",
    "check_report",
    "name_folders",
    "names",
    "run_config",
    "say_folder",
    "widths",
    "write_page",
]

DATA, MODEL, OUTPUT = "What to audit", "How models are trained and attacked", "Where results go"

# Options that mean the same on every verb.
Source = Annotated[
    str,
    typer.Argument(
        help="A data set known by name (breast_cancer, freesolv, bbb_martins, ...: see leaq datasets) or a CSV, TSV, "
        "Parquet, NPZ or SD file."
    ),
]
Target = Annotated[str | None, typer.Option(help="Column to predict; needed for files.", rich_help_panel=DATA)]
Smiles = Annotated[
    str | None, typer.Option(help="Column of SMILES strings: the records are molecules.", rich_help_panel=DATA)
]
Task = Annotated[str, typer.Option(help="auto, classification or regression.", rich_help_panel=DATA)]
Ignore = Annotated[
    list[str] | None,
    typer.Option(help="Column that is no feature, such as an identifier; may be repeated.", rich_help_panel=DATA),
]
SkipInvalid = Annotated[
    bool,
    typer.Option(
        "--skip-invalid",
        help="Drop rows with missing values, unreadable SMILES or molecules the embedder cannot encode, and count "
        "them, instead of refusing the file.",
        rich_help_panel=DATA,
    ),
]
Group = Annotated[
    str | None,
    typer.Option(
        help="Column of patients, series, ...: records of one group stay on one side of every split.",
        rich_help_panel=DATA,
    ),
]
StripSalts = Annotated[
    bool,
    typer.Option("--strip-salts", help="Keep the largest organic fragment of each molecule.", rich_help_panel=DATA),
]
LogTarget = Annotated[
    bool, typer.Option("--log-target", help="Predict log10 of a positive, heavy-tailed target.", rich_help_panel=DATA)
]
Split = Annotated[
    str,
    typer.Option(
        help="random, scaffold or cluster: what stays on one side of a split. Anything but random changes what attack "
        "numbers mean, and is marked.",
        rich_help_panel=DATA,
    ),
]
DataDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of catalogued molecular tasks, <task>.csv; else LEAQ_DATA_DIR, the cache, a download.",
        rich_help_panel=DATA,
    ),
]
WeightsDir = Annotated[
    Path | None,
    typer.Option(
        help="Folder of pretrained weights; else LEAQ_WEIGHTS_DIR, the cache, a download.", rich_help_panel=DATA
    ),
]
Embedder = Annotated[
    str,
    typer.Option(
        help="How records become numbers: auto, identity, ecfp4, descriptors, gat_contextpred, ...: see leaq "
        "embedders.",
        rich_help_panel=DATA,
    ),
]
Quantizers = Annotated[
    str,
    typer.Option(
        help="Comma-separated: sign, ternary(sparsity=0.9), uniform(bits=4), ...; or the families study, shipped, "
        "all. Full precision is always measured beside them.",
        rich_help_panel=MODEL,
    ),
]
Attacks = Annotated[
    str,
    typer.Option(
        help="Comma-separated attacks (threshold, lira-online, rmia, whitebox, quantile, ...), or default (those that "
        "cost next to nothing), or all.",
        rich_help_panel=MODEL,
    ),
]
Replicates = Annotated[
    int,
    typer.Option(
        help="Models trained, each on its own half of the records; each is attacked with all others as its shadow "
        "models.",
        rich_help_panel=MODEL,
    ),
]
Shadows = Annotated[
    int,
    typer.Option(
        help="Further models trained that are not attacked: more shadow models for every attacked one. The cost is "
        "shown before it starts.",
        rich_help_panel=MODEL,
    ),
]
Hidden = Annotated[
    str,
    typer.Option(help="Widths of the hidden layers, e.g. 128,64; 'none' for a linear model.", rich_help_panel=MODEL),
]
Epochs = Annotated[int, typer.Option(help="Passes over the training records.", rich_help_panel=MODEL)]
Standardise = Annotated[
    str,
    typer.Option(
        help="What inputs and targets are centred and scaled by: none, public, pool, rounded, private or members.",
        rich_help_panel=MODEL,
    ),
]
LearningRate = Annotated[float, typer.Option(help="Step size of Adam.", rich_help_panel=MODEL)]
Seed = Annotated[int, typer.Option(help="The same seed gives the same numbers.", rich_help_panel=MODEL)]
Out = Annotated[
    Path | None,
    typer.Option(
        help="Run folder: keeps configuration and results, private to you; the same command again goes on after an "
        "interruption, or reads what is finished.",
        rich_help_panel=OUTPUT,
    ),
]
Report = Annotated[Path | None, typer.Option(help="Write a self-contained HTML report.", rich_help_panel=OUTPUT)]
ShowRecords = Annotated[
    bool,
    typer.Option(
        "--show-records",
        help="Print the records most exposed (SMILES, or the first columns), not only row numbers; with --out, "
        "molecules are also drawn, in exposed.html of the run folder. Names training records: not to be shared.",
        rich_help_panel=OUTPUT,
    ),
]
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


def names(text: str) -> tuple[str, ...]:
    """Read a list of names separated by commas."""
    return tuple(name.strip() for name in text.split(","))


def widths(text: str) -> tuple[int, ...]:
    """Read --hidden."""
    if text.strip().lower() in ("none", ""):
        return ()
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise InvalidInput(f"--hidden must be widths such as 128,64, or none. Found {text!r}.") from None


def check_report(report: Path | None) -> None:
    """Refuse a place where no report can be written, before the work starts."""
    if report is not None:
        from leaq.reporting.html import check_place

        check_place(report)


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
