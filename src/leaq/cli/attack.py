"""``leaq attack``: every attack on released models, with many shadow models, and the records most exposed."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.running import (
    DATA,
    MODEL,
    OUTPUT,
    Epochs,
    LearningRate,
    Quiet,
    Seed,
    Smiles,
    Target,
    Task,
    build_config,
    run_config,
    widths,
)

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult

__all__ = ["attack"]

COLUMNS = 6
"""Columns of a record that --show-records prints."""


def attack(
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
    ] = "sign,ternary(sparsity=0.5),uniform(bits=4)",
    attacks: Annotated[
        str,
        typer.Option(
            help="Comma-separated names (threshold, lira-online, rmia, whitebox, quantile, ...), or default, or all.",
            rich_help_panel=MODEL,
        ),
    ] = "all",
    replicates: Annotated[int, typer.Option(help="Models that are attacked.", rich_help_panel=MODEL)] = 16,
    shadows: Annotated[
        int, typer.Option(help="Further models that only serve as shadow models.", rich_help_panel=MODEL)
    ] = 16,
    hidden: Annotated[str, typer.Option(help="Widths of the hidden layers.", rich_help_panel=MODEL)] = "128,64",
    epochs: Epochs = 60,
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    show_records: Annotated[
        bool,
        typer.Option(
            "--show-records",
            help="Print the exposed records (SMILES, or the first columns), not only rows.",
            rich_help_panel=OUTPUT,
        ),
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; the same command again goes on.", rich_help_panel=OUTPUT)
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.", rich_help_panel=OUTPUT)] = False,
    quiet: Quiet = False,
) -> None:
    """Attack released quantized models in every way leaq knows, and say which records are exposed.

    Like leaq audit, but only released weights are evaluated, so more shadow models fit into the same time. Every \
    number names its attacker and the game that was played.

    Examples:

        leaq attack breast_cancer

        leaq attack my.csv --target y --attacks lira-online,whitebox --shadows 48
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
        attacks=tuple(name.strip() for name in attacks.split(",")),
        replicates=replicates,
        shadows=shadows,
        seed=seed,
        training={"hidden": widths(hidden), "epochs": epochs, "learning_rate": learning_rate, "checkpoints": 1},
    )
    result = run_config(config, out, quiet=quiet or json)
    if json:
        console.say(result.to_json())
        return
    _show(result, _records(config) if show_records else None)


def _show(result: "CellResult", records: dict[int, str] | None) -> None:
    from leaq.reporting.attacks import attack_table, exposed, gap_table

    console.show_table(attack_table(result))
    gaps = gap_table(result)
    if gaps.rows:
        console.show_table(gaps)
    risky = exposed(result, shown=records)
    if risky is not None:
        console.show_table(risky)


def _records(config: "AuditConfig") -> dict[int, str]:
    """Read the records again as they stand in the source: SMILES, or column values."""
    from leaq.data import load

    samples = load(config.source, config)
    if samples.kind == "smiles":
        return {int(i): str(text) for i, text in zip(samples.ids, samples.inputs, strict=True)}
    names = [feature.name for feature in samples.features] or [str(i) for i in range(samples.inputs.shape[1])]
    return {
        int(i): ", ".join(f"{name}={value:g}" for name, value in zip(names[:COLUMNS], row[:COLUMNS], strict=True))
        for i, row in zip(samples.ids, samples.inputs, strict=True)
    }
