"""A gate for the CI of models: does what is released leak little enough and predict well enough, beyond doubt?

The verdict can be written as JUnit XML, which CI servers show.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from leaq.attacks.registry import parse_attacks
from leaq.decisions.evidence import FULL
from leaq.decisions.limits import Limits
from leaq.errors import InvalidInput, LeaqError, some, unknown_name
from leaq.quantizers import build
from leaq.results import CellResult, QuantizerRow
from leaq.results.metrics import metric as named
from leaq.results.metrics import metric_key
from leaq.system.files import write_atomic
from leaq.types import AttackResult, Estimate, NotComputed

SUITE = "leaq decide"
"""Name of the test suite: what the XML file of a later verdict may take the place of."""


@dataclass(frozen=True)
class Judged:
    """One released model, (cell, quantizer): where it stands, and every reason against it."""

    where: str
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """Whether the gate is passed; if not, every reason.

    Attributes
    ----------
    reasons : why not, one sentence each.
    failing : the same by model, (cell, quantizer): the worst attack and the metric, one line each, in the order of
        data set, embedder and seed.
    checked : how many (cell, quantizer) pairs were looked at.
    worst_advantage : the largest upper limit of an advantage; None without evidence.
    worst_metric : the metric's worst limit: the smallest lower one, or the largest upper one; None without evidence.
    models : each model with its own reasons.
    """

    reasons: tuple[str, ...]
    checked: int
    worst_advantage: float | None
    worst_metric: float | None
    failing: tuple[str, ...] = ()
    models: tuple[Judged, ...] = ()

    @property
    def passed(self) -> bool:
        """No reason against."""
        return not self.reasons

    def describe(self) -> str:
        """Say how close it was."""
        parts = []
        if self.worst_advantage is not None:
            parts.append(f"largest upper limit of an advantage {self.worst_advantage:.3f}")
        if self.worst_metric is not None:
            parts.append(f"worst limit of the metric {self.worst_metric:.3f}")
        return ", ".join(parts)


def gate(results: Sequence[CellResult], limits: Limits, *, quantizers: Sequence[str] = ()) -> Verdict:
    """Judge cells at the worse end of each interval; what was not computed counts against.

    Every attack that was computed must stay within the limit, and those required must have been computed. No attack
    found is not the same as safe.

    Parameters
    ----------
    quantizers : only these, by specification or label; by default all that were asked for, full precision excepted.

    Raises
    ------
    InvalidInput
        If no limit is given, a limit is against the metric's direction, or a name is not known.
    """
    check_limits(results, limits)
    rows = [row for result in results for row in (*result.rows, *result.together)]
    chosen = {row.quantizer for name in quantizers for row in rows_named(rows, name)}

    @cache
    def required(task: str | None, joint: bool) -> list[str]:
        """Return the attacks that must have been computed, of one release or of several together."""
        attacks = parse_attacks(limits.require, task=task)
        return [attack.spec() for attack in attacks if attack.joins or not joint]

    found = [
        limit
        for result in results
        for row in (*result.rows, *result.together)
        if (row.quantizer in chosen if quantizers else row.quantizer != FULL)
        for limit in _judge(result, row, limits, required)
    ]
    reasons = list(_reasons(found))
    if not found:
        reasons.append("There is nothing to judge: no quantizer was measured.")
    highs = [one.value for one in found if one.kind == "advantage" and one.value is not None]
    metrics = [one.value for one in found if one.kind == "metric" and one.value is not None]
    worst = min if limits.max_metric is None else max
    groups: dict[str, list[_Limit]] = {}
    for one in found:
        groups.setdefault(one.where, []).append(one)
    return Verdict(
        reasons=tuple(reasons),
        checked=len(groups),
        worst_advantage=max(highs, default=None),
        worst_metric=worst(metrics, default=None),
        failing=tuple(_line(where, group) for where, group in groups.items() if _reasons(group)),
        models=tuple(Judged(where, _reasons(group)) for where, group in groups.items()),
    )


def joined_verdict(verdicts: Sequence[Verdict]) -> Verdict:
    """Return one verdict of several: passed if all are."""
    worst = [one.worst_advantage for one in verdicts if one.worst_advantage is not None]
    metrics = [one.worst_metric for one in verdicts if one.worst_metric is not None]
    return Verdict(
        reasons=tuple(reason for one in verdicts for reason in one.reasons),
        checked=sum(one.checked for one in verdicts),
        worst_advantage=max(worst, default=None),
        worst_metric=metrics[0] if len(metrics) == 1 else None,  # metrics of different tasks do not compare
        failing=tuple(line for one in verdicts for line in one.failing),
        models=tuple(model for one in verdicts for model in one.models),
    )


def _reasons(group: Sequence["_Limit"]) -> tuple[str, ...]:
    return tuple(one.reason for one in group if one.reason)


def check_limits(results: Sequence[CellResult], limits: Limits) -> None:
    """Refuse limits that say nothing, or that would let the worse models pass, with `InvalidInput`."""
    if not limits.given:
        raise InvalidInput("A gate needs a limit. Found none. Give --max-advantage, --min-metric or --max-metric.")
    parse_attacks(limits.require)
    if limits.max_advantage is not None:
        _refuse_outside("--max-leak", limits.max_advantage, "an advantage", (-1.0, 1.0))
    elif limits.require != Limits().require:
        raise InvalidInput("--require names attacks that --max-leak asks for. Found no such limit. Give it.")
    keys = {metric_key(limits.metric)} if limits.metric else {result.primary_metric for result in results}
    for key in sorted(keys):
        known = named(key)
        if limits.min_metric is not None and not known.larger_is_better:
            raise InvalidInput(f"--min-metric: {known.name} is better the smaller it is. Give --max-metric.")
        if limits.max_metric is not None and known.larger_is_better:
            raise InvalidInput(f"--max-metric: {known.name} is better the larger it is. Give --min-metric.")
        for option, limit in (("--min-metric", limits.min_metric), ("--max-metric", limits.max_metric)):
            if limit is not None:
                _refuse_outside(option, limit, known.name, known.bounds)
    if limits.metric:
        _refuse_unmeasured(results, limits)


def _refuse_unmeasured(results: Sequence[CellResult], limits: Limits) -> None:
    """Refuse a metric that no limit is about, or that no model of the run has: it is another task's."""
    key = metric_key(limits.metric or "")
    if limits.min_metric is None and limits.max_metric is None:
        option = "--min-metric" if named(key).larger_is_better else "--max-metric"
        raise InvalidInput(
            f"--metric says which one a limit is about. Found none for {named(key).name}. Give {option}."
        )
    measured = {one for result in results for row in result.rows for one in row.metrics}
    if measured and key not in measured:
        names = some(sorted(named(one).name for one in measured), 20)
        raise InvalidInput(f"--metric must be one that this run measured. Found {named(key).name}. Measured: {names}.")


