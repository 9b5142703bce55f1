"""``leaq audit``: train, quantize, attack and measure, from a name or a file to a ranked table."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.configured import CommandLine, configured
from leaq.cli.pages import Pages
from leaq.cli.running import Folders, Output, run_config, run_folder
from leaq.cli.screen import Shown
from leaq.cli.studies import Grid, run_grid
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.system.files import is_model

if TYPE_CHECKING:
    from leaq.pipeline.cell import AuditConfig


def _instead(named: CommandLine) -> bool:
    """Run a study in the audit's place; refuse an effort where nothing is trained, options of a study elsewhere."""
    if is_model(named.source) and "effort" in named.said:
        raise InvalidInput(
            "--effort says how many models are trained. Found a finished model, which is not. Leave it out."
        )
    if Path(named.source).suffix.lower() == ".toml":
        run_grid(named)
        return True
    named.refuse_these(tuple(Grid.model_fields), "These are options of a study file (TOML), and the source is none.")
    return False


@configured("audit", Folders, Output, Shown, Pages, Grid, instead=_instead)
def audit_command(
    config: "AuditConfig",
    folders: Folders,
    output: Output,
    shown: Shown,
    pages: Pages,
    _grid: Grid,
    *,
    yardstick: Annotated[bool, typer.Option("--yardstick", hidden=True)] = False,
    epsilons: Annotated[str, typer.Option(hidden=True)] = "1,3,8,inf",
) -> None:
    """Tell which quantizer gives away least about the training records, and what that costs in accuracy.

    leaq trains several models on random halves of the records, quantizes them in every way asked for, attacks
    each one with all the others as the attacker's shadow models, and shows one row a quantizer, least leak first.
    WHAT is a table or data set, a finished model (with --members and --nonmembers), or a study file (a grid of audits).

    Examples:

        leaq audit breast_cancer

        leaq audit freesolv --quantizers 'sign,uniform(bits=4)' --report x.html

        leaq audit my.csv --target y --smiles smiles --out runs/mine

        leaq audit my.csv --target y --effort forecast

        leaq audit breast_cancer --dp-sgd 1,3,8,inf --report baseline.html

        leaq audit model.safetensors --model nets.py:make --members a.npz --nonmembers b.npz

        leaq audit studies/synthetic.toml --variant quick --jobs 2
    """
    if yardstick:  # the former name of --dp-sgd; goes in version 0.3
        config = config.but(dp_sgd=epsilons.split(","))
    if output.out is None:
        output = output.but(out=run_folder(config.source, config))
    shown.check()
    pages.check(output.out)
    result = run_config(config, output, folders, silent=shown.json_)
    if result is None:
        return
    if config.effort == "forecast" and list(config.attacks) == ["threshold"] and "forecast" in result.not_computed:
        raise NotEnoughEvidence(result.not_computed["forecast"])  # nothing else was asked for
    shown.show(result, output.out)
    pages.write(output.out, lambda: [result])
    if output.out is not None:
        held = f"Run folder: {output.out} (private: it holds row numbers and losses)."
        console.note(f"{held} Show it again: leaq show {output.out}")
