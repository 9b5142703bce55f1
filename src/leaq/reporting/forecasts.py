"""The forecast as a table of its own, beside the attack that is forecast where it was run."""

from leaq.attacks.forecast import FORECAST
from leaq.reporting.asides import forecast_of
from leaq.reporting.display_names import flag_words, metric, short_attack
from leaq.reporting.tables import FLAGS, QUANTIZER, Cell, Column, Footnote, Notes, Table, number_cell
from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult


def only_forecast(result: CellResult) -> bool:
    """Tell whether a result forecasts what an attack with shadow models would find, and none was asked for."""
    return list(result.config.get("attacks", ())) == ["threshold"] and any(forecast_of(row) for row in result.rows)


def forecast_table(result: CellResult) -> Table:
    """Return one row per quantizer, least forecast leak first: advantage, true-positive rate, what was found."""
    name = metric(result.primary_metric).name
    ordered = sorted(result.rows, key=lambda row: found.value if (found := forecast_of(row)) else float("inf"))
    ran = any("forecast_gap" in row.measures for row in result.rows)
    columns = [
        QUANTIZER,
        Column("Bits", "Packed bits per quantized weight, scales included."),
        Column(name, f"{name} on records that did not train the model, mean over models, with its interval."),
        Column("Change", f"Change of {name} against full precision, same models."),
        Column(
            "Forecast",
            "Advantage (TPR - FPR) that the combined attack with 64 models is expected to find; smaller is safer.",
        ),
        Column("TPR at 1% FPR", "Members it is expected to find while 1 % of the non-members are accused."),
    ]
    if ran:
        columns += [
            Column(short_attack(FORECAST), "Advantage the same attack found with the models of this audit."),
            Column("Forecast - found", "Forecast for 64 models minus that: what more models are expected to add."),
        ]
    notes = Notes()
    lines = [(row.quantizer, _cells(result, row, notes, ran=ran)) for row in ordered]
    return Table(
        title=f"{result.name}: what the attack is expected to find",
        columns=[*columns, FLAGS],
        lines=lines,
        order="Ordered by the forecast, least leak first. It is no measurement: nothing was attacked with it.",
        footnotes=(*notes.footnotes(), *(Footnote("", flag_words(flag)) for flag in result.flags)),
    )


def _cells(result: CellResult, row: QuantizerRow, notes: Notes, *, ran: bool) -> list[Cell]:
    key = result.primary_metric
    missing: list[str] = []
    attack = row.attacks.get(FORECAST)
    cells = [
        Cell(row.label),
        Cell(row.size.bits_words, row.size.bits),
        number_cell(row.metrics.get(key), missing),
        number_cell(row.drops.get(key), missing, sign=True) if key in row.drops else Cell("", 0.0),
        number_cell(row.measures.get("forecast"), missing, sign=True),
        number_cell(row.measures.get("forecast_tpr"), missing),
    ]
    if ran:
        advantage = attack.advantage if isinstance(attack, AttackResult) else attack
        cells += [
            number_cell(advantage, missing, sign=True),
            number_cell(row.measures.get("forecast_gap"), missing, sign=True),
        ]
    doubts = [flag_words(flag) for flag in (*row.flags, *getattr(forecast_of(row), "flags", ()))]
    return [*cells, Cell(notes.mark([*doubts, *missing]))]