def _refuse_outside(option: str, limit: float, name: str, bounds: tuple[float, float]) -> None:
    """Refuse a limit beyond every value there is, such as one in per cent: all models, or none, would keep to it."""
    low, high = bounds
    if not low <= limit <= high:
        raise InvalidInput(
            f"{option}: {name} lies between {low:g} and {high:g}. Found {limit:g}."
            + " Per cent are hundredths: 5 % is 0.05." * (high == 1)
        )


def rows_named(rows: Sequence[QuantizerRow], name: str) -> list[QuantizerRow]:
    """Return the rows that go by a name: a specification or another way to write it, or a label as it is printed.

    Raises
    ------
    UnknownName
        If no row goes by it.
    """
    text = name.strip().casefold()
    if found := [row for row in rows if text in (row.quantizer.casefold(), row.label.casefold())]:
        return found
    with suppress(LeaqError):
        spec = build(name).spec()
        if found := [row for row in rows if row.quantizer == spec]:
            return found
    raise unknown_name("quantizer in this run", name, {text for row in rows for text in (row.quantizer, row.label)})


def _line(where: str, group: Sequence["_Limit"]) -> str:
    leaks = [one for one in group if one.kind == "advantage" and one.reason]
    worst = sorted(leaks, key=lambda one: -np.inf if one.value is None else -one.value)[:1]
    worst += [one for one in group if one.kind == "metric" and one.reason]
    texts = [one.reason.removeprefix(f"{one.where}: ").rstrip(".") for one in worst]
    if len(leaks) > 1:
        texts[0] += f" ({len(leaks)} attacks fail)"
    return f"{where}: {'; '.join(texts)}"


