"""The contract of every attack: a frozen configuration that turns a `Context` into scores, and scores into a result.

An attack defines `scores` (higher = more likely a member), says what it needs (`needs`), what its attacker sees and
knows (`knows`) and what it is called. Everything else - which ingredient is missing, thresholds, intervals, epsilon,
per-record risk, names - is written once, here and in `scoring`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

from leaq.attacks.resampling import ScoresFrom
from leaq.attacks.risk import separation
from leaq.attacks.scoring import Attack, Resampling, attack_result, chosen_targets
from leaq.attacks.shadows import Shadows, same_models
from leaq.attacks.signals import Signals
from leaq.config import Named
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import AttackResult, Flag, Floats, LossTable, NotComputed, computed

Ingredient = Literal["shadows", "scores", "classes", "features", "reference", "whitebox", "numbers"]
"""What an attack may need beside the losses of the released models."""
MISSING: Mapping[Ingredient, str] = {
    "shadows": "shadow models: several models trained by the same rule on other records of the pool",
    "scores": "scores of every record (margins or residuals), which losses alone do not give",
    "classes": "a classification whose classes are known",
    "features": "what the attacker knows of each record (features), usually the inputs",
    "reference": "the same models in full precision",
    "whitebox": "statistics of the released weights (evaluation.with_whitebox adds them)",
    "numbers": "what the released file holds beside codes (evaluation.with_numbers adds it)",
}
MOST_RECORDS = 4000
"""Records that a forecast is made from, at most: more change an area under a curve by less than its interval, and cost
as much as the attack itself."""
Access = Literal["outputs", "file"]
"""What the attacker holds: the model's answers, or the released file with every number in it."""
Sides = Literal["both", "out"]
"""Which shadows of a record an attack compares with."""
Tells = Literal["nothing", "threshold", "scores"]
"""What an attacker learns from being told the membership of the target's other records."""


@dataclass(frozen=True)
class Context:
    """Where attacks are fought: the models under one quantizer, and what attackers may be given beside them.

    Attributes
    ----------
    table : models released under one quantizer.
    reference : the same models in full precision, for attackers who do not know the quantizer.
    targets : attacked models, all by default; the others are shadows only.
    features : (n, d) what is known of each record, usually the inputs.
    resampling : how numbers and intervals are made.
    lacking : ingredients that cannot be had here, with the reason and the remedy in a sentence.
    beside : further releases of the same models, each under a quantizer of its own, that the attacker holds too.
    """

    table: LossTable
    reference: LossTable | None = None
    targets: Sequence[int] | None = None
    features: Floats | None = None
    resampling: Resampling = field(default_factory=Resampling)
    lacking: Mapping[Ingredient, str] = field(default_factory=dict)
    beside: Sequence[LossTable] = ()

    def __post_init__(self) -> None:
        for other in self.beside:
            same_models(self.table, other, attack="Context", what="tables beside")

    @cached_property
    def releases(self) -> tuple[Signals, ...]:
        """Signals of every release of the models that the attacker holds."""
        return (self.signals, *map(Signals, self.beside))

    @cached_property
    def shared(self) -> dict[Any, Any]:
        """What one attack found of these models and another one would find again, by what it rests on."""
        return {}

    @cached_property
    def signals(self) -> Signals:
        """Signals of the released models."""
        return Signals(self.table)

    def shadows(self, signals: Floats) -> Shadows:
        """Return the models as shadows of each other in these signals (s, n), built once for all that compare them."""
        key = "shadows", id(signals)
        if key not in self.shared:
            self.shared[key] = (signals, Shadows(signals, self.table.members))  # the signals too: no others lie there
        found: Shadows = self.shared[key][1]
        return found

    @cached_property
    def reference_signals(self) -> Signals:
        """Signals of the same models in full precision."""
        if self.reference is None:
            raise InvalidInput(f"Context: needs {MISSING['reference']}. Found none.")
        return Signals(self.reference)

    @cached_property
    def chosen(self) -> list[int]:
        """The attacked models."""
        return chosen_targets(self.table, self.targets)

    def has(self, ingredient: Ingredient) -> bool:
        """Tell whether an ingredient is at hand."""
        table = self.table
        there: dict[Ingredient, bool] = {
            "shadows": len(table.members) > 1,
            "scores": table.scores is not None,
            "classes": table.task == "classification" and table.targets is not None,
            "features": self.features is not None,
            "reference": self.reference is not None,
            "whitebox": table.whitebox is not None,
            "numbers": table.numbers is not None,
        }
        return ingredient not in self.lacking and there[ingredient]

    def shadows_of(self, excluded: Sequence[int] = ()) -> str:
        """Say how many shadow models the attacked ones have."""
        known = Shadows(self.table.released, self.table.members)
        counts = sorted({known.count(target, excluded) for target in self.chosen})
        return str(counts[0]) if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"


