"""``leaq forecast``: what the strongest attack is expected to find, from a few models and without attacking."""

from typing import TYPE_CHECKING

from leaq.cli import console
from leaq.cli.configured import configured
from leaq.cli.exposing import show_exposed
from leaq.cli.running import Folders, Output, kept_in, run_config, say_folder, write_page

if TYPE_CHECKING:
    from leaq.cell import AuditConfig
    from leaq.results import CellResult

__all__ = ["forecast"]


@configured("forecast", Folders, Output)
def forecast(config: "AuditConfig", folders: Folders, output: Output) -> None:
    """Forecast what the combined attack with 64 models would find, for every quantizer, from a few models.

    For those who cannot afford the attack: a few models are trained instead of 64, at least 4; 8 forecast better. A
    forecast is no measurement; one that cannot be trusted is flagged, and leaq audit shows it beside the attack.

    Examples:

        leaq forecast breast_cancer

        leaq forecast my.csv --target y --replicates 4 --quantizers 'sign,uniform(bits=4)'
    """
    output = kept_in(config, output)
    result = run_config(config, output, folders)
    _refuse_none(result)
    if output.json:
        console.say(result.to_json())
    else:
        _show(result)
    write_page(result, output.page, show=output.show)
    if output.show_records:
        show_exposed(result, output.out)
    say_folder(output.out)


def _refuse_none(result: "CellResult") -> None:
    """Refuse a result without any forecast: nothing else was asked for."""
    from leaq.errors import NotEnoughEvidence

    if "forecast" in result.not_computed:
        raise NotEnoughEvidence(result.not_computed["forecast"])


def _show(result: "CellResult") -> None:
    from leaq.reporting.forecast_words import about_forecast
    from leaq.reporting.forecasts import forecast_table

    console.show_table(forecast_table(result))
    console.paragraph("\n" + about_forecast(result))
