"""``leaq lambda``: lambda_k against k for one data set, and whether its maximum is at low k."""

from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["lambda_k"]


def lambda_k(
    source: Annotated[str, typer.Argument(help="A data set known by name, or a CSV, TSV, Parquet or NPZ file.")],
    target: Annotated[str | None, typer.Option(help="Column to predict; needed for files.")] = None,
    smiles: Annotated[str | None, typer.Option(help="Column of SMILES strings.")] = None,
    quantizers: Annotated[str, typer.Option(help="Specifications or family names, separated by commas.")] = "study",
    replicates: Annotated[int, typer.Option(help="Models trained.")] = 8,
    checkpoints: Annotated[int, typer.Option(help="Candidates per model, evenly spaced along training.")] = 20,
    epochs: Annotated[int, typer.Option(help="Passes over each model's members.")] = 60,
    seed: Annotated[int, typer.Option(help="Root of every random choice.")] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
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
        training=TrainingConfig(epochs=epochs, checkpoints=checkpoints),
        seed=seed,
    )
    with console.progress_bar(quiet=quiet) as progress:
        result = audit(config, progress=progress)
    console.show_table(lambda_table(result))


def _parsed(text: str):  # type: ignore[no-untyped-def]
    from leaq.quantizers import parse_list

    return parse_list(text)
