"""The records an audit exposes most, by row number: internal editions only."""

import numpy as np

from leaq.reporting.choice import reference
from leaq.reporting.tables import MISSING, Column, Footnote, Table
from leaq.reporting.words import attack_name
from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult, Floats

__all__ = ["exposed"]

EXPECTED = (
    "Risk: how far LiRA's signal of the record is expected to move when it is trained on, in standard deviations over "
    "models. Forecast from few models: the order of single records is mostly noise, read it as a hint where to look."
)


def exposed(result: CellResult, limit: int = 20) -> Table | None:
    """Return the records with the largest risk in full precision, and their risk under every quantizer.

    The risk is the attack's, with the forecast one beside it; where no attack tells it, the forecast alone. None where
    the result holds no risks: they are kept apart from shareable results.
    """
    measured = [(row, risk) for row in result.ranked() if (risk := _risk(result, row)) is not None]
    expected = [(row, risk) for row in result.ranked() if (risk := _expected(result, row)) is not None]
    shown = measured or expected
    if not shown:
        return None
    by = next((risk for row, risk in shown if row is reference(result)), shown[-1][1])
    ids = result.private.get("ids") or range(len(by))
    order = [int(at) for at in np.argsort(-np.nan_to_num(by, nan=-np.inf), kind="stable")[:limit]]
    order = [at for at in order if np.isfinite(by[at])]
    columns = [Column(row.label, f"Effect size of membership under {row.label}.") for row, _ in shown]
    risks = [risk for _, risk in shown]
    beside = next((risk for row, risk in expected if row is reference(result)), None) if measured else None
    if beside is not None:
        columns.append(Column("Forecast", "Effect size expected in full precision, without the attack."))
        risks.append(beside)
    notes = [_note(result)] if measured else []
    if expected and (not measured or beside is not None):
        notes.append(("Forecast: " if measured else "") + EXPECTED)
    return Table(
        title=f"The {len(order)} records {'most exposed' if measured else 'expected to be most exposed'} in full "
        "precision",
        columns=(Column("Row", "Row number in the source, counted from 0.", "left"), *columns),
        rows=tuple((str(ids[at]), *(_text(risk[at]) for risk in risks)) for at in order),
        values=tuple((float(ids[at]), *(float(risk[at]) for risk in risks)) for at in order),
        keys=tuple(str(ids[at]) for at in order),
        order="Ordered by the risk in full precision, largest first.",
        footnotes=tuple(Footnote("", note) for note in notes),
    )


def _note(result: CellResult) -> str:
    return (
        f"Risk: how far the signal of {attack_name(result.primary_attack)} moves when the record is trained "
        "on, in standard deviations over models. A single record's risk rests on few models and carries no "
        "interval here: read it as an order of magnitude."
    )


def _risk(result: CellResult, row: QuantizerRow) -> Floats | None:
    attack = row.attacks.get(result.primary_attack)
    return attack.risk if isinstance(attack, AttackResult) else None


def _expected(result: CellResult, row: QuantizerRow) -> Floats | None:
    """Return the forecast risk, which is kept by row number; JSON holds NaN as text."""
    found = result.private.get("forecast_risk", {}).get(row.quantizer)
    return None if found is None else np.asarray(found, dtype=np.float64)


def _text(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else MISSING
