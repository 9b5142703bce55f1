"""``leaq audit``: train, quantize, attack and measure, from a name or a file to a ranked table."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from leaq.cli import console
from leaq.cli.configured import configured
from leaq.cli.exposing import show_exposed
from leaq.cli.private import Epsilons, Yardstick, as_asked
from leaq.cli.running import Folders, Output, kept_in, run_config, say_folder, write_page

if TYPE_CHECKING:
    from leaq.cell import AuditConfig

__all__ = ["audit"]


@configured("audit", Folders, Output)
def audit(
    config: "AuditConfig",
    folders: Folders,
    output: Output,
    *,
    yardstick: Yardstick = False,
    epsilons: Epsilons = "1,3,8,inf",
) -> None:
    """Tell which quantizer gives away least about the training records, and what that costs in accuracy.

    leaq trains several models on random halves of the records, quantizes them in every way asked for, attacks
    each one with all the others as the attacker's shadow models, and shows one row a quantizer, least leak first.

    Examples:

        leaq audit breast_cancer

        leaq audit freesolv --quantizers 'sign,uniform(bits=4)' --report x.html

        leaq audit my.csv --target y --out runs/mine

        leaq audit breast_cancer --dp-sgd 1,3,8,inf --report baseline.html

        leaq audit my.csv --target y --smiles smiles

        leaq audit bbb_martins --data-dir tasks --embedder maccs --show-records
    """
    from leaq.reporting.tables import ranking, reading

    config = as_asked(config, yardstick=yardstick, epsilons=epsilons)
    output = kept_in(config, output)
    result = run_config(config, output, folders)
    if output.json:
        console.say(result.to_json())
    else:
        console.show_table(ranking(result))
        console.show_tasks(result)
        console.paragraph("\n" + reading(result))
        for reason, names in _by_reason(result.not_computed).items():
            console.note(f"Not computed: {', '.join(names)}. {reason}")
    write_page(result, output.page, show=output.show)
    if output.show_records:
        show_exposed(result, output.out)
    say_folder(output.out)


def _by_reason(not_computed: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which numbers are missing for one and the same reason."""
    found: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        found.setdefault(reason, []).append(name)
    return found
