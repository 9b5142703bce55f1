"""The only file that prints: results to standard output, everything else, and what is going on, to standard error."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.markup import escape as unmarked

from leaq.errors import visible
from leaq.system.environment import duration

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from leaq.reporting.tables import Table
    from leaq.results import CellResult
    from leaq.study.events import Event, Watch
    from leaq.types import Progress


T = TypeVar("T")
LOG_EVERY = 10.0
"""Seconds between two progress lines where there is no terminal to draw a bar on."""


def escape(text: str) -> str:
    """Return text that rich and the terminal print as it is: no markup, no control characters."""
    return str(unmarked(visible(text)))


def _out() -> Console:
    """Build standard output anew a call, so that redirection and NO_COLOR are seen when they change."""
    terminal = sys.stdout.isatty()
    # Piped output has no width: a table must not be folded to 80 columns for a file or a log.
    return Console(highlight=False, soft_wrap=not terminal, width=None if terminal or "COLUMNS" in os.environ else 200)


def _err() -> Console:
    return Console(stderr=True, highlight=False)


def say(text: str) -> None:
    """Print a result, as it is."""
    sys.stdout.write(visible(text) + "\n")


def say_json(value: Any, **beside: Any) -> None:
    """Print a value, and what is said beside its fields, as JSON that every parser reads: no NaN or bare infinities."""
    from leaq.results import as_plain

    plain = as_plain(value)
    say(json.dumps({**plain, **as_plain(beside)} if beside else plain, indent=1, allow_nan=False))


def print_listing(found: T, show: Callable[[T], None], *, json: bool) -> None:
    """Print what is known by name: as JSON of everything that is recorded, or the way people read it."""
    say_json(found) if json else show(found)


def note(text: str) -> None:
    """Print what is not a result (where a file was written, what happens next) to standard error."""
    _err().print(escape(text), soft_wrap=not sys.stderr.isatty())


def fail(text: str) -> None:
    """Print an error to standard error."""
    _err().print(f"[bold red]Error[/]  {escape(text)}", soft_wrap=not sys.stderr.isatty())


def show_table(table: "Table") -> None:
    """Print a table with its sort key and footnotes.

    Where the terminal is narrow intervals go to a second line, then columns give way, least important first, and are
    named. No number is ever folded.
    """
    console = _out()
    shown = list(range(len(table.columns)))
    drawn = _drawn(table, shown, stacked=False)
    if console.measure(drawn, options=console.options.update(width=10_000)).maximum > console.width:
        while _needs(drawn := _drawn(table, shown, stacked=True)) > console.width:
            free = [(keep, at) for at in shown if (keep := table.columns[at].keep) is not None]
            if not free:  # all that are left have to stay
                break
            shown.remove(min(free)[1])
    console.print(drawn)
    hidden = [column.title for at, column in enumerate(table.columns) if at not in shown]
    if hidden:
        console.print(escape(f"For want of width without: {', '.join(hidden)}."), style="dim")
    console.print(escape(table.order), style="dim")
    for footnote in table.footnotes:
        mark = f"{footnote.mark}  " if footnote.mark else ""
        console.print(escape(mark + footnote.text), style="dim")


def show_tasks(result: "CellResult") -> None:
    """Print what each of several targets gives away by itself; nothing of a single one."""
    from leaq.reporting.tables import by_task

    table = by_task(result, brief=True)
    if table is not None:
        show_table(table)


def _needs(drawn: "RichTable") -> int:
    """Return the width at which nothing is broken inside; rich's own answer takes no column's least width for given."""
    return 1 + sum((column.min_width or 0) + 2 for column in drawn.columns)


def _drawn(table: "Table", shown: Sequence[int], *, stacked: bool) -> "RichTable":
    """Draw some columns; those set right hold numbers, which stay whole."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable

    drawn = RichTable(
        title=escape(table.title),
        title_justify="left",
        title_style="bold",
        header_style="bold",
        box=SIMPLE_HEAD,
        padding=(0, 1, 0, 0) if stacked else (0, 1),
        pad_edge=False,
    )
    rows = [[row[at].replace(" [", "\n[", 1) if stacked else row[at] for at in shown] for row in table.rows]
    for place, at in enumerate(shown):
        column = table.columns[at]
        parts = str.splitlines if column.align == "right" else str.split
        whole = max((len(part) for row in rows for part in parts(row[place])), default=0)
        width = max(whole, *map(len, column.title.split()))
        drawn.add_column(escape(column.title), justify=column.align, overflow="fold", min_width=width)
    for row in rows:
        drawn.add_row(*map(escape, row))
    return drawn