class MembershipAttack(Named):
    """An attack: ``attack(table)`` returns what it achieves on the released models of a table.

    Examples
    --------
    >>> import numpy as np
    >>> from leaq.attacks.threshold import Threshold
    >>> rng = np.random.default_rng(0)
    >>> table = LossTable.from_losses(rng.exponential(0.2, 500), rng.exponential(1.0, 500))
    >>> 0.4 < Threshold()(table).advantage.value < 0.6
    True
    """

    source: ClassVar[str] = ""
    """The paper the attack is taken from."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Specifications that show the attack; the first one stands in listings, the contract suite runs over all."""

    jackknife: ClassVar[bool] = True
    """Whether intervals score anew without each pair of models, to see what targets owe to the shadows they share."""

    joins: ClassVar[bool] = False
    """Whether the attack reads several releases of one model together."""

    # -- what an attack defines ------------------------------------------------------------------------------------

    @property
    def forecast(self) -> bool:
        """Whether it is what is forecast (`leaq.attacks.forecast`), which starts from these scores."""
        return False

    @property
    def needs(self) -> tuple[Ingredient, ...]:
        """What must be at hand beside the losses of the released models."""
        raise NotImplementedError

    @property
    def uses(self) -> tuple[Ingredient, ...]:
        """What it makes use of: what it needs, and what it takes where it is at hand."""
        return self.needs

    @property
    def access(self) -> Access:
        """What the attacker holds."""
        return "outputs"

    @property
    def sides(self) -> Sides:
        """Which shadows it must have of a record: some that trained on it and some that did not, or the latter."""
        return "both"

    @property
    def tells(self) -> Tells:
        """What rests on being told which of the target's other records are members."""
        return "nothing"

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return (len(targets), n), higher = more likely a member.

        No membership in a target, in its exact complements or in the models `excluded` may enter its scores.
        """
        raise NotImplementedError

    def knows(self, context: Context) -> str:
        """Say what the attacker sees and knows."""
        raise NotImplementedError

    def title(self) -> str:
        """Name the attack in a sentence."""
        raise NotImplementedError

    def short(self) -> str:
        """Name the attack in a table head or legend."""
        raise NotImplementedError

    def explain(self) -> str:
        """Say in one or two sentences what the attack does."""
        raise NotImplementedError

    # -- what an attack may define ---------------------------------------------------------------------------------

    def flags(self, context: Context) -> tuple[Flag, ...]:
        """Return doubts of this attack in this context."""
        return ()

    def attacked(self, context: Context) -> Sequence[int]:
        """Return the models that are attacked; fewer than the context names where the attack is expensive."""
        return context.chosen

    # -- what all attacks share ------------------------------------------------------------------------------------

    def __call__(
        self,
        table: LossTable,
        *,
        reference: LossTable | None = None,
        targets: Sequence[int] | None = None,
        features: Floats | None = None,
        resampling: Resampling | None = None,
    ) -> AttackResult:
        """Attack the released models of one table; see `Context` for what may be given beside it.

        Raises
        ------
        NotEnoughEvidence
            If an ingredient is missing, or there are too few models or records.
        """
        return self.attack(Context(table, reference, targets, features, resampling or Resampling()))

    def attack(self, context: Context) -> AttackResult:
        """Attack in a context; as calling the attack."""
        if context.beside and not self.joins:
            raise NotEnoughEvidence(f"{self.spec()} attacks one release. Several together are read by combined.")
        self.require(context)
        targets = list(self.attacked(context))
        scores = self.scores(context, targets)
        found = Attack(
            self.spec(),
            self.knows(context),
            risk=self.risk(context, scores, targets),
            flags=self.flags(context),
            told=self.tells == "scores",
            labelled=self.tells == "threshold",
            jackknife=self.jackknife,
            scores_from=self._scores_from(context) if self.tells != "scores" else None,
        )
        result = attack_result(found, context.table, scores, targets=targets, resampling=context.resampling)
        everyone = targets == list(range(len(context.table.members))) and not context.beside
        kept = self.forecast and everyone and scores.shape[1] <= MOST_RECORDS
        return replace(result, scores=scores) if kept else result

    def risk(self, context: Context, scores: Floats, targets: Sequence[int]) -> Floats | None:
        """Return what the attack tells of each record over the models it attacks, (n,); None where that is nothing.

        Of one released model there is nothing: each record is either its member or not.
        """
        if "shadows" not in self.needs or context.table.game == "released":
            return None
        return separation(scores, context.table.members[list(targets)])

    def require(self, context: Context) -> None:
        """Refuse a context without an ingredient that this attack needs; raises `NotEnoughEvidence`."""
        missing = [name for name in self.needs if not context.has(name)]
        if missing:
            reason = context.lacking.get(missing[0])
            raise NotEnoughEvidence(reason or f"{self.spec()} needs {MISSING[missing[0]]}.")

    def run(self, context: Context) -> AttackResult | NotComputed:
        """Attack in a context, or say which ingredient is missing."""
        return computed(lambda: self.attack(context))

    def _scores_from(self, context: Context) -> ScoresFrom:
        """Return how this attack scores anew with some models alone as shadows (see `ScoresFrom`)."""
        everyone = set(range(len(context.table.members)))

        def scores_from(targets: Sequence[int], shadows: Sequence[int]) -> Floats:
            return self.scores(context, targets, sorted(everyone - set(shadows)))

        return scores_from
