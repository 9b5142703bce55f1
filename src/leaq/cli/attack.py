"""``leaq attack``: every attack on released models, with many shadow models, and the records most exposed."""

from typing import TYPE_CHECKING

from leaq.cli import console
from leaq.cli.exposing import refuse_json, show_exposed
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
    name_folders,
    names,
    run_config,
    say_folder,
    widths,
)

if TYPE_CHECKING:
    from leaq.results import CellResult

__all__ = ["attack"]


def attack(
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
    quantizers: Quantizers = "sign,ternary(sparsity=0.5),uniform(bits=4)",
    replicates: Replicates = 16,
    shadows: Shadows = 16,
    attacks: Attacks = "all",
    hidden: Hidden = "128,64",
    epochs: Epochs = 60,
    standardise: Standardise = "auto",
    learning_rate: LearningRate = 1e-3,
    seed: Seed = 0,
    out: Out = None,
    show_records: ShowRecords = False,
    json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Attack released quantized models in every way leaq knows, and say which records are exposed.

    Like leaq audit, but only released weights are evaluated, so more shadow models fit into the same time. Every \
    number names its attacker and the game that was played.

    Examples:

        leaq attack breast_cancer

        leaq attack my.csv --target y --attacks lira-online,whitebox --shadows 48

        leaq attack freesolv --out runs/freesolv --show-records
    """
    if show_records:
        refuse_json(as_json=json)
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
        attacks=names(attacks),
        replicates=replicates,
        shadows=shadows,
        seed=seed,
        training={
            "hidden": widths(hidden),
            "epochs": epochs,
            "learning_rate": learning_rate,
            "checkpoints": 1,
            "standardise": standardise,
        },
    )
    result = run_config(config, out, quiet=quiet or json)
    if json:
        console.say(result.to_json())
    else:
        _show(result)
        if show_records:
            show_exposed(result, out)
        else:
            _rows(result)
    say_folder(out)


def _show(result: "CellResult") -> None:
    from leaq.reporting.attacks import attack_table, gap_table

    console.show_table(attack_table(result))
    gaps = gap_table(result)
    if gaps.rows:
        console.show_table(gaps)


def _rows(result: "CellResult") -> None:
    """Print the rows most exposed, by number only."""
    from leaq.reporting.attacks import exposed

    risky = exposed(result)
    if risky is not None:
        console.show_table(risky)
