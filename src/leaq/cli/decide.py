"""``leaq decide``: which model to release, and whether it keeps within limits; one rule for people and for CI."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from leaq.cli import console
from leaq.cli.completing import Run, complete_quantizers
from leaq.cli.configured import bundled
from leaq.decisions.limits import Limits
from leaq.errors import InvalidInput, NotEnoughEvidence

if TYPE_CHECKING:
    from leaq.decisions.choosing import Recommendation
    from leaq.decisions.gating import Verdict
    from leaq.results import CellResult

SHOWN = 20
"""Models that fail, printed unless all are asked for."""
EVIDENCE = "What is judged, and on what evidence"

Quantizer = Annotated[
    list[str] | None,
    typer.Option(
        help="Judge this quantizer, e.g. 'uniform(bits=4)' or '4-bit per channel'; may be repeated.",
        metavar="<name>",
        rich_help_panel=EVIDENCE,
        autocompletion=complete_quantizers,
    ),
]
Junit = Annotated[Path | None, typer.Option(help="Write the verdict as JUnit XML too, for a CI server.")]


@bundled(Limits)
def decide_command(
    limits: Limits,
    *,
    run: Run,
    max_drop: Annotated[
        float | None,
        typer.Option(help="Largest acceptable loss of the task's metric; by default 0.01 ROC-AUC or 0.02 R²."),
    ] = None,
    level: Annotated[
        float, typer.Option(help="Confidence level of the choice.", min=0.5, max=0.9999, metavar="<float>")
    ] = 0.95,
    quantizer: Quantizer = None,
    every: Annotated[
        bool,
        typer.Option("--all", help="Judge every quantizer, not only the choice.", rich_help_panel=EVIDENCE),
    ] = False,
    reasons: Annotated[
        bool, typer.Option("--reasons", help=f"Print every reason; by default the first {SHOWN} models that fail.")
    ] = False,
    junit: Junit = None,
    json: Annotated[bool, typer.Option("--json", help="Print choice and verdict as JSON and nothing else.")] = False,
) -> None:
    """Name the model to release within an accuracy budget; with limits, pass or fail (exit code 1).

    Of those whose leak is not told apart from the least, the cheapest in the task's metric is taken, then the smallest
    file; how sure that is, and the bargain if there is one, are said. Limits judge the choice, or --quantizer, or
    --all, at the worse end of each interval; what was not computed fails. Passing means that the attacks that were run
    found no more than the limit, never that there is no leak.

    Examples:

        leaq decide runs/x --max-drop 0.02

        leaq decide runs/x --max-leak 0.1 --min-metric 0.85 --junit gate.xml

        leaq decide runs/x --all --metric rmse --max-metric 3
    """
    from leaq.decisions.gating import SUITE, check_limits, write_junit
    from leaq.study import Store
    from leaq.system.files import writable_place

    judged_by = {"--quantizer": bool(quantizer), "--all": every, "--reasons": reasons, "--junit": junit is not None}
    judged_by |= {"--metric": bool(limits.metric), "--require": limits.require != Limits().require}
    _refuse_idle([option for option, given in judged_by.items() if given], limits)
    if junit is not None:
        writable_place(junit, over=SUITE)
    results = Store(run).summaries()
    if limits.given:
        check_limits(results, limits)
    found = _recommended(results, max_drop, level, needed=not limits.given or not (quantizer or every))
    verdict = None
    if limits.given:
        verdict = _judged(results, limits, tuple(quantizer or ()), found, every=every)
        if junit is not None:
            write_junit(verdict, junit)
    if json:
        judged = verdict and {"passed": verdict.passed, **vars(verdict)}
        console.say_json({"recommended": found, "verdict": judged})
    else:
        _say(found, finished=[one for one in results if one.config.get("kind") == "model"])
        if verdict is not None:
            _say_verdict(verdict, every=reasons)
    if verdict is not None and not verdict.passed:
        raise typer.Exit(1)


def _refuse_idle(said: Sequence[str], limits: Limits) -> None:
    """Refuse options of a judgement where no limit asks for one, and two that contradict each other."""
    if said and not limits.given:
        named, verb = ", ".join(said), "says" if len(said) == 1 else "say"
        raise InvalidInput(
            f"{named} {verb} what is judged by a limit, and how. Found no limit. Give --max-leak, --min-metric or "
            "--max-metric."
        )
    if {"--quantizer", "--all"} <= set(said):
        raise InvalidInput(
            "Either every quantizer is judged or those named. Found --all and --quantizer. Leave one out."
        )


def _recommended(
    results: "Sequence[CellResult]", max_drop: float | None, level: float, *, needed: bool
) -> "list[Recommendation]":
    from leaq.decisions.choosing import recommend

    try:
        return recommend(results, max_drop, level=level)
    except NotEnoughEvidence:
        if needed:
            raise
        return []


def _judged(
    results: "Sequence[CellResult]",
    limits: Limits,
    named: tuple[str, ...],
    found: "list[Recommendation]",
    *,
    every: bool,
) -> "Verdict":
    """Judge what was named, everything, or the choice of each kind of task."""
    from leaq.decisions.evidence import comparable
    from leaq.decisions.gating import gate, joined_verdict

    if named or every:
        return gate(results, limits, quantizers=named)
    groups = comparable(results)
    parts = [gate(groups[choice.task], limits, quantizers=(choice.chosen,)) for choice in found]
    return joined_verdict(parts)


def _say(found: "list[Recommendation]", *, finished: "Sequence[CellResult]") -> None:
    from leaq.reporting.decision import recommendation_words
    from leaq.reporting.narrative import weak

    for sentence in dict.fromkeys(map(weak, finished)):
        console.paragraph(sentence)
    for one in found:
        console.paragraph(f"{one.task}: {recommendation_words(one)}")


def _say_verdict(verdict: "Verdict", *, every: bool) -> None:
    """Print PASS, or FAIL with the reasons."""
    if verdict.passed:
        alone = f"{verdict.models[0].where}:" if verdict.checked == 1 else f"{verdict.checked} models judged,"
        console.say(f"PASS  {alone} {verdict.describe()}")
        return
    lines = verdict.reasons if every or not verdict.failing else verdict.failing[:SHOWN]
    for line in lines:
        console.say(f"FAIL  {line}")
    failing = len(verdict.failing)
    hidden = "" if every or failing <= SHOWN else f" {failing - SHOWN} more are not printed: --reasons, or --json."
    fail = "model fails" if verdict.checked == 1 else "models fail"
    console.note(f"Gate not passed: {failing} of {verdict.checked} {fail}.{hidden}")