def paragraph(text: str) -> None:
    """Print text folded to the terminal's width."""
    _out().print(escape(text), soft_wrap=False)


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator["Progress"]:
    """Yield a callback ``progress(what, done, total)``: bars on a terminal, a line now and then elsewhere."""
    if quiet:
        from leaq.types import silent

        yield silent
    elif sys.stderr.isatty():
        yield from _bars()
    else:
        yield _lines()


def _bars() -> Iterator["Progress"]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description:<12}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=_err(), transient=True) as bars:
        tasks: dict[str, object] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)  # type: ignore[arg-type]

        yield progress


def _lines() -> "Progress":
    pace = Pace(LOG_EVERY)

    def progress(what: str, done: int, total: int) -> None:
        if pace.due(what) or done >= total:
            note(f"{what} {done}/{total}")

    return progress


@contextmanager
def watching(*, quiet: bool = False, json_lines: bool = False) -> Iterator["Watch"]:
    """Yield a watcher of a study: live bars on a terminal, log lines elsewhere, JSON lines, or nothing."""
    if quiet:
        yield lambda _event: None
    elif json_lines:
        yield json_events(_say_now)
    elif sys.stderr.isatty():
        with bars(_err()) as watch:
            yield watch
    else:
        yield log_events(note)


def _say_now(text: str) -> None:
    """Print a line that a reader on the other side of a pipe gets at once."""
    say(text)
    sys.stdout.flush()


CELL_EVERY = 15.0
"""Seconds between two lines about the same cell where there is no terminal."""


def sentence(event: "Event") -> str:
    """Return what an event says, in one line."""
    texts: dict[str, str] = {
        "plan": f"Plan: {event.text}",
        "started": f"{event.cell}: started",
        "done": f"{event.cell}: done in {duration(event.seconds)} ({event.share:.0%} of the work)",
        "found": f"{event.cell}: finished earlier",
        "failed": f"{event.cell}: FAILED, {event.text}",
        "skipped": f"{event.cell}: failed in an earlier run, not tried again (--retry-failed does); {event.text}",
        "elsewhere": f"{event.cell}: another process works on it",
        "damaged": f"{event.cell}: {event.text} was damaged; set aside and computed again",
        "replaced": f"{event.cell}: records, files or code have changed since it was finished here; computed anew, and "
        "what was found before stays beside it as .superseded",
        "estimate": f"Estimate: {duration(event.seconds)} left, {event.text}",
    }
    return texts.get(event.kind, f"{event.cell}: {event.text} {event.done}/{event.total}")


def json_events(say: Callable[[str], None]) -> Callable[["Event"], None]:
    """Return a watcher that writes each event as one JSON object; stages at most once in a while."""
    calm = Pace(1.0)

    def watch(event: "Event") -> None:
        if event.kind != "stage" or calm.due(event.cell):
            say(json.dumps(event.to_dict(), sort_keys=True))

    return watch


def log_events(note: Callable[[str], None]) -> Callable[["Event"], None]:
    """Return a watcher that writes lines fit for a log."""
    calm, once = Pace(CELL_EVERY), _Once()

    def watch(event: "Event") -> None:
        if event.kind != "stage" or calm.due(event.cell):
            note(sentence(once.short(event)))

    return watch


class Pace:
    """Says whether it is time for another line about something."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._last: dict[str, float] = {}

    def due(self, what: str) -> bool:
        """Return whether the last line about it is long enough ago, and count from now if so."""
        now = time.monotonic()
        if now - self._last.setdefault(what, now) < self._every:
            return False
        self._last[what] = now
        return True


class _Once:
    """Says a reason in full once; cells that fail for the same one refer to it."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def short(self, event: "Event") -> "Event":
        if event.kind not in ("failed", "skipped"):
            return event
        first = self._said.setdefault(event.text, event.cell)
        return event if first == event.cell else replace(event, text=f"for the same reason as {first}")


@contextmanager
def bars(console: Console) -> Iterator[Callable[["Event"], None]]:
    """Yield a watcher that draws one live line per running cell and a bar for the whole."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, transient=True) as drawn:
        whole = drawn.add_task("[bold]whole study[/]", total=1.0)
        lines: dict[str, Any] = {}
        once = _Once()

        def watch(event: "Event") -> None:
            drawn.update(whole, completed=event.share)
            if event.kind in ("started", "stage"):
                if event.cell not in lines:
                    lines[event.cell] = drawn.add_task(escape(event.cell), total=None)
                if event.kind == "stage":
                    what = f"{event.cell} · {event.text}"
                    drawn.update(lines[event.cell], description=escape(what), completed=event.done, total=event.total)
                return
            if event.cell in lines:
                drawn.remove_task(lines.pop(event.cell))
            if event.kind != "found":
                console.print(escape(sentence(once.short(event))), highlight=False)

        yield watch
