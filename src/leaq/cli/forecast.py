"""``leaq forecast``: what the strongest attack is expected to find, from a few models and without attacking."""

from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.running import (
    MODEL,
    OUTPUT,
    Embedder,
    Epochs,
    Hidden,
    Ignore,
    Json,
    LearningRate,
    Out,
    Quantizers,
    Quiet,
    Report,
    Seed,
    SkipInvalid,
    Smiles,
    Source,
    Standardise,
    Target,
    Task,
    build_config,
    check_report,
    run_config,
    widths,
    write_page,
)

if TYPE_CHECKING:
    from leaq.results import CellResult

__all__ = ["forecast"]


def forecast(
    source: Source,
    target: Target = None,
    smiles: Smiles = None,
    task: Task = "auto",
    ignore: Ignore = None,
    skip_invalid: SkipInvalid = False,
    embedder: Embedder = "auto",
    quantizers: Quantizers = "study,uniform(bits=8)",
    replicates: Annotated[
        int, typer.Option(help="Models trained: at least 4; 8 forecast better.", rich_help_panel=MODEL)
    ] = 8,
    hidden: Hidden = "128,64",
    epochs: Epochs = 60,
    standardise: Standardise = "auto",
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
    out: Out = None,
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
        training={
            "hidden": widths(hidden),
            "epochs": epochs,
            "learning_rate": learning_rate,
            "checkpoints": 1,
            "standardise": standardise,
        },
    )
    check_report(report)
    result = run_config(config, out, quiet=quiet or json)
    _refuse_none(result)
    if json:
        console.say(result.to_json())
    else:
        _show(result, records=records)
    write_page(result, report)


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
