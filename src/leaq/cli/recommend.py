"""``leaq recommend``, the former name of ``leaq decide`` without limits."""

from typing import Annotated

import typer

from leaq.cli import console
from leaq.cli.decide import Run

__all__ = ["recommend"]


def recommend(
    run: Run,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Largest acceptable loss of the task's metric; by default 0.01 ROC-AUC or 0.02 R²."),
    ] = None,
    level: Annotated[float, typer.Option(help="Confidence level.", min=0.5, max=0.9999)] = 0.95,
    json: Annotated[
        bool, typer.Option("--json", help="Print a list, one entry a kind of task, as JSON and nothing else.")
    ] = False,
) -> None:
    """Name the model to release within an accuracy budget, how sure that is, and what is not told apart from it.

    Of those whose leak is not told apart from the least, the cheapest in the task's metric is taken, then the smallest
    file. Intervals cover the choice among many; classification and regression are judged apart.

    Examples:

        leaq decide runs/x --max-drop 0.02
    """
    from leaq.reporting.decision import described
    from leaq.study import Store
    from leaq.study.choosing import recommend as choose

    found = choose(Store(run).summaries(), max_drop, level=level)
    if json:
        from leaq.results import as_plain

        console.say_json(as_plain(found))
        return
    for one in found:
        console.paragraph(f"{one.task}: {described(one)}")
