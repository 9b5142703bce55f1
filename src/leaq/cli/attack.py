"""``leaq attack``: every attack on released models, with many shadow models."""

from typing import TYPE_CHECKING

from leaq.cli import console
from leaq.cli.configured import configured
from leaq.cli.exposing import show_exposed
from leaq.cli.running import Folders, Output, kept_in, run_config, say_folder, write_page

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult

__all__ = ["attack"]


@configured("attack", Folders, Output)
def attack(config: "AuditConfig", folders: Folders, output: Output) -> None:
    """Attack released quantized models in every way leaq knows.

    Like leaq audit, but only released weights are evaluated, so more shadow models fit into the same time. Every
    number names its attacker and the game that was played. Which records are exposed is said if asked for.

    Examples:

        leaq attack breast_cancer

        leaq attack my.csv --target y --attacks lira,whitebox --shadows 48

        leaq attack freesolv --out runs/freesolv --show-records
    """
    output = kept_in(config, output)
    result = run_config(config, output, folders)
    if output.json:
        console.say(result.to_json())
    else:
        _show(result)
    write_page(result, output.page, show=output.show)
    if output.show_records:
        show_exposed(result, output.out)
    say_folder(output.out)


def _show(result: "CellResult") -> None:
    from leaq.reporting.attacks import attack_table, gap_table

    console.show_table(attack_table(result))
    gaps = gap_table(result)
    if gaps.rows:
        console.show_table(gaps)
