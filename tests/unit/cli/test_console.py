import io
import re
import sys

import pytest

from leaq.attacks.registry import entries as attack_entries
from leaq.cli import console
from leaq.cli.console import sentence
from leaq.data import entries
from leaq.reporting.listings import attacks_table, datasets_table
from leaq.reporting.tables import ranking
from leaq.study.events import Event
from tests.results import cell


class Terminal(io.StringIO):
    def isatty(self):
        return True


def terminal(monkeypatch):
    """Make standard output and error a terminal of 100 columns that can show colours."""
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "100")
    found = Terminal()
    monkeypatch.setattr(sys, "stdout", found)
    monkeypatch.setattr(sys, "stderr", found)
    return found  # set in the test itself: pytest exchanges both streams after fixtures are made


def colours(text):
    """Escape sequences that set a colour (bold and dim set none)."""
    return [code for code in re.findall(r"\x1b\[([\d;]*)m", text) if re.search(r"(^|;)(3[0-8]|4[0-8]|9\d)", code)]


def test_errors_are_coloured_on_a_terminal(monkeypatch):
    screen = terminal(monkeypatch)
    console.fail("No such [thing].")
    assert colours(screen.getvalue())
    assert "No such [thing]." in screen.getvalue()


def test_no_color_is_respected(monkeypatch):
    screen = terminal(monkeypatch)
    monkeypatch.setenv("NO_COLOR", "1")
    console.fail("No such thing.")
    console.show_table(ranking(cell()))
    assert "No such thing." in screen.getvalue()
    assert "ternary" in screen.getvalue()
    assert colours(screen.getvalue()) == []


@pytest.mark.parametrize("width", [50, 80, 110, 300])
def test_no_number_is_ever_folded_and_what_gives_way_is_named(width, monkeypatch):
    screen = terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(width))
    table = ranking(cell())
    console.show_table(table)
    text = re.sub(r"\x1b\[[\d;]*m", "", screen.getvalue())
    assert max(map(len, text.splitlines())) <= width
    hidden = re.search(r"For want of width without: ([^.]+)\.", " ".join(text.split()))
    gone = set(hidden[1].split(", ")) if hidden else set()
    assert {"Quantizer", "LiRA", "Flags"}.isdisjoint(gone)
    assert bool(gone) == (width < 200)
    for at, column in enumerate(table.columns):
        numbers = [part for row in table.rows for part in row[at].replace(" [", "\n[", 1).splitlines()]
        shown = column.title not in gone
        if column.align == "right":
            assert all(part in text for part in numbers) or not shown
    if width == 80:
        assert {"ROC-AUC", "Change"}.isdisjoint(gone)


@pytest.mark.parametrize("width", [60, 80, 120])
def test_listings_break_no_name(width, monkeypatch):
    screen = terminal(monkeypatch)
    monkeypatch.setenv("COLUMNS", str(width))
    for table in (datasets_table(entries()), attacks_table(attack_entries())):
        console.show_table(table)
        assert all(word in screen.getvalue() for name in table.keys for word in name.split())


def test_a_pipe_gets_neither_escapes_nor_folded_rows(monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    pipe = io.StringIO()
    monkeypatch.setattr(sys, "stdout", pipe)
    console.show_table(ranking(cell()))
    assert "\x1b" not in pipe.getvalue()
    assert any("ternary 90% sparse" in line and "0.010" in line for line in pipe.getvalue().splitlines())


def test_json_has_no_bare_infinity(capsys):
    console.say_json({"value": [1.5, None, float("inf")]})
    assert capsys.readouterr().out == '{\n "value": [\n  1.5,\n  null,\n  "inf"\n ]\n}\n'


def test_progress_is_lines_where_there_is_no_terminal_and_nothing_when_quiet(monkeypatch):
    log = io.StringIO()
    monkeypatch.setattr(sys, "stderr", log)
    with console.progress_bar() as progress:
        progress("models", 1, 4)
        progress("models", 4, 4)
    assert log.getvalue() == "models 4/4\n"
    with console.progress_bar(quiet=True) as progress:
        progress("models", 4, 4)
    assert log.getvalue() == "models 4/4\n"


def test_progress_is_a_bar_on_a_terminal(monkeypatch):
    screen = terminal(monkeypatch)
    with console.progress_bar() as progress:
        progress("models", 1, 4)
        progress("models", 4, 4)
    assert "models" in screen.getvalue()
    assert "4/4" in screen.getvalue()


def test_a_name_moves_no_cursor_and_clears_no_screen(monkeypatch, capsys):
    name = "wine\x1b[2J\r\x07\u202e"
    shown = "wine\\x1b[2J\\r\\x07\\u202e"
    console.say(name)
    assert capsys.readouterr().out == shown + "\n"
    for verb in (console.note, console.fail):
        verb(name)
        assert shown in capsys.readouterr().err
    console.paragraph(name)
    assert shown in capsys.readouterr().out
    screen = terminal(monkeypatch)
    console.show_table(ranking(cell(name=name)))
    assert "\x1b[2J" not in screen.getvalue()
    assert "\u202e" not in screen.getvalue()


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("done", "c", seconds=754, share=0.5), "c: done in 13 min (50% of the work)"),
        (Event("estimate", text="x", seconds=7300), "Estimate: 2.0 h left, x"),
        (Event("stage", "c", "training", 3, 9), "c: training 3/9"),
        (Event("elsewhere", "c"), "c: another process works on it"),
    ],
)
def test_what_an_event_says(event, text):
    assert sentence(event) == text


def test_bars_are_drawn_on_a_terminal():
    import io

    from rich.console import Console

    from leaq.cli.console import bars

    out = io.StringIO()
    with bars(Console(file=out, force_terminal=True, width=100)) as watch:
        watch(Event("started", "wine"))
        watch(Event("stage", "wine", "training", 3, 9, share=0.1))
        watch(Event("done", "wine", seconds=3, share=0.5))
        watch(Event("failed", "beer", "no [such] thing\x1b[2J"))
    text = out.getvalue()
    assert "whole study" in text
    assert "wine: done in 3 s" in text
    assert "no [such] thing" in text
    assert "\x1b[2J" not in text
