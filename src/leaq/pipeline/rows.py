"""From loss tables to one row of the result, whoever's model it was: what the ingredients allow, the others named.

Every measure and attack says what it needs; what is lacking becomes `NotComputed` with the ingredient, here and
nowhere else. The pipeline brings models in tens and their shadows; the audit of a finished model brings one.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from leaq.attacks.base import Context, Ingredient, MembershipAttack
from leaq.attacks.lira import adaptive_gap
from leaq.attacks.one_model import from_one_model
from leaq.attacks.registry import title_of
from leaq.attacks.scoring import Resampling
from leaq.attacks.series import run_series
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.class_order import class_order_doubt
from leaq.measures.distortion import correlation, distortion, loss_gap, loss_tnr
from leaq.measures.finite_sample import Options, finite_sample
from leaq.measures.performance import drop, held_out_drop, held_out_loss, metrics_of, performance
from leaq.measures.rate import rate
from leaq.results import Curve, QuantizerRow, Size
from leaq.results.metrics import metric
from leaq.stats.digits import format_estimate
from leaq.types import AttackResult, Estimate, Flag, Floats, LossTable, NotComputed, Samples, computed

Number = Estimate | NotComputed
NO_CANDIDATES = NotComputed("Compares candidates recorded along training; the released weights alone are known.")
ONE_TASK = ("threshold", "combined(sees=outputs)")
"""Attacks on each of several targets."""
OUTDONE = 0.01
"""By how much another attack must find more than the leading one before it is said: less is the luck of one audit."""
LED_BY = {"classification": ("roc_auc", "accuracy"), "regression": ("r2",), "mixed": ("skill",)}
CHANCE = {"roc_auc": 0.5, "r2": 0.0, "skill": 0.0}
DRAWN = 25_000_000
"""Records drawn into training sets for the finite-sample leak at first: of a large pool fewer sets."""


@dataclass(frozen=True)
class How:
    """How every number of an audit is made.

    Attributes
    ----------
    resampling : level, draws and seed of intervals.
    attacks : run in this order.
    leading : specification of the attack the audit leads with.
    targets : which models are attacked; all if not given.
    features : (n, d) inputs, where they are arrays of one width.
    lacking : what attacks need and is not there, with the words of a remedy.
    no_replicates : why there is no forecast, where there are no replicates to make one from.
    series : attacks are asked about whole groups of records, and not about single ones.
    """

    resampling: Mapping[str, Any]
    attacks: Sequence[MembershipAttack] = ()
    leading: str = ""
    targets: Sequence[int] | None = None
    features: Floats | None = None
    lacking: Mapping[Ingredient, str] = field(default_factory=dict)
    no_replicates: str = ""
    series: bool = False

    @property
    def of_one_task(self) -> "How":
        """How one of several targets is measured: by who sees outputs alone, the simplest attack and the strongest.

        What the file tells beside outputs is of all targets, and is read by the attacks on all of them.
        """
        blind = [one for one in self.attacks if one.access == "outputs" and one.spec() in (*ONE_TASK, self.leading)]
        return replace(self, attacks=blind, leading="", features=None)

    def context(
        self, table: LossTable, reference: LossTable | None = None, *, beside: Sequence[LossTable] = ()
    ) -> Context:
        """Return what attacks are given: a release, the same models in full precision, further releases of them."""
        resampling = Resampling(**self.resampling)
        return Context(table, reference, self.targets, self.features, resampling, self.lacking, beside)

    def attacked(self, context: Context) -> dict[str, AttackResult | NotComputed]:
        """Run every attack that has a meaning there; one on classes has none where there are none."""
        asked = (one for one in self.attacks if "classes" not in one.needs or context.has("classes"))
        return {one.spec(): run_series(context, one) if self.series else one.run(context) for one in asked}


@dataclass(frozen=True)
class Released:
    """One release of some models.

    Attributes
    ----------
    names : specification and label.
    table : losses of the targets and their shadow models; the last candidate is the released one.
    reference : the same models in full precision, None if nobody has them.
    full : whether this is full precision itself, which is compared with nothing.
    candidates : losses of what r compares, where that is another table than `table`; or why there are none.
    own : which models' accuracy and losses count; all if not given.
    """

    names: tuple[str, str]
    table: LossTable
    size: Size
    reference: LossTable | None = None
    full: bool = False
    candidates: LossTable | NotComputed | None = None
    own: Sequence[int] | None = None
    flags: tuple[Flag, ...] = ()

    def counted(self, task: str = "") -> tuple[LossTable, LossTable | None]:
        """Return the losses that accuracy is told from, and those it is compared with; of one of several targets."""
        table, before = self.table, None if self.full else self.reference
        if task:
            table, before = table.by_task[task], None if before is None else before.by_task[task]
        if self.own is not None:
            table, before = table.of(self.own), None if before is None else before.of(self.own)
        return table, before


def row(released: Released, how: How) -> QuantizerRow:
    """Measure one release: accuracy and its cost, attacks, indicators."""
    context = how.context(released.table, released.reference)
    found = attacked_row(released, how, context)
    table, options, metrics, drops = released.table, how.resampling, dict(found.metrics), dict(found.drops)
    own, before = released.counted()
    measures, curves, doubts = _rates(table if released.candidates is None else released.candidates, how)
    measures["loss_gap"] = loss_gap(own, **options)
    if before is not None:
        measures["distortion"] = _compared(distortion, own, before, options)
        measures["correlation"] = _compared(correlation, own, before, options)
        if not how.series:
            measures["adaptive_gap"] = adaptive_gap(context)
            measures["adaptive_gap_raw"] = adaptive_gap(context, normalise=False)
    alone = table.outputs is None and table.told is None and not table.by_task
    if table.game == "iid" or alone:  # the loss may be the user's own, or that of a text, and then is all there is
        metrics["loss"] = held_out_loss(own, **options)
        if before is not None:
            drops["loss"] = held_out_drop(own, before, **options)
    if how.no_replicates:
        measures["forecast"] = NotComputed(how.no_replicates)
        measures["loss_tnr"] = loss_tnr(own, **options)
        # What the strongest attack on outputs is estimated to find, from the one model there is.
        measures["forecast_one"] = computed(lambda: from_one_model(table, released.reference, level=options["level"]))
    # What a quantizer does to predictions is its price.
    read = (*other_scale(metrics, trained=not how.no_replicates), *class_order_doubt(own)) if before is None else ()
    flags = (*released.flags, *doubts, *no_skill(metrics), *read, *outdone(found.attacks, how.leading))
    return replace(found, metrics=metrics, drops=drops, measures=measures, curves=curves, flags=flags)


def attacked_row(released: Released, how: How, context: Context | None = None) -> QuantizerRow:
    """Return what every kind of row has: accuracy and its cost, and what attacks find; in a context that is there."""
    metrics, drops = _accuracy(*released.counted(), how.resampling)
    attacks = how.attacked(context or how.context(released.table, released.reference))
    return QuantizerRow(
        *released.names,
        released.size,
        metrics,
        drops,
        attacks=attacks,
        flags=(*released.flags, *no_skill(metrics), *outdone(attacks, how.leading)),
        by_task=measured_by_task(released, how),
    )


def measured_by_task(released: Released, how: How) -> dict[str, QuantizerRow]:
    """Measure each of several targets alone, over the records that have its label; see `How.of_one_task`."""
    found, how = {}, how.of_one_task
    for name, table in released.table.by_task.items():
        before = None if released.full or released.reference is None else released.reference.by_task[name]
        own, compared = released.counted(name)
        metrics, drops = _accuracy(own, compared, how.resampling)
        attacks = {  # neither a curve nor the risk of single records is kept of each
            spec: replace(item, risk=None, roc=None) if isinstance(item, AttackResult) else item
            for spec, item in how.attacked(how.context(table, before)).items()
        }
        found[name] = QuantizerRow(
            *released.names, released.size, metrics, drops, attacks=attacks,
            flags=(*no_skill(metrics), *(class_order_doubt(own) if compared is None else ())),
        )  # fmt: skip
    return found


def _accuracy(
    table: LossTable, before: LossTable | None, options: Mapping[str, Any]
) -> tuple[dict[str, Number], dict[str, Number]]:
    """Return task metrics, and how they differ from those of the same models in full precision, if these are there."""
    metrics = _each(table, lambda: performance(table, **options))
    return metrics, {} if before is None else _each(table, lambda: drop(table, before, **options))


def _each(table: LossTable, compute: Callable[[], Mapping[str, Number]]) -> dict[str, Number]:
    """Return task metrics, where outputs and targets define any; or why there are none."""
    names = LED_BY[metrics_of(table).removeprefix("several ")]
    if not table.by_task and table.told is None and (table.outputs is None or table.targets is None):
        wide = "one class or value a record, and outputs of at most 4,096 numbers"
        return dict.fromkeys(
            names, NotComputed(f"Needs {wide}, under a loss that says what they mean; the loss is given.")
        )
    try:
        return dict(compute())
    except (InvalidInput, NotEnoughEvidence):
        if table.game != "iid":
            raise
        return dict.fromkeys(names, NotComputed("The non-members given must hold at least two classes (or values)."))


def _compared(
    indicator: Callable[..., Estimate], released: LossTable, reference: LossTable, options: Mapping[str, Any]
) -> Number:
    """Return an indicator that compares outputs before and after, or what it lacks."""
    if released.told is None:  # there, they were compared before they were left
        if released.outputs is None or reference.outputs is None:
            return NotComputed("Needs outputs of one width for every record, at most 4,096 numbers.")
        if released.outputs.shape != reference.outputs.shape:
            return NotComputed("The shipped model must have as many outputs as its original.")
    return computed(lambda: indicator(released, reference, **options))


def _rates(
    candidates: LossTable | NotComputed, how: How
) -> tuple[dict[str, Number], dict[str, Curve], tuple[Flag, ...]]:
    """Return r, its companions and the finite-sample leak of the candidates, or why there are none."""
    names = ("r", "n_r", "asymptotic", "finite_sample")
    if isinstance(candidates, LossTable) and candidates.losses.shape[1] == 1:
        candidates = NO_CANDIDATES
    if isinstance(candidates, NotComputed):
        return dict.fromkeys(names, candidates), {}, ()
    numbers: dict[str, Number] = {"finite_sample": _finite_sample(candidates, how)}
    found = computed(lambda: rate(candidates, **how.resampling))
    if isinstance(found, NotComputed):
        return {**dict.fromkeys(names[:3], found), **numbers}, {}, ()
    numbers |= {
        "r": found.r,
        "n_r": found.n_r,
        "asymptotic": found.asymptotic,
        "chernoff": found.chernoff,
        "union_bound": found.union_bound,
        "r_halved": found.halved,
    }
    return numbers, {"lambda_k": found.curve}, found.flags


def _finite_sample(table: LossTable, how: How) -> Number:
    """Return the finite-sample leak of an empirical minimiser over at most two models' candidates."""
    pool = (table.pool or table.losses.shape[2]) if table.game == "pool" else 0
    draws = int(np.clip(DRAWN // max(pool, 1), 100, 500))
    quick = Options(draws=draws, most=4 * draws, close=0.05, resamples=10, bootstrap_draws=100, pool=pool)
    models = range(min(2, len(table.losses)))
    level, seed = how.resampling["level"], how.resampling["seed"]
    return computed(lambda: finite_sample(table, models=models, level=level, seed=seed, options=quick))


def primary_metric(samples: Samples) -> str:
    """Return the metric that the trade-off is drawn with.

    Examples
    --------
    >>> import numpy as np
    >>> primary_metric(Samples(np.zeros((2, 1)), np.zeros(2), "regression"))
    'r2'
    """
    if samples.text:
        return "loss"
    kinds: set[str] = {task.kind for _, task in samples.each_target}
    return LED_BY["mixed" if len(kinds) > 1 else kinds.pop()][0]


def no_skill(metrics: Mapping[str, Number]) -> tuple[Flag, ...]:
    """Flag a model that predicts no better than guessing: its small leak is no merit."""
    for name, chance in CHANCE.items():
        found = metrics.get(name)
        if isinstance(found, Estimate) and found.low <= chance:
            text = f"The interval of {metric(name).name} reaches {chance:g}: predicts no better than guessing."
            return (Flag("no-skill", text),)
    return ()


def other_scale(metrics: Mapping[str, Number], *, trained: bool = False) -> tuple[Flag, ...]:
    """Flag predictions in the order of the targets, or the reverse, on another scale: losses are then of that shift.

    Parameters
    ----------
    trained : whether the models were trained for this audit: what has not learnt much yet is then no other scale.

    Examples
    --------
    >>> found = {"r2": Estimate(-9.0, -9.5, -8.5, n=50), "spearman": Estimate(0.9, 0.8, 0.95, n=50)}
    >>> [flag.code for flag in other_scale(found)]
    ['other-scale']
    """
    fit, order = metrics.get("r2"), metrics.get("spearman")
    if not (isinstance(fit, Estimate) and isinstance(order, Estimate)):
        return ()
    if abs(order.value) < 0.5 or order.value**2 - fit.value < 0.5 or (trained and fit.high > 0):
        return ()
    way = "reverse order" if order.value < 0 else "order"
    text = (
        f"Predictions follow the {way} of the targets (Spearman {order.value:.2f}) on another scale "
        f"(R² {fit.value:.2g}): losses, and the leak that they show, are those of the shift. Give targets as the model "
        "was trained on them, or outputs in their unit."
    )
    return (Flag("other-scale", text),)


def outdone(attacks: Mapping[str, AttackResult | NotComputed], leading: str) -> tuple[Flag, ...]:
    """Flag the row where an attack finds, or may find, more than the leading one: that number is then not the leak."""
    lead = attacks.get(leading)
    if not isinstance(lead, AttackResult):
        return ()
    found = {name: item for name, item in attacks.items() if isinstance(item, AttackResult)}
    best = max(found, key=lambda name: found[name].advantage.value)
    if found[best].advantage.value - lead.advantage.value <= OUTDONE:
        return ()
    told = ", which is told other memberships," if found[best].told else ""
    theirs, mine = (format_estimate(one.advantage, sign=True) for one in (found[best], lead))
    apart = _apart(found[best], lead, others=len(found) - 1)
    finds = "finds more here" if apart else "may find more here, not told apart"
    return (Flag("outdone", f"The {title_of(best)}{told} {finds}: {theirs} against {mine}."),)


def _apart(one: AttackResult, other: AttackResult, *, others: int) -> bool:
    """Whether an attack, the best of so many `others`, finds more than another one on the same models and records."""
    a, b = one.crossed, other.crossed
    if a is None or b is None or a.units.shape != b.units.shape or a.records.shape != b.records.shape:
        return one.advantage.low > other.advantage.high
    level = 1 - (1 - other.advantage.level) / others  # of the largest of so many differences (Bonferroni)
    return bool((a - b).interval(level=level)[0] > 0)
