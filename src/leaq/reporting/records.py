"""The records an audit exposes most, by row number: for those who may see the training data."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from leaq.decisions.standing import reference
from leaq.reporting.display_names import attack_name
from leaq.reporting.tables import MISSING, Cell, Column, Table, plain_notes
from leaq.results import CellResult
from leaq.types import Floats

MEASURED = (
    "Risk: how far the signal of {} moves when the record is trained on, in standard deviations over models. A single "
    "record's risk rests on few models and carries no interval here: read it as an order of magnitude."
)
EXPECTED = (
    "Risk: how far the record's signals are expected to lie apart in models trained on it and in others, in standard "
    "deviations over models. Forecast from few models: read the order of single records as a hint where to look."
)
ONE_RUN = (
    "Risk: share of the members expected to be less exposed, from the recorded losses and inputs of this one run. An "
    "order, no level: where the model gives nothing away, its most exposed record is not exposed either."
)
PRIVATE = "This table names training records: keep it to yourself."


def riskiest_records(
    result: CellResult, *, limit: int = 20, every: bool = True, shown: Mapping[int, str] | None = None
) -> Table | None:
    """Return the records with the largest risk in full precision, by row number (see `Samples.ids`).

    The risk is the attack's, with the forecast one beside it; where no attack tells it, the forecast alone, or of one
    recorded run what its losses tell. None where the result holds no risks: they are kept apart from shareable results.

    Parameters
    ----------
    every : show the risk under every quantizer, not only in full precision.
    shown : what each row holds, by row number; added as a column.
    """
    ranked, leading_attack = result.ranked(), result.risk_attack or ""
    told = [(row, row.computed[leading_attack].risk) for row in ranked if leading_attack in row.computed]
    measured = [(row, risk) for row, risk in told if risk is not None]
    # Kept by row number; JSON holds NaN as text.
    ahead, run = result.private.get("forecast_risk", {}), result.private.get("run_risk")
    expected = [(row, np.asarray(ahead[row.quantizer], np.float64)) for row in ranked if row.quantizer in ahead]
    # One recorded run tells of its weights in full precision.
    once = [] if measured or expected or run is None else [(reference(result), np.asarray(run, np.float64))]
    leading = measured or expected or once
    if not leading:
        return None
    full = next(((row, risk) for row, risk in leading if row is reference(result)), leading[-1])
    ids: Sequence[int] = result.private.get("ids") or range(1, len(full[1]) + 1)
    order = [int(at) for at in np.argsort(-np.nan_to_num(full[1], nan=-np.inf), kind="stable")[:limit]]
    order = [at for at in order if np.isfinite(full[1][at])]
    beside = next((risk for row, risk in expected if row is reference(result)), None) if measured else None
    head, about = "{}", "Effect size of membership under {}."
    if once:
        head, about = "Risk", "Share of the members expected to be less exposed, whatever the quantizer."
    columns = [
        (Column("Row", "Row of data in the source, counted from 1.", "left"), [Cell(str(i), float(i)) for i in ids]),
        *((Column(head.format(row.label), about.format(row.label)), _cells(risk, digits=3 if once else 1))
          for row, risk in (leading if every else [full])),
        *(() if beside is None else ((Column("Forecast", "Effect size expected in full precision, without the attack."),
                                      _cells(beside)),)),
        *(_published(result) if once else ()), *_identified(result, ids),
        *(() if shown is None else ((Column("Record", "Shown because it was asked for.", "left"),
                                     [Cell(shown.get(i, MISSING)) for i in ids]),)),
    ]  # fmt: skip
    notes = [MEASURED.format(attack_name(leading_attack))] if measured else []
    if expected and (not measured or beside is not None):
        notes.append(("Forecast: " if measured else "") + EXPECTED)
    notes += [ONE_RUN] if once else []
    how = "most exposed" if measured else "expected to be most exposed"
    where = "in full precision" if full[0] is reference(result) else f"under {full[0].label}"
    where = "by this run" if once else where
    return Table(
        title=f"The {len(order)} records {how} {where}",
        columns=[head for head, _ in columns],
        lines=[(str(ids[at]), [cells[at] for _, cells in columns]) for at in order],
        order=f"Ordered by the risk{'' if once else f' {where}'}, largest first.",
        footnotes=plain_notes([*notes, PRIVATE]),
    )


Columns = Iterator[tuple[Column, list[Cell]]]
"""Heads, each with a cell for every record."""


def _published(result: CellResult) -> Columns:
    """Yield what published orders say of the same run; they are compared on docs/fidelity.md."""
    for name, values in result.private.get("run_baselines", {}).items():
        about = f"Published order, in units of the loss: {name} of the recorded run. Larger is more exposed."
        yield Column(name, about), _cells(np.asarray(values, dtype=np.float64), digits=3)


def _identified(result: CellResult, ids: Sequence[int]) -> Columns:
    """Yield the least revealing quantizer under which each record is still identified, where that was looked at."""
    found = result.private.get("identified")
    if found is None:
        return
    last = dict.fromkeys(ids, "not identified")
    for row in reversed(result.ranked()):
        last |= dict.fromkeys(found.get(row.quantizer, ()), row.label)
    about = "Least revealing quantizer that still identifies it, by LiRA's signal (5 % false discoveries)."
    yield Column("Identified up to", about, "left"), [Cell(last[i]) for i in ids]


def _cells(risk: Floats, *, digits: int = 1) -> list[Cell]:
    return [Cell(f"{value:.{digits}f}" if np.isfinite(value) else MISSING, float(value)) for value in risk]
