"""``leaq audit --yardstick``: the former name of ``--dp-sgd``."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from leaq.cell import AuditConfig

__all__ = ["Epsilons", "Yardstick", "as_asked"]

Yardstick = Annotated[bool, typer.Option("--yardstick", hidden=True)]
Epsilons = Annotated[str, typer.Option(hidden=True)]


def as_asked(config: "AuditConfig", *, yardstick: bool, epsilons: str) -> "AuditConfig":
    """Return the configuration with what the former options ask for; they go in version 0.3."""
    return type(config).from_dict({**config.to_dict(), "dp_sgd": epsilons.split(",")}) if yardstick else config
