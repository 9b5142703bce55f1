"""``leaq audit``: train, quantize, attack and measure, from a name or a file to a ranked table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.private import beside, read_epsilons
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
    name_folders,
    run_config,
    widths,
)

if TYPE_CHECKING:
    from leaq.results import CellResult

__all__ = ["audit"]


def audit(
    source: Annotated[
        str,
        typer.Argument(
            help="A data set known by name (breast_cancer, freesolv, bbb_martins, ...: see leaq datasets) or a CSV, "
            "TSV, Parquet, NPZ or SD file."
        ),
    ],
    target: Target = None,
    smiles: Smiles = None,
    task: Task = "auto",
    ignore: Annotated[
        list[str] | None,
        typer.Option(help="Column that is no feature, such as an identifier; may be repeated.", rich_help_panel=DATA),
    ] = None,
    skip_invalid: Annotated[
        bool,
        typer.Option(
            "--skip-invalid",
            help="Drop rows with missing values, unreadable SMILES or molecules the embedder cannot encode, and count "
            "them, instead of refusing the file.",
            rich_help_panel=DATA,
        ),
    ] = False,
    group: Annotated[
        str | None,
        typer.Option(
            help="Column of patients, series, ...: records of one group stay on one side of every split.",
            rich_help_panel=DATA,
        ),
    ] = None,
    strip_salts: Annotated[
        bool,
        typer.Option("--strip-salts", help="Keep the largest organic fragment of each molecule.", rich_help_panel=DATA),
    ] = False,
    log_target: Annotated[
        bool,
        typer.Option("--log-target", help="Predict log10 of a positive, heavy-tailed target.", rich_help_panel=DATA),
    ] = False,
    split: Annotated[
        str,
        typer.Option(
            help="random, scaffold or cluster: what stays on one side of a split. Anything but random changes what "
            "attack numbers mean, and is marked.",
            rich_help_panel=DATA,
        ),
    ] = "random",
    data_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of catalogued molecular tasks, <task>.csv; else LEAQ_DATA_DIR, the cache, a download.",
            rich_help_panel=DATA,
        ),
    ] = None,
    weights_dir: Annotated[
        Path | None,
        typer.Option(
            help="Folder of pretrained weights; else LEAQ_WEIGHTS_DIR, the cache, a download.", rich_help_panel=DATA
        ),
    ] = None,
    embedder: Annotated[
        str,
        typer.Option(
            help="How records become numbers: auto, identity, ecfp4, descriptors, gat_contextpred, ...: see leaq "
            "embedders.",
            rich_help_panel=DATA,
        ),
    ] = "auto",
    quantizers: Annotated[
        str,
        typer.Option(
            help="Comma-separated: sign, ternary(sparsity=0.9), uniform(bits=4), ...; or the families study, shipped, "
            "all. Full precision is always measured beside them.",
            rich_help_panel=MODEL,
        ),
    ] = "study,uniform(bits=8)",
    replicates: Annotated[
        int,
        typer.Option(
            help="Models trained, each on its own half of the records; each is attacked with all others as its "
            "shadow models.",
            rich_help_panel=MODEL,
        ),
    ] = 16,
    shadows: Annotated[
        int,
        typer.Option(
            help="Further models trained that are not attacked: more shadow models for every attacked one. The cost is "
            "shown before it starts.",
            rich_help_panel=MODEL,
        ),
    ] = 0,
    attacks: Annotated[
        str,
        typer.Option(
            help="Comma-separated attacks, or default (those that cost next to nothing), or all.",
            rich_help_panel=MODEL,
        ),
    ] = "default",
    hidden: Annotated[
        str,
        typer.Option(
            help="Widths of the hidden layers, e.g. 128,64; 'none' for a linear model.", rich_help_panel=MODEL
        ),
    ] = "128,64",
    epochs: Epochs = 60,
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    yardstick: Annotated[
        bool,
        typer.Option(
            "--yardstick",
            help="Also train the heads with differential privacy (DP-SGD, extra dp) and show them in the same table "
            "and picture: what quantization buys next to a guarantee. Takes much longer than the audit itself.",
            rich_help_panel=MODEL,
        ),
    ] = False,
    epsilons: Annotated[
        str, typer.Option(help="Comma-separated privacy losses of --yardstick.", rich_help_panel=MODEL)
    ] = "1,3,8,inf",
    out: Annotated[
        Path | None,
        typer.Option(
            help="Run folder: keeps configuration and results, private to you; the same command again goes on after an "
            "interruption, or reads what is finished.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    report: Report = None,
    show_records: Annotated[
        Path | None,
        typer.Option(
            help="Write a page with the most exposed molecules, drawn. It names training records: not to be shared.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Tell which quantizer gives away least about the training records, and what that costs in accuracy.

    leaq trains several models on random halves of the records, quantizes them in every way asked for, attacks \
    each one with all the others as the attacker's shadow models, and shows one row a quantizer, least leak first.

    Examples:

        leaq audit breast_cancer

        leaq audit freesolv --quantizers 'sign,uniform(bits=4)' --report freesolv.html

        leaq audit my.csv --target y --out runs/mine

        leaq audit breast_cancer --yardstick --report yardstick.html

        leaq audit my.csv --target y --smiles smiles

        leaq audit bbb_martins --data-dir tasks --embedder maccs --show-records exposed.html
    """
    name_folders(LEAQ_DATA_DIR=data_dir, LEAQ_WEIGHTS_DIR=weights_dir)
    config = build_config(
        source=source,
        target=target,
        smiles=smiles,
        task=task,
        ignore=tuple(ignore or ()),
        skip_invalid=skip_invalid,
        group=group,
        strip_salts=strip_salts,
        log_target=log_target,
        split=split,
        embedder=embedder,
        quantizers=(quantizers,),
        replicates=replicates,
        shadows=shadows,
        attacks=tuple(name.strip() for name in attacks.split(",")),
        seed=seed,
        training={"hidden": widths(hidden), "epochs": epochs, "learning_rate": learning_rate},
    )
    if report is not None:
        from leaq.reporting.html import check_place

        check_place(report)
    if show_records is not None:
        from leaq.files import writable_place

        writable_place(show_records)
    budgets = read_epsilons(epsilons) if yardstick else ()
    result = run_config(config, out, quiet=quiet or json)
    if budgets:
        result = beside(result, budgets, kept=out is not None, quiet=quiet or json)
    _show(result, report, as_json=json)
    if show_records is not None:
        from leaq.exposure import exposure
        from leaq.reporting.structures import write_structures

        write_structures(exposure(result, draw=True), show_records)
        console.note(f"Exposed molecules: {show_records} (shows training records; do not share it)")
    if out is not None:
        console.note(f"Run folder: {out} (private: it holds row numbers and losses). Show it again: leaq show {out}")


def _show(result: "CellResult", report: Path | None, *, as_json: bool) -> None:
    from leaq.reporting.tables import ranking, reading

    if as_json:
        console.say(result.to_json())
    else:
        console.show_table(ranking(result))
        console.paragraph("\n" + reading(result))
    if report is not None:
        from leaq.reporting.html import write_report

        write_report([result], report)
        console.note(f"Report: {report}")
