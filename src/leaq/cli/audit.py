"""``leaq audit``: train, quantize, attack and measure, from a name or a file to a ranked table."""

from typing import TYPE_CHECKING

from leaq.cli import console
from leaq.cli.exposing import refuse_json, show_exposed
from leaq.cli.private import Epsilons, Yardstick, beside, read_epsilons
from leaq.cli.running import (
    Attacks,
    DataDir,
    Embedder,
    Epochs,
    Group,
    Hidden,
    Ignore,
    Json,
    LearningRate,
    LogTarget,
    Out,
    Quantizers,
    Quiet,
    Replicates,
    Report,
    Seed,
    Shadows,
    ShowRecords,
    SkipInvalid,
    Smiles,
    Source,
    Split,
    Standardise,
    StripSalts,
    Target,
    Task,
    WeightsDir,
    build_config,
    check_report,
    name_folders,
    names,
    run_config,
    say_folder,
    widths,
    write_page,
)

if TYPE_CHECKING:
    from pathlib import Path

    from leaq.results import CellResult

__all__ = ["audit"]


def audit(
    source: Source,
    target: Target = None,
    smiles: Smiles = None,
    task: Task = "auto",
    ignore: Ignore = None,
    skip_invalid: SkipInvalid = False,
    group: Group = None,
    strip_salts: StripSalts = False,
    log_target: LogTarget = False,
    split: Split = "random",
    data_dir: DataDir = None,
    weights_dir: WeightsDir = None,
    embedder: Embedder = "auto",
    quantizers: Quantizers = "study,uniform(bits=8)",
    replicates: Replicates = 16,
    shadows: Shadows = 0,
    attacks: Attacks = "default",
    hidden: Hidden = "128,64",
    epochs: Epochs = 60,
    standardise: Standardise = "auto",
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    yardstick: Yardstick = False,
    epsilons: Epsilons = "1,3,8,inf",
    out: Out = None,
    report: Report = None,
    show_records: ShowRecords = False,
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

        leaq audit bbb_martins --data-dir tasks --embedder maccs --out runs/bbb --show-records
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
        attacks=names(attacks),
        seed=seed,
        training={
            "hidden": widths(hidden),
            "epochs": epochs,
            "learning_rate": learning_rate,
            "standardise": standardise,
        },
    )
    check_report(report)
    if show_records:
        refuse_json(as_json=json)
    budgets = read_epsilons(epsilons) if yardstick else ()
    result = run_config(config, out, quiet=quiet or json)
    if budgets:
        result = beside(result, budgets, kept=out is not None, quiet=quiet or json)
    _show(result, report, as_json=json)
    if show_records:
        show_exposed(result, out)
    say_folder(out)


def _show(result: "CellResult", report: "Path | None", *, as_json: bool) -> None:
    from leaq.reporting.tables import ranking, reading

    if as_json:
        console.say(result.to_json())
    else:
        console.show_table(ranking(result))
        console.paragraph("\n" + reading(result))
    write_page(result, report)
