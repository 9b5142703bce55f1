"""Which quantizer to take: the one chooser behind page, card, command line and Python.

Among the models that keep within a budget, beyond doubt, those are looked at whose leak is not told apart from the
smallest; of these the cheapest in the task's metric is taken, then the smallest file. What the choice flatters its own
leak by is corrected. Beside it stands the knee of the trade-off: the model that takes away most of the leak for the
least of the skill.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from leaq.decisions.evidence import Evidence, collected, comparable
from leaq.decisions.limits import checked_drop
from leaq.decisions.standing import contends, cost, is_baseline, leak, reference, start_budget, useful
from leaq.errors import NotEnoughEvidence
from leaq.results import CellResult, QuantizerRow
from leaq.results.metrics import metric, metric_named
from leaq.stats.intervals import normal_quantile
from leaq.stats.selection import Choice, choose_smallest, pairs_factor, surely_at_least
from leaq.types import Bools, Estimate, Floats, Ints

LEAST_SHARE = 0.2
"""Share of the leak that has to go for a knee to be worth a sentence."""
DEAREST = 1 / 3
"""A knee loses at most this share of the skill for each share of the leak that goes: in thirds, a bargain."""


@dataclass(frozen=True)
class Knee:
    """A bargain that stands out.

    Attributes
    ----------
    quantizer, label : which model it is.
    before, after : leak of full precision, and of the knee.
    share : of the leak that goes.
    halves : whether more than half of it goes, beyond doubt.
    may_lose : loss of the metric that cannot be excluded.
    skill_share : that loss as a share of what full precision has above guessing.
    """

    quantizer: str
    label: str
    before: float
    after: float
    share: float
    halves: bool
    may_lose: float
    skill_share: float


def find_knee(
    leaks: Evidence, worst: Floats, apart: Floats, *, skill: float, labels: Sequence[str], seed: int = 0
) -> Knee | None:
    """Return the model with the largest share of the leak taken away minus share of the skill lost, if it is a bargain.

    Skill is counted above guessing, losses at the end of an interval that holds for all models at once, and only models
    count whose leak is told apart from that of full precision. No knee is said to be one unless a fifth of the leak
    goes and three times as large a share of the leak as of the skill.

    Parameters
    ----------
    leaks : of k models, full precision first.
    worst : (k,) loss of each that cannot be excluded; infinite where it predicts nothing.
    apart : (k, k) how much larger than the first leak the second must be to be told apart from it.
    skill : of full precision above guessing.
    """
    before = float(leaks.means[0])
    if before <= 0 or skill <= 0:
        return None
    gone = before - leaks.means
    share, lost = np.minimum(gone / before, 1.0), np.maximum(worst, 0.0) / skill
    bargains = (gone > apart[:, 0]) & (share >= LEAST_SHARE) & (lost <= DEAREST * share)
    bargains[0] = False
    if not bargains.any():
        return None
    best = int(np.where(bargains, share - lost, -np.inf).argmax())
    draws = leaks.draws(seed=seed)
    rest = draws[:, 0] - 2 * draws[:, best]
    surely = before - 2 * float(leaks.means[best]) - pairs_factor(draws) * float(rest.std())
    return Knee(
        quantizer=leaks.quantizers[best],
        label=labels[best],
        before=before,
        after=float(leaks.means[best]),
        share=float(share[best]),
        halves=surely > 0,
        may_lose=float(worst[best]),
        skill_share=float(lost[best]),
    )


@dataclass(frozen=True)
class Recommendation:
    """One model to release, and how sure that is.

    Attributes
    ----------
    task : "classification" or "regression"; the two are never pooled, their metrics do not compare.
    metric : what the budget is counted in, by its name.
    budget : largest acceptable loss of it.
    allowed, refused : specifications within the budget beyond doubt, and the others; full precision is one of them.
    cells, data_sets : what it rests on.
    full_precision : leak without quantization.
    chosen, label : specification and name of the choice; full precision where no quantizer is a better one.
    advantage : leak of the choice, corrected for having been chosen; the interval holds for all candidates at once.
    loss : what the choice loses of the metric, positive = worse; the interval holds for all candidates at once.
    smallest : the one whose estimate of the leak is smallest within the budget.
    tied : those within the budget whose leak is not told apart from the smallest, the choice left out.
    reduction : how much less the choice gives away than full precision, paired; None if it is full precision.
    probability : how often the same data, drawn again, would lead to the same choice.
    left_out : cells in which even full precision predicts no better than guessing; nothing can be lost there.
    nearest, may_lose : where nothing quantized is within the budget, what comes nearest, and the loss that cannot be
        excluded for it.
    names : by specification, what each model is called.
    knee : the model that takes away most of the leak for the least skill, if one stands out, whatever the budget.
    """

    task: str
    metric: str
    budget: float
    allowed: tuple[str, ...]
    refused: tuple[str, ...]
    cells: int
    data_sets: int
    full_precision: float
    chosen: str
    label: str
    advantage: Estimate
    loss: Estimate
    smallest: str
    tied: tuple[str, ...]
    probability: float
    names: Mapping[str, str]
    reduction: Estimate | None = None
    left_out: int = 0
    nearest: str | None = None
    may_lose: float | None = None
    knee: Knee | None = None

    @property
    def quantized(self) -> bool:
        """Whether the choice is another model than full precision."""
        return self.reduction is not None

    @property
    def told_apart(self) -> bool:
        """Whether the choice gives away less than full precision, beyond doubt."""
        return self.reduction is not None and self.reduction.low > 0


@dataclass(frozen=True)
class Chooser:
    """What is known of the models of one kind of task, before a budget is named.

    Attributes
    ----------
    task, metric : as in `Recommendation`; `metric` by its name.
    names, labels, bytes : k specifications, names and file sizes, full precision first.
    leaks, costs : (k) leaks, and losses of the metric counted from full precision (0 for itself).
    skilled : (k,) whether it predicts better than guessing wherever full precision does.
    worst : (k,) loss that cannot be excluded, for all at once.
    apart : (k, k) how much larger than the first leak the second must be to be told apart from it.
    budget : loss of the metric that most would accept.
    knee : see `Recommendation`.
    level, seed, left_out : see `recommend`.
    """

    task: str
    metric: str
    budget: float
    names: tuple[str, ...]
    labels: tuple[str, ...]
    bytes: tuple[float, ...]
    leaks: Evidence
    costs: Evidence
    skilled: Bools
    worst: Floats
    apart: Floats
    knee: Knee | None
    level: float
    seed: int
    left_out: int

    def costing(self, *, cautious: bool = True) -> Floats:
        """Return the loss that each model is counted with, (k,); infinite where it is no choice."""
        counted: Floats = np.where(self.skilled, self.worst if cautious else self.costs.means, np.inf)
        return counted

    def at(self, budget: float, *, cautious: bool = True) -> Recommendation:
        """Choose within a budget; with `cautious` losses count at the worse end of their intervals.

        Raises
        ------
        InvalidInput
            If the budget is negative, no number, or more than there is of the metric.
        """
        checked_drop(budget, metric_named(self.metric))
        counted = self.costing(cautious=cautious)
        within = counted <= budget + 1e-12  # full precision always is: it costs nothing and has skill
        kept = np.flatnonzero(within)
        picked = self._picked(kept)
        best, smallest = int(kept[picked.chosen]), int(kept[picked.smallest])
        loss, half = float(self.costs.means[best]), float(self.worst[best] - self.costs.means[best])
        others = np.where(np.arange(len(counted)) > 0, counted, np.inf)
        nearest = None if within[1:].any() or not np.isfinite(others).any() else int(others.argmin())
        less, far = float(self.leaks.means[0] - self.leaks.means[best]), float(self.apart[best, 0])
        names = np.array(self.names)
        return Recommendation(
            task=self.task,
            metric=self.metric,
            budget=budget,
            allowed=tuple(names[within].tolist()),
            refused=tuple(names[~within].tolist()),
            cells=len(self.leaks.clusters),
            data_sets=len(set(self.leaks.clusters)),
            full_precision=float(self.leaks.means[0]),
            chosen=self.names[best],
            label=self.labels[best],
            advantage=self._estimate(picked.value, picked.low, picked.high),
            loss=self._estimate(loss, loss - half, loss + half),
            smallest=self.names[smallest],
            tied=tuple(self.names[i] for i, same in zip(kept, picked.tied, strict=True) if same and i != best),
            reduction=None if best == 0 else self._estimate(less, less - far, less + far),
            probability=float(picked.again[picked.chosen]),
            names=dict(zip(self.names, self.labels, strict=True)),
            left_out=self.left_out,
            nearest=None if nearest is None else self.names[nearest],
            may_lose=None if nearest is None else float(others[nearest]),
            knee=self.knee,
        )

    def _picked(self, kept: Ints) -> Choice:
        """Choose among some models: of those not told apart from the smallest leak the cheapest, then the smallest."""
        leaks = self.leaks.only(np.isin(np.arange(len(self.names)), kept))
        # A loss that is not established is none: then the smaller file decides, then the order asked for. Were it the
        # smaller leak, luck would choose among equals.
        price = np.where(2 * self.costs.means > self.worst, self.costs.means, 0.0)
        order = sorted(range(len(kept)), key=lambda j: (price[kept[j]], self.bytes[kept[j]]))
        apart = self.apart[np.ix_(kept, kept)]
        return choose_smallest(leaks.means, leaks.draws(seed=self.seed), level=self.level, order=order, apart=apart)

    def _estimate(self, value: float, low: float, high: float) -> Estimate:
        count = len(self.leaks.clusters)
        return Estimate.spanning(value, low, high, count, self.level, "cells")


def recommend(
    results: Sequence[CellResult], budget: float | None = None, *, level: float = 0.95, seed: int = 0
) -> list[Recommendation]:
    """Choose for each kind of task; see `choosers`.

    Parameters
    ----------
    budget : largest acceptable loss of the primary metric; by default what most would accept (`start_budget`).

    Do not trust when there are few data sets: below five, intervals rest on the cells' own and say nothing about other
    data.

    Examples
    --------
    ``recommend([leaq.audit("breast_cancer")], 0.02)[0].chosen``
    """
    for key in sorted({result.primary_metric for result in results}):  # before whether anything can be chosen
        checked_drop(0.0 if budget is None else budget, metric(key))
    found = choosers(results, level=level, seed=seed)
    return [one.at(one.budget if budget is None else budget) for one in found]


def choosers(results: Sequence[CellResult], *, level: float = 0.95, seed: int = 0) -> list[Chooser]:
    """Gather what a choice needs, one chooser a kind of task; of cells whose leaks mean different things one each.

    A model is a choice if it predicts better than guessing in every cell where full precision does, and a loss counts
    at the end of an interval that holds for all models at once. Cells in which full precision has no skill are left
    out and counted. Rows without a leak or a loss are no choice; neither are models trained with differential privacy.

    Raises
    ------
    NotEnoughEvidence
        If no cell has both an attack and a metric, or none has a full-precision model that predicts something.
    """
    found, answered, failed = [], set[str](), dict[str, NotEnoughEvidence]()
    for name, cells in comparable(results).items():
        task = str(cells[0].data.get("task", ""))
        try:
            found.append(_chooser(cells, name, level=level, seed=seed))
            answered.add(task)
        except NotEnoughEvidence as err:
            failed.setdefault(task, err)
    for task, refusal in failed.items():
        if task not in answered:
            raise refusal
    return found


def _chooser(results: Sequence[CellResult], task: str, *, level: float, seed: int) -> Chooser:
    every, results = len(results), [result for result in results if useful(reference(result))]
    if not results:
        raise NotEnoughEvidence(
            f"A recommendation for {task} needs models that predict something. Found none in {every} "
            f"cell{'' if every == 1 else 's'}, even in full precision. Train longer or choose another embedder."
        )
    full = reference(results[0]).quantizer
    known = [{row.quantizer for row in result.rows if _known(result, row)} for result in results]
    counts = Counter(name for found in known for name in found)
    most = max(counts.values(), default=0)
    rest = [row.quantizer for row in results[0].rows if row.quantizer != full and counts[row.quantizer] == most]
    names = [full, *rest]
    cells = [result for result, found in zip(results, known, strict=True) if found >= set(names)]
    leaks, costs = collected(cells, leak, names), collected(cells, cost, names)
    if leaks is None or costs is None:
        raise NotEnoughEvidence(
            f"A recommendation for {task} needs an attack and the task's metric for every quantizer in at least one "
            "cell. Found none. Add replicates to the audits."
        )
    worst = -surely_at_least(-costs.means, -costs.draws(seed=seed), level=level)
    by_cell = [{row.quantizer: row for row in cell.rows} for cell in cells]
    skilled = np.array([all(contends(rows[name]) for rows in by_cell) for name in names])
    apart = _apart(cells, leaks, level=level, seed=seed)
    rows = [by_cell[0][name] for name in names]
    labels = tuple(row.label for row in rows)
    skill = float(np.mean([_skill(cell) for cell in cells]))
    return Chooser(
        task=task,
        metric=metric(cells[0].primary_metric).name,
        budget=start_budget(cells[0]),
        names=tuple(names),
        labels=labels,
        bytes=tuple(float(row.size.bytes) for row in rows),
        leaks=leaks,
        costs=costs,
        skilled=skilled,
        worst=worst,
        apart=apart,
        knee=find_knee(leaks, np.where(skilled, worst, np.inf), apart, skill=skill, labels=labels, seed=seed),
        level=level,
        seed=seed,
        left_out=every - len(results),
    )


def _known(result: CellResult, row: QuantizerRow) -> bool:
    """Whether a row has a leak and a loss, both with intervals that say something."""
    ends = [end for one in (leak(result, row), cost(result, row)) if one for end in (one.low, one.high)]
    return not is_baseline(row) and len(ends) == 4 and all(map(isfinite, ends))


def _apart(cells: Sequence[CellResult], leaks: Evidence, *, level: float, seed: int) -> Floats:
    """Return (k, k): how much larger than the first leak the second must be to be told apart, all pairs at once.

    Of one audit it is what `CellResult.told_apart` goes by, so that no sentence about it disagrees with the choice.
    """
    if len(cells) > 1:
        draws = leaks.draws(seed=seed)
        spread = (draws[:, :, None] - draws[:, None, :]).std(0)
        far: Floats = max(pairs_factor(draws, level=level), normal_quantile(level)) * spread
        return far
    rows = {row.quantizer: row for row in cells[0].rows}
    return np.array(
        [[_margin(cells[0], rows[one], rows[other]) for other in leaks.quantizers] for one in leaks.quantizers]
    )


def _margin(result: CellResult, one: QuantizerRow, other: QuantizerRow) -> float:
    half = result.comparison.half_width(one.quantizer, other.quantizer) if result.comparison else None
    lower, upper = leak(result, one), leak(result, other)
    if half is not None or lower is None or upper is None:
        return half or 0.0
    return 0.0 if one is other else (lower.high - lower.value) + (upper.value - upper.low)


def _skill(result: CellResult) -> float:
    """Return what full precision has above guessing; of a metric without such a level, the metric itself."""
    found = reference(result).metrics.get(result.primary_metric)
    value = found.value if isinstance(found, Estimate) else 0.0
    return abs(value - (metric(result.primary_metric).guessing or 0.0))
