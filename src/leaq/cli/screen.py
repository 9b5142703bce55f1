"""A result on the screen: the same tables after an audit and from a run folder; --show-records with single records."""

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from leaq.cli import console
from leaq.config import Config
from leaq.errors import InvalidInput, NotEnoughEvidence

if TYPE_CHECKING:
    from collections.abc import Mapping

    from leaq.results import CellResult
    from leaq.types import Feature, Samples


PRINTED = "What is printed"
NO_LAMBDA = "No lambda_k to show: it compares checkpoints of a training, and at least two were not recorded."


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

    @property
    def any(self) -> bool:
        """Whether something is asked for beside files."""
        return self.every_attack or self.lambda_ or self.show_records or self.json_

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
            from leaq.reporting.attacks import attack_table, gap_table

            console.show_table(attack_table(result))
            if (gaps := gap_table(result)).rows:
                console.show_table(gaps)
        if self.lambda_:
            from leaq.reporting.lambdas import lambda_table

            curves = {row.label: row.curves["lambda_k"] for row in result.rows if "lambda_k" in row.curves}
            if curves:
                console.show_table(lambda_table(curves))
            else:
                console.note(NO_LAMBDA)
        if self.show_records:
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
    by_reason: dict[str, list[str]] = {}
    for name, reason in result.not_computed.items():
        by_reason.setdefault(reason, []).append(name)
    for reason, names in by_reason.items():
        console.note(f"Not computed: {'; '.join(_called(result, name) for name in names)}. {reason}")


def _called(result: "CellResult", key: str) -> str:
    """Return what people call a number that is missing in every row."""
    from leaq.reporting.display_names import indicator, metric, short_attack

    if any(key in row.attacks for row in result.rows):
        return short_attack(key)
    return indicator(key)[0] if any(key in row.measures for row in result.rows) else metric(key).name


COLUMNS = 6
"""Columns of a record that are printed."""
LETTERS = 80
"""Letters of a text that are printed."""
SHOWN = 10
"""Records that are printed."""


def show_exposed(result: "CellResult", out: Path | None) -> None:
    """Print the records most exposed with their content; draw molecules into the run folder, if there is one."""
    from leaq.data import load
    from leaq.pipeline.cell import AuditConfig
    from leaq.reporting.records import riskiest_records

    if result.config.get("kind") == "model":
        _show_members(result)
        return
    config = AuditConfig.from_dict(dict(result.config))
    samples = load(config.source, config, members=config.members or None)
    table = riskiest_records(result, limit=SHOWN, every=False, shown=_texts(samples))
    if table is None:
        console.note(f"No exposed records to show. {_why(result)}")
        return
    console.show_table(table)
    if samples.kind == "smiles":
        _draw(result, out)


NO_RUN = (
    "It takes shadow models to tell a single record, and there are none. A recording of this model's training "
    "(--recorded, the folder of a leaq.Recorder) tells which members it exposes most."
)


def _show_members(result: "CellResult") -> None:
    """Print which members a recorded run exposes most, with their content where they stand in a file."""
    from leaq.pipeline.finished.files import told_of
    from leaq.reporting.records import riskiest_records

    table = riskiest_records(result, limit=SHOWN, every=False)
    if table is None:
        console.note(f"No exposed records to show. {result.not_computed.get('run_risk', NO_RUN)}")
        return
    texts = told_of(result.config, [int(key) - 1 for key in table.keys])
    shown = {int(key): text for key, text in zip(table.keys, texts, strict=False)} or None
    console.show_table(riskiest_records(result, limit=SHOWN, every=False, shown=shown) or table)


def _draw(result: "CellResult", out: Path | None) -> None:
    if out is None:
        console.note("With a run folder (--out) the exposed molecules are drawn, too.")
        return
    from leaq.reporting.html import write_structures
    from leaq.reporting.molecule_risk import molecule_risks
    from leaq.study.cleaning import EXPOSED

    try:
        found = molecule_risks(result, draw=True)
    except NotEnoughEvidence as err:
        console.note(f"Exposed molecules are not drawn. {err}")
        return
    page = write_structures(found, out / EXPOSED)
    console.note(f"Exposed molecules: {page} (shows training records; do not share it)")


def _why(result: "CellResult") -> str:
    """Say what is missing."""
    from leaq.types import NotComputed

    missing = [found.reason for found in result.rows[0].attacks.values() if isinstance(found, NotComputed)]
    if result.risk_attack is None:
        return " ".join(missing[:1]) or "They are found by LiRA. Name lira in --attacks."
    return str(result.private.get("not_identified", "The run folder was cleaned. Run again into another one."))


def _texts(samples: "Samples") -> "Mapping[int, str]":
    """Return each record by row number as it stands in the source: SMILES, or its first columns."""
    if samples.kind == "smiles":
        return {int(i): str(text) for i, text in zip(samples.ids, samples.inputs, strict=True)}
    from leaq.types import Feature

    if samples.kind == "text":
        said = (text if isinstance(text, str) else " | ".join(text) for text in samples.inputs)
        return {
            int(i): text if len(text) <= LETTERS else f"{text[:LETTERS]} ..."
            for i, text in zip(samples.ids, said, strict=True)
        }
    flat = samples.inputs.reshape(len(samples), -1)
    features = samples.features or tuple(Feature(str(i)) for i in range(flat.shape[1]))
    return {
        int(i): ", ".join(_value(f, value) for f, value in zip(features[:COLUMNS], row[:COLUMNS], strict=True))
        for i, row in zip(samples.ids, flat, strict=True)
    }


def _value(feature: "Feature", value: float) -> str:
    return f"{feature.name}={feature.levels[int(value)] if feature.levels else format(value, 'g')}"
