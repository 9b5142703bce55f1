"""The records an audit exposes most, by row number: internal editions only."""

import numpy as np

from leaq.reporting.choice import reference
from leaq.reporting.tables import MISSING, Column, Footnote, Table
from leaq.reporting.words import attack_name
from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult, Floats

__all__ = ["exposed"]


def exposed(result: CellResult, limit: int = 20) -> Table | None:
    """Return the records with the largest risk in full precision, and their risk under every quantizer.

    None where the result holds no risks: they are kept apart from shareable results.
    """
    shown = [(row, risk) for row in result.ranked() if (risk := _risk(result, row)) is not None]
    if not shown:
        return None
    by = next((risk for row, risk in shown if row is reference(result)), shown[-1][1])
    ids = result.private.get("ids") or range(len(by))
    order = [int(at) for at in np.argsort(-np.nan_to_num(by, nan=-np.inf), kind="stable")[:limit]]
    order = [at for at in order if np.isfinite(by[at])]
    return Table(
        title=f"The {len(order)} records most exposed in full precision",
        columns=(
            Column("Row", "Row number in the source, counted from 0.", "left"),
            *(Column(row.label, f"Effect size of membership under {row.label}.") for row, _ in shown),
        ),
        rows=tuple((str(ids[at]), *(_text(risk[at]) for _, risk in shown)) for at in order),
        values=tuple((float(ids[at]), *(float(risk[at]) for _, risk in shown)) for at in order),
        keys=tuple(str(ids[at]) for at in order),
        order="Ordered by the risk in full precision, largest first.",
        footnotes=(
            Footnote(
                "",
                f"Risk: how far the signal of {attack_name(result.primary_attack)} moves when the record is trained "
                "on, in standard deviations over models. A single record's risk rests on few models and carries no "
                "interval here: read it as an order of magnitude.",
            ),
        ),
    )


def _risk(result: CellResult, row: QuantizerRow) -> Floats | None:
    attack = row.attacks.get(result.primary_attack)
    return attack.risk if isinstance(attack, AttackResult) else None


def _text(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else MISSING
