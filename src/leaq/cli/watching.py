"""A running study on the screen: live bars on a terminal, log lines elsewhere, JSON lines for programs."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from leaq.study.events import Event

LOG_EVERY = 15.0
"""Seconds between two lines about the same cell where there is no terminal."""


def duration(seconds: float) -> str:
    """Return a length of time in words.

    Examples
    --------
    >>> duration(42.4), duration(754), duration(7300)
    ('42 s', '13 min', '2.0 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


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
        "estimate": f"Estimate: {duration(event.seconds)} left, {event.text}",
    }
    return texts.get(event.kind, f"{event.cell}: {event.text} {event.done}/{event.total}")


def json_events(say: Callable[[str], None]) -> Callable[["Event"], None]:
    """Return a watcher that writes each event as one JSON object; stages at most once in a while."""
    calm = _Calm(1.0)

    def watch(event: "Event") -> None:
        if event.kind != "stage" or calm.due(event):
            say(json.dumps(event.to_dict(), sort_keys=True))

    return watch


def log_events(note: Callable[[str], None]) -> Callable[["Event"], None]:
    """Return a watcher that writes lines fit for a log."""
    calm, once = _Calm(LOG_EVERY), _Once()

    def watch(event: "Event") -> None:
        if event.kind != "stage" or calm.due(event):
            note(sentence(once.short(event)))

    return watch


class _Calm:
    """Says whether it is time for another line about a cell."""

    def __init__(self, every: float) -> None:
        self._every = every
        self._last: dict[str, float] = {}

    def due(self, event: "Event") -> bool:
        now = time.monotonic()
        if now - self._last.setdefault(event.cell, now) < self._every:
            return False
        self._last[event.cell] = now
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
def bars(console: "Console") -> Iterator[Callable[["Event"], None]]:
    """Yield a watcher that draws one live line per running cell and a bar for the whole."""
    from rich.markup import escape
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
