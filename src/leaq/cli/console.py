"""The only file that prints: results to standard output, everything else to standard error."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from rich.console import Console
from rich.markup import escape as unmarked

from leaq.cli.watching import bars, json_events, log_events
from leaq.errors import visible

if TYPE_CHECKING:
    from rich.table import Table as RichTable

    from leaq.reporting.tables import Table
    from leaq.results import CellResult
    from leaq.study.events import Watch
    from leaq.types import Progress

T = TypeVar("T")
LOG_EVERY = 10.0
"""Seconds between two progress lines where there is no terminal to draw a bar on."""


def escape(text: str) -> str:
    """Return text that rich and the terminal print as it is: no markup, no control characters."""
    return str(unmarked(visible(text)))


def _out() -> Console:
    """Build standard output anew a call, so that redirection and NO_COLOR are seen when they change."""
    return Console(highlight=False, soft_wrap=not sys.stdout.isatty(), width=_width(sys.stdout.isatty()))


def _err() -> Console:
    return Console(stderr=True, highlight=False)


def _width(terminal: bool) -> int | None:
    # Piped output has no width: a table must not be folded to 80 columns for a file or a log.
    return None if terminal or "COLUMNS" in os.environ else 200


def say(text: str) -> None:
    """Print a result, as it is."""
    sys.stdout.write(visible(text) + "\n")


def say_json(value: Any) -> None:
    """Print plain values as JSON that every parser reads: no NaN, no bare infinities."""
    say(json.dumps(value, indent=1, allow_nan=False))


def print_listing(found: T, show: Callable[[T], None], *, json: bool) -> None:
    """Print what is known by name: as JSON of everything that is recorded, or the way people read it."""
    if json:
        from leaq.results import as_plain

        say_json(as_plain(found))
    else:
        show(found)


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
            least = _least(table, shown)
            if least is None:
                break
            shown.remove(least)
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
    from leaq.reporting.task_tables import by_task

    table = by_task(result, brief=True)
    if table is not None:
        show_table(table)


def _needs(drawn: "RichTable") -> int:
    """Return the width at which nothing is broken inside; rich's own answer takes no column's least width for given."""
    return 1 + sum((column.min_width or 0) + 2 for column in drawn.columns)


def _least(table: "Table", shown: Sequence[int]) -> int | None:
    """Return the column that gives way next; None if all that are left have to stay."""
    free = [(keep, at) for at in shown if (keep := table.columns[at].keep) is not None]
    return min(free)[1] if free else None


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
    last: dict[str, float] = {}

    def progress(what: str, done: int, total: int) -> None:
        now = time.monotonic()
        if done < total and now - last.setdefault(what, now) < LOG_EVERY:
            return
        last[what] = now
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
