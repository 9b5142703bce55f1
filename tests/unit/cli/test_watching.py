import pytest

from leaq.cli.watching import sentence
from leaq.study.events import Event


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

    from leaq.cli.watching import bars

    out = io.StringIO()
    with bars(Console(file=out, force_terminal=True, width=100)) as watch:
        watch(Event("started", "wine"))
        watch(Event("stage", "wine", "training", 3, 9, share=0.1))
        watch(Event("done", "wine", seconds=3, share=0.5))
        watch(Event("failed", "beer", "no [such] thing"))
    text = out.getvalue()
    assert "whole study" in text
    assert "wine: done in 3 s" in text
    assert "no [such] thing" in text
