"""A result on the screen: the same tables after an audit and from a run folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from leaq.cli import console
from leaq.config import Config
from leaq.errors import InvalidInput

if TYPE_CHECKING:
    from leaq.results import CellResult

PRINTED = "What is printed"


class Shown(Config):
    """What is printed of a result beside its table and what that says."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title=PRINTED)

    every_attack: bool = False
    """Print what each attack finds under each quantizer too."""
    lambda_: bool = False
    """Print lambda_k against k too: which candidates decide the rate r, and whether low k is enough."""
    show_records: bool = False
    """Print the records most exposed too, by row and content; molecules are also drawn, in exposed.html of the run
    folder. Names training records: not to be shared."""
    json_: bool = False
    """Print what was found as JSON and nothing else."""

    def check(self) -> None:
        """Refuse what goes not together."""
        if self.show_records and self.json_:
            raise InvalidInput("--json prints aggregates, --show-records single records. Found both. Name one.")

    def show(self, result: "CellResult", out: Path | None) -> None:
        """Print a result."""
        if self.json_:
            console.say(result.to_json())
            return
        _table(result)
        if self.every_attack:
            _attacks(result)
        if self.lambda_:
            _lambda(result)
        if self.show_records:
            from leaq.cli.record_risk import show_exposed

            show_exposed(result, out)


def _table(result: "CellResult") -> None:
    """Print one row a quantizer, and what that says: of a forecast what is expected, else what was found."""
    from leaq.reporting.asides import about_forecast
    from leaq.reporting.forecasts import forecast_table, only_forecast
    from leaq.reporting.narrative import reading
    from leaq.reporting.tables import ranking

    if only_forecast(result):
        console.show_table(forecast_table(result))
        console.paragraph("\n" + about_forecast(result))
        return
    console.show_table(ranking(result))
    console.show_tasks(result)
    console.paragraph("\n" + reading(result))
    for reason, names in _by_reason(result.not_computed).items():
        console.note(f"Not computed: {'; '.join(_called(result, name) for name in names)}. {reason}")


def _called(result: "CellResult", key: str) -> str:
    """Return what people call a number that is missing in every row."""
    from leaq.reporting.display_names import indicator, metric, short_attack

    if any(key in row.attacks for row in result.rows):
        return short_attack(key)
    return indicator(key)[0] if any(key in row.measures for row in result.rows) else metric(key).name


def _by_reason(not_computed: Mapping[str, str]) -> dict[str, list[str]]:
    """Return which numbers are missing for one and the same reason."""
    found: dict[str, list[str]] = {}
    for name, reason in not_computed.items():
        found.setdefault(reason, []).append(name)
    return found


def _attacks(result: "CellResult") -> None:
    from leaq.reporting.attacks import attack_table, gap_table

    console.show_table(attack_table(result))
    gaps = gap_table(result)
    if gaps.rows:
        console.show_table(gaps)


def _lambda(result: "CellResult") -> None:
    from leaq.reporting.lambdas import lambda_table

    curves = {row.label: row.curves["lambda_k"] for row in result.rows if "lambda_k" in row.curves}
    if curves:
        console.show_table(lambda_table(curves))
    else:
        console.note("No lambda_k to show: it compares checkpoints of a training, and at least two were not recorded.")
