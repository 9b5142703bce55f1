"""docs/performance.md: tables between its marks, pictures beside it."""

import altair as alt

from benchmarks.pages import DOCS, put
from benchmarks.speed import (
    engines,
    finished,
    gpu,
    growth,
    many_cells,
    matrix,
    peers,
    phases,
    quantizers,
    recorder,
    stacking,
    start,
    streaming,
)  # fmt: skip

PAGE, PICTURE = DOCS / "performance.md", DOCS / "img" / "growth.svg"
BODIES = {
    "phases": phases, "start": start, "growth": growth, "matrix": matrix, "stacking": stacking, "peers": peers,
    "finished": finished, "streaming": streaming, "engines": engines, "recorder": recorder, "quantizers": quantizers, "many_cells": many_cells,
    "gpu": gpu,
}  # fmt: skip
PARTS = ("training", "evaluating", "measuring")


def write(results: dict[str, dict]) -> None:
    """Write what is there of every part, with the machine it was measured on, and draw growth."""
    for name, module in BODIES.items():
        if name in results:
            put(PAGE, name, f"{module.body(results[name]['rows'])}\n\n{measured(results[name]['machine'])}")
    if "growth" in results:
        draw(results["growth"]["rows"])


def measured(machine: dict) -> str:
    card = f", {machine['gpu']}" if machine["gpu"] else ""
    return (
        f"*{machine['processor']}, {machine['cores']} cores{card}, torch {machine['torch']}, commit {machine['commit']}, "
        f"{machine['day']}, load {machine['load']} before.*"
    )


def draw(rows: list[dict]) -> None:
    """Draw seconds by stage, and memory, against each axis; both axes logarithmic, so that a slope of 1 is linear."""
    columns = []
    for axis in dict.fromkeys(row["axis"] for row in rows):
        mine = [row for row in rows if row["axis"] == axis]
        ticks = sorted({row["at"] for row in mine})
        x = alt.X("at:Q", title=axis, scale=alt.Scale(type="log", nice=False), axis=alt.Axis(values=ticks, grid=False))
        seconds = [
            {"at": row["at"], "seconds": max(row["stages"].get(part, 0.0), 0.01), "stage": part}
            for row in mine for part in PARTS
        ]  # fmt: skip
        memory = [
            {"at": row["at"], "GB": row[key] / 1e9, "memory": told}
            for row in mine for key, told in (("bytes", "taken"), ("said_bytes", "said before"))
        ]  # fmt: skip
        y = alt.Y("seconds:Q", scale=alt.Scale(type="log"), title="processor seconds")
        upper = alt.Chart(alt.Data(values=seconds), width=150, height=150).mark_line(point=True)
        lower = alt.Chart(alt.Data(values=memory), width=150, height=110).mark_line(point=True)
        columns.append(
            alt.vconcat(
                upper.encode(x=x, y=y, color=alt.Color("stage:N", sort=list(PARTS), title=None)),
                lower.encode(
                    x=x, y=alt.Y("GB:Q", title="memory, GB"),
                    strokeDash=alt.StrokeDash("memory:N", title=None, sort=["taken", "said before"]),
                ),
            )
        )  # fmt: skip
    chart = alt.hconcat(*columns).configure_view(stroke=None).configure_legend(orient="bottom")
    chart.save(str(PICTURE))
