"""Results as tables: what is printed (digits from the intervals, flags as footnotes), of several targets each alone."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from leaq.decisions.standing import leak, reference
from leaq.reporting.display_names import attack_name, flag_words, in_reading_order, indicator, metric, short_attack
from leaq.reporting.narrative import reading
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult, Estimate, Flag, NotComputed

MISSING = "–"
AHEAD = {"forecast": "Forecast", "forecast_one": "Estimate"}
"""What is said of an attack that was not run, best first, with the head of its column."""


@dataclass(frozen=True)
class Column:
    """A column's head, what it means, and how it is set.

    `keep` says how soon it gives way where a screen is narrow: the smallest number first, None never.
    """

    title: str
    explanation: str
    align: Literal["left", "right"] = "right"
    keep: int | None = None


QUANTIZER = Column("Quantizer", "How the weights were rounded.", "left")
FLAGS = Column("Flags", "Letters refer to the notes below the table.", "left")


@dataclass(frozen=True)
class Footnote:
    """A doubt below the table; `mark` is the letter that rows refer to, empty if it concerns the whole table."""

    mark: str
    text: str

    def __str__(self) -> str:
        return f"{self.mark}  {self.text}" if self.mark else self.text


@dataclass(frozen=True)
class Cell:
    """One cell: what is printed, and what it sorts by where that is not its text."""

    text: str
    value: float | str | None = None


@dataclass(frozen=True)
class Table:
    """A table ready to be drawn by anybody: text only.

    Attributes
    ----------
    columns : heads.
    lines : by row, the quantizer it is of (or what else it goes by) and its cells.
    order : one sentence that states the sort key.
    footnotes : doubts, with the letters that rows refer to.
    unranked : rows at the end that have no place in the order.
    """

    title: str
    columns: Sequence[Column]
    lines: Sequence[tuple[str, Sequence[Cell]]]
    order: str = ""
    footnotes: tuple[Footnote, ...] = ()
    unranked: int = 0

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The quantizer of each row."""
        return tuple(key for key, _ in self.lines)

    @cached_property
    def rows(self) -> tuple[tuple[str, ...], ...]:
        """The text of each cell."""
        return tuple(tuple(cell.text for cell in cells) for _, cells in self.lines)

    @cached_property
    def values(self) -> tuple[tuple[float | str, ...], ...]:
        """What each cell sorts by."""
        return tuple(
            tuple(cell.text if cell.value is None else cell.value for cell in cells) for _, cells in self.lines
        )


def plain_notes(texts: Iterable[str]) -> tuple[Footnote, ...]:
    """Return notes on the whole table, the empty ones left out."""
    return tuple(Footnote("", text) for text in texts if text)


class Notes:
    """Collects doubts and hands out one mark for each distinct text: a..z, aa, ab, ..."""

    def __init__(self) -> None:
        self._marks: dict[str, str] = {}

    def mark(self, texts: Sequence[str]) -> str:
        """Return the letters of these texts, in alphabetical order."""
        for text in texts:
            turns, letter = divmod(len(self._marks), 26)
            self._marks.setdefault(text, chr(96 + turns) * (turns > 0) + chr(97 + letter))
        return " ".join(sorted({self._marks[text] for text in texts}, key=lambda mark: (len(mark), mark)))

    def footnotes(self) -> tuple[Footnote, ...]:
        """Return every text with its letter."""
        return tuple(Footnote(mark, text) for text, mark in self._marks.items())


def ranking(result: CellResult) -> Table:
    """Return one row per quantizer, least leak first: what it weighs, what it costs, what it gives away."""
    name = metric(result.primary_metric).name
    attacks = _attacks_shown(result)
    # A forecast tells more of the leak than n·r, which is left to the indicators then; a column of dashes nothing.
    measured = {key for row in result.rows for key, one in row.measures.items() if isinstance(one, Estimate)}
    ahead, compared = next((key for key in AHEAD if key in measured), ""), "leak_vs_least" in measured
    told = "Signed advantage (TPR - FPR) of the {}, threshold chosen on other models or records; 0 is blind guessing."
    keep = {"threshold": 3, result.primary_attack: None}  # the leading one never gives way, the simplest soon
    way = "negative" if metric(result.primary_metric).larger_is_better else "positive"
    columns = (
        QUANTIZER,
        Column("Bits", "Packed bits per quantized weight, scales included.", keep=1),
        Column("Size", "The whole released file.", keep=4),
        Column(name, f"{name} on records that did not train the model, mean over models, with its interval.", keep=7),
        Column("Change", f"Change of {name} against full precision, same models ({way}: worse).", keep=8),
        Column("r", "Asymptotic rate of this set of candidates; larger is safer; read it with its flags.", keep=0),
        *(() if ahead else (Column("n·r", "r times the training records; below about 3, r says little.", keep=0),)),
        *(Column(short_attack(key), told.format(attack_name(key)), keep=keep.get(key, 6)) for key in attacks),
        *((Column("vs least", indicator("leak_vs_least")[1], keep=5),) if compared else ()),
        *((Column(AHEAD[ahead], indicator(ahead)[1], keep=2),) if ahead else ()),
    )  # fmt: skip
    drawn = [(row, *_ranking_row(result, row, attacks, ahead, compared=compared)) for row in result.shown()]
    said = [texts for row, _, texts in drawn if any(row is one for one in result.rows)]
    # What every one of several rows has is said once, not marked in each.
    shared = [text for text in said[0] if all(text in other for other in said)] if len(said) > 1 else []
    below = {"references": result.references, "releases attacked together": result.together}
    named = ", then ".join(kind for kind, rows in below.items() if rows)
    level = next(
        (one.level for row in result.rows if (one := leak(result, row))), float(result.config.get("level", 0.95))
    )
    notes = Notes()
    # As they would stay on a narrow screen: the name, the leak, its price; letters of notes last.
    order = sorted(range(1, len(columns)), key=lambda at: -(99 if (keep := columns[at].keep) is None else keep))
    order = [0, *order]
    return Table(
        title=f"{result.name}: quantizers by what they give away",
        columns=[*(columns[at] for at in order), FLAGS],
        lines=[
            (row.quantizer, [*(cells[at] for at in order), Cell(notes.mark(texts))])
            for row, cells, every in drawn
            for texts in [[text for text in every if text not in shared]]
        ],
        order=(
            f"Ordered by the held-out advantage of the {attack_name(result.primary_attack)}, least leak first. "
            f"{f'Below them: {named}. ' if named else ''}Brackets: {level:.0%} intervals."
        ),
        footnotes=(
            *notes.footnotes(),
            *plain_notes([*(f"Every row: {text}" for text in shared), *map(flag_words, result.flags)]),
        ),
        unranked=len(result.unranked),
    )


