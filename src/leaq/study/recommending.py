"""The most private quantizer within an accuracy budget, without the luck that made it look best."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.results import CellResult, QuantizerRow
from leaq.stats.digits import format_estimate
from leaq.stats.selection import choose_smallest, surely_at_least
from leaq.study.evidence import FULL, Evidence, advantage, collected
from leaq.types import Bools, Estimate

__all__ = ["Recommendation", "recommend"]


@dataclass(frozen=True)
class Recommendation:
    """One quantizer, and how sure that is.

    Attributes
    ----------
    task : "classification" or "regression"; the two are never pooled, their metrics do not compare.
    metric : what the budget is counted in.
    chosen, runner_up : specifications; None where none is within the budget, or no other is.
    advantage : of the chosen one, corrected for having been chosen; the interval holds for all candidates at once.
    drop : mean change of the metric against full precision.
    probability : how often it would be the most private one again.
    behind : how much more the runner-up gives away, with an interval that covers the choice.
    full_precision : mean advantage without quantization.
    allowed, refused : candidates within the budget beyond doubt, and the others.
    cells, data_sets : what it rests on.
    left_out : cells in which even full precision predicts no better than guessing; nothing can be lost there.
    nearest, may_drop : where nothing is within the budget, the quantizer that comes nearest, and the drop that cannot
        be excluded for it.
    """

    task: str
    metric: str
    full_precision: float
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    cells: int
    data_sets: int
    chosen: str | None = None
    runner_up: str | None = None
    advantage: Estimate | None = None
    drop: float | None = None
    probability: float | None = None
    behind: Estimate | None = None
    left_out: int = 0
    nearest: str | None = None
    may_drop: float | None = None

    @property
    def told_apart(self) -> bool:
        """Whether the runner-up is more than the interval away."""
        return self.behind is not None and self.behind.low > 0

    def describe(self, max_drop: float) -> str:
        """Return one paragraph."""
        rests = f"{self.cells} cells of {self.data_sets} data set{'s' if self.data_sets != 1 else ''}"
        if self.left_out:
            rests += f" ({self.left_out} more left out: no skill in full precision)"
        budget = f"a drop of {self.metric} by at most {max_drop:g}"
        if self.chosen is None or self.advantage is None:
            nearest = (
                "" if self.nearest is None else f" Nearest: {self.nearest}, which may drop by {self.may_drop:.4f}."
            )
            return f"{self.task}: no quantizer keeps within {budget} beyond doubt.{nearest} Rests on {rests}."
        text = (
            f"{self.task}: {self.chosen}. Within {budget} ({len(self.allowed)} of "
            f"{len(self.allowed) + len(self.refused)} quantizers are, beyond doubt), it gives away least: advantage "
            f"{format_estimate(self.advantage)}, corrected for having been chosen; full precision "
            f"{self.full_precision:.3f}. Its mean drop: {-(self.drop or 0.0) + 0.0:.4f}. It would win again in "
            f"{self.probability or 0.0:.0%} of repetitions."
        )
        if self.runner_up is not None and self.behind is not None:
            apart = "" if self.told_apart else "; the two cannot be told apart"
            text += f" Runner-up: {self.runner_up}, {format_estimate(self.behind, sign=True)} more{apart}."
        return f"{text} Rests on {rests}; no leak found by this attack is not the same as no leak."


def recommend(
    results: Sequence[CellResult], max_drop: float, *, level: float = 0.95, seed: int = 0
) -> list[Recommendation]:
    """Choose for each kind of task.

    Direction: a smaller advantage is more private; a drop is metric minus that of full precision, so worse is negative.
    A quantizer is within the budget if its mean drop is, at the lower end of an interval that holds for all candidates
    at once; one whose models predict no better than guessing in a cell where full precision does is out, its small
    leak is no merit. Cells in which full precision has no skill are left out and counted.

    Do not trust when there are few data sets: below five, intervals rest on the cells' own and say nothing about other
    data.

    Raises
    ------
    NotEnoughEvidence
        If no cell has both an attack and a drop for every quantizer.
    """
    if not 0 <= max_drop < np.inf:
        raise InvalidInput(f"The largest acceptable drop must be 0 or more. Found {max_drop!r}.")
    tasks = sorted({str(result.data.get("task", "")) for result in results})
    by_task = {task: [result for result in results if str(result.data.get("task", "")) == task] for task in tasks}
    return [_for_task(cells, task, max_drop, level=level, seed=seed) for task, cells in by_task.items()]


def _for_task(results: Sequence[CellResult], task: str, max_drop: float, *, level: float, seed: int) -> Recommendation:
    every, results = len(results), [result for result in results if _has_skill(result, FULL)]
    if not results:
        raise NotEnoughEvidence(
            f"A recommendation for {task} needs models that predict something. Found none in {every} cells, even in "
            "full precision. Train longer or choose another embedder."
        )
    names = [row.quantizer for row in results[0].rows if row.quantizer != FULL]
    leaks = collected(results, advantage, [FULL, *names])
    drops = collected(results, _drop, names)
    if leaks is None or drops is None:
        raise NotEnoughEvidence(
            f"A recommendation for {task} needs an attack and a drop for every quantizer in at least one cell. "
            "Found none. Add replicates to the audits."
        )
    skilled = np.array([all(_has_skill(result, name) for result in results) for name in names])
    lows = surely_at_least(drops.means, drops.draws(seed=seed), level=level)
    known = _Known(task, results[0].primary_metric, level, seed, every - len(results))
    found = _choice(leaks, drops, (lows >= -max_drop) & skilled, known)
    if found.chosen is not None or not skilled.any():
        return found
    best = int(np.argmax(np.where(skilled, lows, -np.inf)))
    return replace(found, nearest=names[best], may_drop=float(-lows[best]))


def _choice(leaks: Evidence, drops: Evidence, within: Bools, known: "_Known") -> Recommendation:
    names = drops.quantizers
    allowed = tuple(name for name, ok in zip(names, within, strict=True) if ok)
    nothing = Recommendation(
        task=known.task,
        metric=known.metric,
        full_precision=float(leaks.means[0]),
        allowed=allowed,
        refused=tuple(name for name in names if name not in allowed),
        cells=len(leaks.clusters),
        data_sets=len(set(leaks.clusters)),
        left_out=known.left_out,
    )
    if not allowed:
        return nothing
    candidates = leaks.only(np.r_[False, within])
    choice = choose_smallest(candidates.means, candidates.draws(seed=known.seed), level=known.level)

    def estimate(value: float, low: float, high: float) -> Estimate:
        return Estimate(value, min(low, value), max(high, value), len(leaks.clusters), known.level, "cells")

    runner_up, gap = choice.runner_up, None
    if runner_up is not None:
        gap = estimate(float(candidates.means[runner_up] - candidates.means[choice.chosen]), *choice.behind)
    best = allowed[choice.chosen]
    return replace(
        nothing,
        chosen=best,
        runner_up=None if runner_up is None else allowed[runner_up],
        advantage=estimate(choice.value, choice.low, choice.high),
        drop=float(drops.means[names.index(best)]),
        probability=float(choice.best[choice.chosen]),
        behind=gap,
    )


@dataclass(frozen=True)
class _Known:
    """What the choice is made for."""

    task: str
    metric: str
    level: float
    seed: int
    left_out: int


def _drop(result: CellResult, row: QuantizerRow) -> Estimate | None:
    found = row.drops.get(result.primary_metric)
    return found if isinstance(found, Estimate) else None


def _has_skill(result: CellResult, name: str) -> bool:
    return all(flag.code != "no-skill" for row in result.rows if row.quantizer == name for flag in row.flags)
