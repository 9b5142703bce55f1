"""``leaq gate``: pass or fail a run, for the CI of models."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["gate"]

SHOWN = 20
"""Models that fail, printed unless all are asked for."""


def gate(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    max_advantage: Annotated[
        float | None, typer.Option(help="Largest acceptable advantage of any attack, at its upper limit.")
    ] = None,
    min_metric: Annotated[
        float | None, typer.Option(help="Smallest acceptable task metric, at its lower limit.")
    ] = None,
    metric: Annotated[str | None, typer.Option(help="Which metric, e.g. accuracy; by default ROC-AUC or R².")] = None,
    quantizer: Annotated[
        list[str] | None,
        typer.Option(
            help="Judge only this quantizer, e.g. 'uniform(bits=4)'; may be repeated. Default: all asked for."
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"Print every reason; by default the first {SHOWN} models that fail.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the verdict with every reason as JSON and nothing else.")
    ] = False,
) -> None:
    """Fail (exit code 1) unless every quantizer leaks little enough and predicts well enough, beyond doubt.

    Decided at the worse end of each interval; what was not computed fails. Passing means that the attacks that were \
    run found no more than the limit, never that there is no leak.

    Examples:

        leaq gate runs/x --max-advantage 0.1 --min-metric 0.85
    """
    from leaq.study import Store
    from leaq.study.gating import gate as judge

    verdict = judge(
        Store(run).summaries(),
        max_advantage=max_advantage,
        min_metric=min_metric,
        metric=metric,
        quantizers=tuple(quantizer or ()),
    )
    if json:
        from leaq.results import as_plain

        console.say_json({"passed": verdict.passed, **as_plain(verdict)})
        raise typer.Exit(0 if verdict.passed else 1)
    if not verdict.passed:
        lines = verdict.reasons if every or not verdict.failing else verdict.failing[:SHOWN]
        for line in lines:
            console.say(f"FAIL  {line}")
        failing = len(verdict.failing)
        hidden = "" if every or failing <= SHOWN else f" {failing - SHOWN} more are not printed: --all, or --json."
        console.note(f"Gate not passed: {failing} of {verdict.checked} models fail.{hidden}")
        raise typer.Exit(1)
    console.say(f"PASS  {verdict.checked} models judged, {verdict.describe()}")
