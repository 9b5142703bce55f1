"""``leaq audit --yardstick``: heads trained with differential privacy in the same table and picture."""

from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.errors import InvalidInput, need

if TYPE_CHECKING:
    from leaq.results import CellResult

PANEL = "Beside the quantizers"

__all__ = ["Epsilons", "Yardstick", "beside", "read_epsilons"]

Yardstick = Annotated[
    bool,
    typer.Option(
        "--yardstick",
        help="Also train the heads with differential privacy (DP-SGD, extra dp) and show them in the same table and "
        "picture: what quantization buys next to a guarantee. Takes much longer than the audit itself.",
        rich_help_panel=PANEL,
    ),
]
Epsilons = Annotated[str, typer.Option(help="Comma-separated privacy losses of --yardstick.", rich_help_panel=PANEL)]


def read_epsilons(text: str) -> tuple[float, ...]:
    """Read --epsilons; ask for Opacus before anything is trained."""
    need("opacus", extra="dp", purpose="--yardstick")
    try:
        found = tuple(dict.fromkeys(float(part) for part in text.split(",")))
    except ValueError:
        found = ()
    if not found or not all(epsilon > 0 for epsilon in found):
        raise InvalidInput(f"--epsilons must be positive numbers or inf, such as 1,3,8,inf. Found {text!r}.")
    return found


def beside(result: "CellResult", epsilons: tuple[float, ...], *, kept: bool, quiet: bool) -> "CellResult":
    """Add a row for each epsilon; say beforehand what it costs."""
    from leaq.yardstick import optimizer_steps, with_yardstick

    if not quiet:
        console.note(
            f"DP-SGD: {len(epsilons)} x {result.config['replicates']} heads, {optimizer_steps(result, epsilons):,} "
            "optimizer steps of some milliseconds each, on one core."
        )
    with console.progress_bar(quiet=quiet) as progress:
        joined = with_yardstick(result, epsilons=epsilons, progress=progress)
    if kept and not quiet:
        console.note("The run folder keeps the audit without the DP-SGD rows; they are trained again each time.")
    return joined