@dataclass(frozen=True)
class _Limit:
    """The worse end of one interval, None without one, and what is wrong with it, if anything."""

    where: str
    kind: str
    value: float | None
    reason: str


def _judge(
    result: CellResult, row: QuantizerRow, limits: Limits, required: Callable[[str | None, bool], list[str]]
) -> Iterator[_Limit]:
    config = result.config
    inputs = f"{config['embedder']}, " if config.get("embedder") else ""
    cell = f"{result.name} ({inputs}seed {config.get('seed', '?')})"
    where = f"{cell}, {row.label}"
    most = limits.max_advantage
    joint = any(row is one for one in result.together)
    if most is not None:
        for name, high, why in _highs(row, required(result.data.get("task"), joint)):
            said = f"the advantage of {name} may be as large as {high:.3f}, above {most:g}." if high is not None else (
                f"the attack {name} was not computed{why}, and missing evidence fails."
            )  # fmt: skip
            wrong = high is None or not high <= most
            yield _Limit(where, "advantage", high, f"{where}: {said}" if wrong else "")
    bound, largest = (limits.min_metric, False) if limits.max_metric is None else (limits.max_metric, True)
    if bound is not None and not joint:  # each of several releases has its own metric
        key = metric_key(limits.metric) if limits.metric else result.primary_metric
        found = row.metrics.get(key)
        end = None if not isinstance(found, Estimate) else found.high if largest else found.low
        wrong = end is None or not (end <= bound if largest else end >= bound)
        yield _Limit(where, "metric", end, f"{where}: {_predicts(key, end, bound, largest=largest)}" if wrong else "")


def _highs(row: QuantizerRow, wanted: Sequence[str]) -> Iterator[tuple[str, float | None, str]]:
    """Upper limits of every attack computed; None for one that must be there and is not, and why it is not."""
    for name in sorted({*wanted, *row.attacks}):
        found = row.attacks.get(name)
        if isinstance(found, AttackResult):
            yield name, found.advantage.high, ""
        elif name in wanted:
            yield name, None, f" ({found.reason.rstrip('.')})" if isinstance(found, NotComputed) else ""


def _predicts(key: str, end: float | None, limit: float, *, largest: bool) -> str:
    name = named(key).name
    if end is None:
        return f"{name} was not computed, and missing evidence fails."
    size, side = ("large", "above") if largest else ("small", "below")
    return f"{name} may be as {size} as {end:.3f}, {side} {limit:g}."


def junit(verdict: Verdict) -> str:
    """Return one test case a model, failed with its reasons; what concerns no single model is a case of its own.

    Examples
    --------
    >>> from leaq.decisions.gating import Judged
    >>> print(junit(Verdict((), 1, 0.05, None, models=(Judged("wine, sign", ()),))).splitlines()[1])
    <testsuite name="leaq decide" tests="1" failures="0" errors="0">
    """
    cases = [(one.where, one.reasons) for one in verdict.models]
    told = {reason for _, reasons in cases for reason in reasons}
    cases += [("the run", (reason,)) for reason in verdict.reasons if reason not in told]
    failures = sum(bool(reasons) for _, reasons in cases)
    suite = ElementTree.Element("testsuite", name=SUITE, tests=str(len(cases)), failures=str(failures), errors="0")
    for where, reasons in cases:
        case = ElementTree.SubElement(suite, "testcase", classname="leaq.decide", name=where)
        if reasons:
            told_short = reasons[0].removeprefix(f"{where}: ")
            ElementTree.SubElement(case, "failure", message=told_short).text = "\n".join(reasons)
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def write_junit(verdict: Verdict, path: Path) -> None:
    """Write the XML file, complete or not at all."""
    write_atomic(path, junit(verdict), mode=0o644, over=SUITE)
