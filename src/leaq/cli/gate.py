"""``leaq gate``, the former name of limits in ``leaq decide``: judges every quantizer, and prints no choice."""

from typing import Annotated

import typer

from leaq.cli import console
from leaq.cli.decide import Junit, Limit, MaxMetric, Metric, MinMetric, Quantizer, Require, Run, say_verdict

__all__ = ["gate"]


def gate(
    run: Run,
    max_leak: Limit = None,
    min_metric: MinMetric = None,
    max_metric: MaxMetric = None,
    metric: Metric = None,
    require: Require = None,
    quantizer: Quantizer = None,
    every: Annotated[bool, typer.Option("--all", help="Print every reason.")] = False,
    junit: Junit = None,
    json: Annotated[
        bool, typer.Option("--json", help="Print the verdict with every reason as JSON and nothing else.")
    ] = False,
) -> None:
    """Fail (exit code 1) unless every quantizer keeps the limits: the former name of leaq decide --all.

    Examples:

        leaq decide runs/x --all --max-leak 0.1 --min-metric 0.85
    """
    from leaq.options import split_items
    from leaq.study import Store
    from leaq.study.gating import STANDARD, Limits
    from leaq.study.gating import gate as judge
    from leaq.study.junit import write_junit
    from leaq.system.files import writable_place

    if junit is not None:
        writable_place(junit)
    asked = STANDARD if require is None else tuple(item for text in require for item in split_items(text))
    limits = Limits(max_leak, min_metric, max_metric, metric, asked)
    verdict = judge(Store(run).summaries(), limits, quantizers=tuple(quantizer or ()))
    if junit is not None:
        write_junit(verdict, junit)
    if json:
        from leaq.results import as_plain

        console.say_json({"passed": verdict.passed, **as_plain(verdict)})
    else:
        say_verdict(verdict, every=every)
    if not verdict.passed:
        raise typer.Exit(1)
