"""``leaq gate``: pass or fail a run, for the CI of models."""

from pathlib import Path
from typing import Annotated

import typer

from leaq.cli import console

__all__ = ["gate"]

SHOWN = 20
"""Models that fail, printed unless all are asked for."""
LIMITS, EVIDENCE = "Limits", "What is judged, and on what evidence"


def gate(
    run: Annotated[Path, typer.Argument(help="A run folder, made by --out.")],
    max_advantage: Annotated[
        float | None,
        typer.Option(help="Largest acceptable advantage of any attack, at its upper limit.", rich_help_panel=LIMITS),
    ] = None,
    min_metric: Annotated[
        float | None,
        typer.Option(
            help="Smallest acceptable task metric, at its lower limit; for metrics of which more is better.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    max_metric: Annotated[
        float | None,
        typer.Option(
            help="Largest acceptable task metric, at its upper limit; for RMSE, losses and the like.",
            rich_help_panel=LIMITS,
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(help="Which metric, e.g. accuracy; by default ROC-AUC or R².", rich_help_panel=LIMITS),
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            help="Attacks, by name or family, without which no advantage passes; none: whatever was run. By default "
            "those of a standard audit.",
            metavar="<list>",
            rich_help_panel=EVIDENCE,
        ),
    ] = None,
    quantizer: Annotated[
        list[str] | None,
        typer.Option(
            help="Judge only this quantizer, e.g. 'uniform(bits=4)' or '4-bit per channel'; may be repeated. Default: "
            "all asked for.",
            metavar="<name>",
            rich_help_panel=EVIDENCE,
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help=f"Print every reason; by default the first {SHOWN} models that fail.")
    ] = False,
    junit: Annotated[Path | None, typer.Option(help="Write the verdict as JUnit XML too, for a CI server.")] = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the verdict with every reason as JSON and nothing else.")
    ] = False,
) -> None:
    """Fail (exit code 1) unless every quantizer leaks little enough and predicts well enough, beyond doubt.

    Decided at the worse end of each interval; what was not computed fails. Passing means that the attacks that were
    run found no more than the limit, never that there is no leak.

    Examples:

        leaq gate runs/x --max-advantage 0.1 --min-metric 0.85

        leaq gate runs/x --metric rmse --max-metric 3 --junit gate.xml
    """
    from leaq.files import writable_place
    from leaq.options import split_items
    from leaq.study import Store
    from leaq.study.gating import STANDARD, Limits
    from leaq.study.gating import gate as judge
    from leaq.study.junit import write_junit

    if junit is not None:
        writable_place(junit)
    asked = STANDARD if require is None else tuple(item for text in require for item in split_items(text))
    limits = Limits(max_advantage, min_metric, max_metric, metric, asked)
    verdict = judge(Store(run).summaries(), limits, quantizers=tuple(quantizer or ()))
    if junit is not None:
        write_junit(verdict, junit)
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
