"""A gate for the CI of models: does what is released leak little enough and predict well enough, beyond doubt?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from leaq.errors import InvalidInput, unknown_name
from leaq.results import CellResult, QuantizerRow
from leaq.study.evidence import FULL
from leaq.types import AttackResult, Estimate

__all__ = ["Verdict", "gate"]


@dataclass(frozen=True)
class Verdict:
    """Whether the gate is passed; if not, every reason.

    Attributes
    ----------
    reasons : why not, one sentence each.
    failing : the same by model, (cell, quantizer): the worst attack and the metric, one line each, in the order of
        data set, embedder and seed.
    checked : how many (cell, quantizer) pairs were looked at.
    worst_advantage, worst_metric : the largest upper limit and the smallest lower limit seen; None without evidence.
    """

    reasons: tuple[str, ...]
    checked: int
    worst_advantage: float | None
    worst_metric: float | None
    failing: tuple[str, ...] = ()

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
            parts.append(f"smallest lower limit of the metric {self.worst_metric:.3f}")
        return ", ".join(parts)


def gate(
    results: Sequence[CellResult],
    *,
    max_advantage: float | None = None,
    min_metric: float | None = None,
    metric: str | None = None,
    quantizers: Sequence[str] = (),
) -> Verdict:
    """Judge cells at the worse end of each interval; what was not computed counts against.

    Parameters
    ----------
    max_advantage : every attack that was computed must stay below this at the upper limit of its interval, and the
        one the cell is judged by must have been computed. No attack found is not the same as safe.
    min_metric : the task metric must reach this at the lower limit of its interval.
    metric : which one; by default the cell's primary metric.
    quantizers : only these specifications; by default all that were asked for, full precision excepted.

    Raises
    ------
    InvalidInput
        If neither limit is given, or a quantizer is not in the results.
    """
    if max_advantage is None and min_metric is None:
        raise InvalidInput("A gate needs a limit. Found none. Give --max-advantage, --min-metric or both.")
    known = {row.quantizer for result in results for row in result.rows}
    for name in quantizers:
        if name not in known:
            raise unknown_name("quantizer in this run", name, known)
    found = [
        limit
        for result in results
        for row in _rows(result, quantizers)
        for limit in _limits(result, row, (max_advantage, min_metric), metric)
    ]
    reasons = [one.reason for one in found if one.reason]
    if not found:
        reasons.append("There is nothing to judge: no quantizer was measured.")
    highs = [one.value for one in found if one.kind == "advantage" and one.value is not None]
    lows = [one.value for one in found if one.kind == "metric" and one.value is not None]
    checked = len({one.where for one in found})
    return Verdict(tuple(reasons), checked, max(highs, default=None), min(lows, default=None), _by_model(found))


def _by_model(found: Sequence["_Limit"]) -> tuple[str, ...]:
    groups: dict[str, list[_Limit]] = {}
    for one in found:
        if one.reason:
            groups.setdefault(one.where, []).append(one)
    lines = []
    for where, group in groups.items():
        leaks = [one for one in group if one.kind == "advantage"]
        worst = max(leaks, key=lambda one: np.inf if one.value is None else one.value, default=None)
        more = f" ({len(leaks)} attacks fail)" if len(leaks) > 1 else ""
        texts = [_said(worst) + more] if worst else []
        texts += [_said(one) for one in group if one.kind == "metric"]
        lines.append(f"{where}: {'; '.join(texts)}")
    return tuple(lines)


def _said(one: "_Limit") -> str:
    return one.reason.removeprefix(f"{one.where}: ").rstrip(".")


@dataclass(frozen=True)
class _Limit:
    """The worse end of one interval, None without one, and what is wrong with it, if anything."""

    where: str
    kind: str
    value: float | None
    reason: str


def _limits(
    result: CellResult, row: QuantizerRow, limits: tuple[float | None, float | None], metric: str | None
) -> Iterator[_Limit]:
    max_advantage, min_metric = limits
    config = result.config
    cell = f"{result.data.get('name', 'data')} ({config.get('embedder', '?')}, seed {config.get('seed', '?')})"
    where = f"{cell}, {row.label}"
    if max_advantage is not None:
        for name, high in _highs(result, row):
            wrong = high is None or not high <= max_advantage
            yield _Limit(where, "advantage", high, f"{where}: {_leaks(name, high, max_advantage)}" if wrong else "")
    if min_metric is not None:
        key = metric or result.primary_metric
        found = row.metrics.get(key)
        low = found.low if isinstance(found, Estimate) else None
        wrong = low is None or not low >= min_metric
        yield _Limit(where, "metric", low, f"{where}: {_predicts(key, low, min_metric)}" if wrong else "")


def _rows(result: CellResult, quantizers: Sequence[str]) -> Iterator[QuantizerRow]:
    for row in result.rows:
        if row.quantizer in quantizers or (not quantizers and row.quantizer != FULL):
            yield row


def _highs(result: CellResult, row: QuantizerRow) -> Iterator[tuple[str, float | None]]:
    """Upper limits of every attack computed; None for the attack that must be there and is not."""
    for name in sorted({result.primary_attack, *row.attacks}):
        found = row.attacks.get(name)
        if isinstance(found, AttackResult):
            yield name, found.advantage.high
        elif name == result.primary_attack:
            yield name, None


def _leaks(name: str, high: float | None, limit: float) -> str:
    if high is None:
        return f"the attack {name} was not computed, and missing evidence fails."
    return f"the advantage of {name} may be as large as {high:.3f}, above {limit:g}."


def _predicts(name: str, low: float | None, limit: float) -> str:
    if low is None:
        return f"{name} was not computed, and missing evidence fails."
    return f"{name} may be as small as {low:.3f}, below {limit:g}."
