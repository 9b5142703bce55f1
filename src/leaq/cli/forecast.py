"""``leaq forecast``: what the strongest attack is expected to find, from a few models and without attacking."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.running import (
    DATA,
    MODEL,
    OUTPUT,
    Epochs,
    Json,
    LearningRate,
    Quiet,
    Report,
    Seed,
    Smiles,
    Target,
    Task,
    build_config,
    run_config,
    widths,
)

if TYPE_CHECKING:
    from leaq.results import CellResult

__all__ = ["forecast"]


def forecast(
    source: Annotated[str, typer.Argument(help="A data set known by name, or a CSV, TSV, Parquet or NPZ file.")],
    target: Target = None,
    smiles: Smiles = None,
    task: Task = "auto",
    ignore: Annotated[
        list[str] | None, typer.Option(help="Column that is no feature; may be repeated.", rich_help_panel=DATA)
    ] = None,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Drop and count unusable rows.", rich_help_panel=DATA)
    ] = False,
    embedder: Annotated[str, typer.Option(help="How records become numbers.", rich_help_panel=DATA)] = "auto",
    quantizers: Annotated[
        str, typer.Option(help="Comma-separated names or families; see leaq audit.", rich_help_panel=MODEL)
    ] = "study,uniform(bits=8)",
    replicates: Annotated[
        int, typer.Option(help="Models trained: at least 4; 8 forecast better.", rich_help_panel=MODEL)
    ] = 8,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.", rich_help_panel=MODEL)] = "128,64",
    epochs: Epochs = 60,
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    records: Annotated[
        bool,
        typer.Option(
            "--records",
            help="Print the rows expected to be most exposed too. It names training records: not to be shared.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; the same command again goes on.", rich_help_panel=OUTPUT)
    ] = None,
    report: Report = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Forecast what LiRA with 64 models would find, for every quantizer, from a few models and without attacking.

    For those who cannot afford the attack: a few models are trained instead of 64. A forecast is no measurement; one \
    that cannot be trusted is flagged, and leaq audit shows it beside the attack.

    Examples:

        leaq forecast breast_cancer

        leaq forecast my.csv --target y --replicates 4 --quantizers 'sign,uniform(bits=4)'
    """
    config = build_config(
        source=source,
        target=target,
        smiles=smiles,
        task=task,
        ignore=tuple(ignore or ()),
        skip_invalid=skip_invalid,
        embedder=embedder,
        quantizers=(quantizers,),
        attacks=("threshold",),
        replicates=replicates,
        seed=seed,
        training={"hidden": widths(hidden), "epochs": epochs, "learning_rate": learning_rate, "checkpoints": 1},
    )
    if report is not None:
        from leaq.reporting.html import check_place

        check_place(report)
    result = run_config(config, out, quiet=quiet or json)
    _refuse_none(result)
    if json:
        console.say(result.to_json())
    else:
        _show(result, records=records)
    if report is not None:
        from leaq.reporting.html import write_report

        write_report([result], report)
        console.note(f"Report: {report}")


def _refuse_none(result: "CellResult") -> None:
    """Refuse a result without any forecast: nothing else was asked for."""
    from leaq.errors import NotEnoughEvidence

    if "forecast" in result.not_computed:
        raise NotEnoughEvidence(result.not_computed["forecast"])


def _show(result: "CellResult", *, records: bool) -> None:
    from leaq.reporting.forecast_words import about_forecast
    from leaq.reporting.forecasts import forecast_table
    from leaq.reporting.records import exposed

    console.show_table(forecast_table(result))
    console.paragraph("\n" + about_forecast(result))
    risky = exposed(result, limit=10) if records else None
    if risky is not None:
        console.show_table(risky)