def _attacks_shown(result: CellResult) -> tuple[str, ...]:
    """Return the simplest attack, the strongest of who only sees outputs, and the one rows are ordered by."""
    blind = "combined(sees=outputs)"
    there = any(blind in row.computed for row in result.rows)
    return tuple(dict.fromkeys(("threshold", *([blind] if there else ()), result.primary_attack)))


def _ranking_row(
    result: CellResult, row: QuantizerRow, attacks: Sequence[str], ahead: str, *, compared: bool
) -> tuple[list[Cell], list[str]]:
    """Return the cells of a row but its flags, and what these say.

    Parameters
    ----------
    ahead : which forecast any row has, "" if none. compared : whether rows are compared with the one that leaks least.
    """
    key = result.primary_metric
    missing: list[str] = []
    ran = row.computed
    numbers = [
        number_cell(row.metrics.get(key), missing),
        number_cell(row.drops.get(key), missing, sign=True) if key in row.drops or not row.metrics else Cell("", 0.0),
        number_cell(row.measures.get("r"), missing),
        *(() if ahead else (number_cell(row.measures.get("n_r"), missing),)),
        *(
            number_cell(ran[name].advantage if name in ran else row.attacks.get(name), missing, sign=True)
            for name in attacks
        ),
    ]
    if compared:
        gap = row.measures.get("leak_vs_least")
        itself = isinstance(gap, Estimate) and gap.low == gap.value == gap.high == 0  # the row that the others are from
        numbers.append(Cell("", 0.0) if itself else number_cell(gap, missing, sign=True))
    if ahead:
        numbers.append(number_cell(row.measures.get(ahead), missing, sign=True))
    cells = [
        Cell(row.label),
        Cell(row.size.bits_words, row.size.bits),
        Cell(size_words(row.size.bytes), float(row.size.bytes)),
        *numbers,
    ]
    flags = [
        *row.flags,
        *(flag for key in attacks if key in ran for flag in (*ran[key].flags, *ran[key].advantage.flags)),
    ]
    flags += [flag for key in AHEAD for flag in getattr(row.measures.get(key), "flags", ())]
    return cells, list(dict.fromkeys([*map(flag_words, flags), *missing]))


def number_cell(item: object, missing: list[str] | None = None, *, sign: bool = False) -> Cell:
    """Format an estimate; a number that could not be computed leaves a dash, and its reason in `missing`."""
    if isinstance(item, Estimate):
        return Cell(format_estimate(item, sign=sign), item.value)
    if isinstance(item, NotComputed) and missing is not None:
        missing.append(item.reason)
    return Cell(MISSING, math.inf)


def size_words(count: float) -> str:
    """Write a number of bytes the way people say it.

    Examples
    --------
    >>> size_words(49656), size_words(12)
    ('49.7 kB', '12 B')
    """
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.3g} {unit}"
        count /= 1000
    raise AssertionError  # the loop always returns


def indicators(result: CellResult) -> Table:
    """Return what stands beside the attacks: leaks compared, r and its companions, distortion, loss gap."""
    keys = in_reading_order((key for row in result.shown() for key in row.measures), "indicator")
    notes, lines = Notes(), []
    for row in result.shown():
        missing: list[str] = []
        cells = [number_cell(row.measures.get(key), missing) for key in keys]
        doubts = [flag_words(flag) for number in row.measures.values() for flag in getattr(number, "flags", ())]
        lines.append((row.quantizer, [Cell(row.label), *cells, Cell(notes.mark([*doubts, *missing]))]))
    return Table(
        title="Paired differences, and indicators computed without an attack",
        columns=[QUANTIZER, *(Column(*indicator(key)) for key in keys), FLAGS],
        lines=lines,
        order="In the order of the ranking.",
        footnotes=notes.footnotes(),
        unranked=len(result.unranked),
    )


def text(result: CellResult) -> str:
    """Return the ranking as plain text, for terminals without colour and for ``print``.

    The reading stands below it.
    """
    table = ranking(result)
    grid = [tuple(column.title for column in table.columns), *table.rows]
    widths = [max(len(line[i]) for line in grid) for i in range(len(table.columns))]
    marks = ["<" if column.align == "left" else ">" for column in table.columns]
    lines = [
        "  ".join(f"{cell:{mark}{width}}" for cell, width, mark in zip(line, widths, marks, strict=True)).rstrip()
        for line in grid
    ]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join([table.title, table.order, "", *lines, "", *map(str, table.footnotes), "", reading(result)])


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
        title=f"{result.name}: each task by itself",
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
