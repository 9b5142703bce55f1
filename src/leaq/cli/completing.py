"""What the shell completes: data sets, quantizers, attacks, embedders, run folders. Nothing that computes is loaded."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

import typer

from leaq.system.files import refuse_no_run

KINDS = {
    "attacks": "leaq.attacks.registry",
    "datasets": "leaq.data",
    "embedders": "leaq.embedders",
    "quantizers": "leaq.quantizers.catalogue",
}
"""What ``leaq list`` lists, and the module whose `entries` these are."""
RUNS = "LEAQ_RUNS_DIR"


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    """Return the names that go on from what was typed; of a list, from its last item."""
    before, comma, last = incomplete.rpartition(",")
    return [before + comma + name for name in names if name.startswith(last)]


def complete_kinds(incomplete: str) -> list[str]:
    """Complete what ``leaq list`` lists."""
    return _beginning(incomplete, KINDS)


def complete_data_sets(incomplete: str) -> list[str]:
    """Complete a data set known by name; files the shell completes itself."""
    from leaq.data.sources import names

    files = [str(path) for path in sorted(Path().glob(f"{incomplete}*"))] if incomplete else []
    return [*_beginning(incomplete, names()), *files]


def complete_quantizers(incomplete: str) -> list[str]:
    """Complete a quantizer, alone or at the end of a list."""
    from leaq.quantizers.catalogue import entries

    return _beginning(incomplete, ["study", "shipped", "all", *(found.example for found in entries())])


def complete_attacks(incomplete: str) -> list[str]:
    """Complete an attack, alone or at the end of a list."""
    from leaq.attacks.registry import attack_families

    return _beginning(incomplete, [*attack_families(), *attack_families()["all"]])


def complete_embedders(incomplete: str) -> list[str]:
    """Complete an embedder."""
    from leaq.embedders import entries

    return _beginning(incomplete, ["auto", *(str(found.name) for found in entries())])


def complete_runs(incomplete: str) -> list[str]:
    """Complete a run folder: one that holds a config.json, below what was typed or where runs are kept."""
    places = [Path(incomplete)] if incomplete else []
    places += [Path(incomplete).parent, Path(os.environ.get(RUNS, "runs"))]
    found = {str(path.parent) for place in places if place.is_dir() for path in place.glob("*/config.json")}
    return sorted(name for name in found if name.startswith(incomplete))


def there(folder: Path) -> Path:
    """Refuse what is no run folder before anything that computes is loaded."""
    refuse_no_run(folder)
    return folder


Run = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.", autocompletion=complete_runs, callback=there)]

COMPLETE: dict[str, Callable[[str], list[str]]] = {
    "source": complete_data_sets,
    "quantizers": complete_quantizers,
    "attacks": complete_attacks,
    "embedder": complete_embedders,
}
"""By field of a configuration."""
