"""Several targets: what each of them gives away by its labels alone, and what each quantizer costs it."""

from leaq.decisions.standing import reference
from leaq.reporting.display_names import flag_words, in_reading_order, metric, short_attack
from leaq.reporting.tables import FLAGS, QUANTIZER, Cell, Column, Notes, Table, number_cell
from leaq.results import CellResult, QuantizerRow
from leaq.types import AttackResult, Flag


def by_task(result: CellResult, *, brief: bool = False) -> Table | None:
    """Return one row a quantizer and task, in the order of the ranking; None where there is one target.

    Parameters
    ----------
    brief : full precision and the row that leaks least alone: a terminal holds no more.
    """
    rows = [row for row in result.shown() if row.by_task]
    if brief:
        rows = [row for row in rows if any(row is one for one in (rows[0], reference(result)))]
    if not rows:
        return None
    names = [name for one in result.data.get("tasks", ()) if (name := str(one["name"])) in rows[0].by_task]
    told = list(dict.fromkeys(_key(rows[0].by_task[name]) for name in names))
    each = [one for row in rows for one in row.by_task.values()]
    # What lacks shadow models lacks them everywhere, which the main table says.
    there = [key for one in each for key in one.computed]
    attacks = in_reading_order(there or [key for one in each for key in one.attacks], "attack")
    columns = (
        QUANTIZER,
        Column("Task", "Name of the target.", "left"),
        Column("Labels", "Records with a label of this task; attacks on it ask about these.", keep=1),
        *(Column(metric(key).name, "On records that trained no part of the model.", keep=5) for key in told),
        Column("Change", "Change of the metric against full precision, same models.", keep=2),
        *(Column(short_attack(key), "Signed advantage on this task's labels alone.", keep=4) for key in attacks),
        FLAGS,
    )  # fmt: skip
    notes = Notes()
    found = [(row.quantizer, _cells(result, row, name, told, attacks, notes)) for row in rows for name in names]
    return Table(
        title=f"{result.data.get('name', 'data')}: each task by itself",
        columns=columns,
        lines=found,
        order=(
            f"In the order of the ranking{', of which the first and full precision' if brief else ''}. Whoever attacks "
            "one task sees the outputs of that task alone; the ranking's attacks read all tasks together."
        ),
        footnotes=notes.footnotes(),
    )


def _key(row: QuantizerRow) -> str:
    return next((key for key in ("roc_auc", "r2") if key in row.metrics), "loss")


def _cells(  # noqa: PLR0917 - one line of the table
    result: CellResult, row: QuantizerRow, name: str, told: list[str], attacks: list[str], notes: Notes
) -> list[Cell]:
    one, missing = row.by_task[name], list[str]()
    known = next(int(task["n"]) for task in result.data["tasks"] if task["name"] == name)
    numbers = [number_cell(one.metrics[key], missing) if key in one.metrics else Cell("", 0.0) for key in told]
    change = one.drops.get(_key(one))
    numbers.append(number_cell(change, missing, sign=True) if change is not None else Cell("", 0.0))
    doubts: list[Flag] = list(one.flags)
    for key in attacks:
        attack = one.attacks.get(key)
        if isinstance(attack, AttackResult):
            doubts += [*attack.flags, *attack.advantage.flags]
            numbers.append(number_cell(attack.advantage, missing, sign=True))
        else:
            numbers.append(number_cell(attack, missing))
    mark = notes.mark([*map(flag_words, doubts), *missing])
    return [Cell(row.label), Cell(name), Cell(f"{known:,}", float(known)), *numbers, Cell(mark)]
