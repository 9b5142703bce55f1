"""``leaq lambda``: lambda_k against k for one data set, and whether its maximum is at low k."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from leaq.cli import console
from leaq.cli.configured import configured
from leaq.cli.running import Folders, Json, Quiet

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import Curve

__all__ = ["lambda_k"]


@dataclass(frozen=True)
class Screen:
    """What is printed."""

    json: Json = False
    quiet: Quiet = False


@configured("lambda", Folders, Screen)
def lambda_k(config: "AuditConfig", folders: Folders, screen: Screen) -> None:
    """Show which candidates decide the rate r: lambda_k against k with bands, and whether low k is enough.

    Models are trained and their quantized checkpoints evaluated; nothing is attacked.

    Examples:

        leaq lambda wine --quantizers sign --checkpoints 40
    """
    from leaq.pipeline.curves import rate_curves
    from leaq.reporting.lambdas import lambda_table

    folders.use()
    with console.progress_bar(quiet=screen.quiet or screen.json) as progress:
        curves = rate_curves(config, progress=progress)
    if screen.json:
        console.say_json([_plain(quantizer.spec(), curve) for quantizer, curve in curves.items()])
        return
    console.show_table(lambda_table({quantizer.label(): curve for quantizer, curve in curves.items()}))


def _plain(quantizer: str, curve: "Curve") -> dict[str, Any]:
    from leaq.reporting.lambdas import peak, statement, verdict
    from leaq.results import as_plain

    said = {"k_max": peak(curve), "verdict": verdict(curve), "statement": statement(curve)}
    return {"quantizer": quantizer, **said, **as_plain(curve)}
