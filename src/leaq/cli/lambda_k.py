"""``leaq lambda``: lambda_k against k for one data set, and whether its maximum is at low k."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from leaq.cli import console
from leaq.cli.running import MODEL, OUTPUT, Epochs, Quantizers, Quiet, Seed, Smiles, Source, Standardise, Target

if TYPE_CHECKING:
    from leaq.results import Curve

__all__ = ["lambda_k"]


def lambda_k(
    source: Source,
    target: Target = None,
    smiles: Smiles = None,
    quantizers: Quantizers = "study",
    replicates: Annotated[int, typer.Option(help="Models trained.", rich_help_panel=MODEL)] = 8,
    checkpoints: Annotated[
        int, typer.Option(help="Candidates per model, evenly spaced along training.", rich_help_panel=MODEL)
    ] = 20,
    epochs: Epochs = 60,
    standardise: Standardise = "auto",
    seed: Seed = 0,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="Print curves, bands and statements as JSON and nothing else.", rich_help_panel=OUTPUT
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Show which candidates decide the rate r: lambda_k against k with bands, and whether low k is enough."""
    from leaq.cell import AuditConfig
    from leaq.pipeline import audit
    from leaq.reporting.lambdas import lambda_table
    from leaq.training import TrainingConfig

    config = AuditConfig(
        source=source,
        target=target,
        smiles=smiles,
        quantizers=tuple(part.spec() for part in _parsed(quantizers)),
        replicates=replicates,
        training=TrainingConfig.from_dict({"epochs": epochs, "checkpoints": checkpoints, "standardise": standardise}),
        seed=seed,
    )
    with console.progress_bar(quiet=quiet or json) as progress:
        result = audit(config, progress=progress)
    if json:
        curves = {row.quantizer: row.curves["lambda_k"] for row in result.rows if "lambda_k" in row.curves}
        console.say_json([_plain(quantizer, curve) for quantizer, curve in curves.items()])
        return
    console.show_table(lambda_table(result))


def _plain(quantizer: str, curve: "Curve") -> dict[str, Any]:
    from leaq.reporting.lambdas import peak, statement, verdict
    from leaq.results import as_plain

    said = {"k_max": peak(curve), "verdict": verdict(curve), "statement": statement(curve)}
    return {"quantizer": quantizer, **said, **as_plain(curve)}


def _parsed(text: str):  # type: ignore[no-untyped-def]
    from leaq.quantizers import parse_list

    return parse_list(text)
