"""Numbers with their doubt: an interval, what they rest on, flags; and what stands where there is none."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isnan
from typing import Any, Self, TypeVar

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types.nouns import Flag, Floats, Game

T = TypeVar("T")


@dataclass(frozen=True)
class Estimate:
    """A number with its doubt: an interval at `level`, the `n` it rests on, and flags.

    `n` counts `unit`: records, models, candidates... An interval end may be infinite, a value never NaN.
    """

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95
    unit: str = "records"
    method: str = ""
    flags: tuple[Flag, ...] = ()

    def __post_init__(self) -> None:
        if any(map(isnan, found := (self.value, self.low, self.high))):  # thousands of cells hold a million
            raise InvalidInput(f"Estimate: value and interval must be numbers. Found {found}.")

    def __repr__(self) -> str:
        flags = f", flags: {', '.join(flag.code for flag in self.flags)}" if self.flags else ""
        return (
            f"Estimate({self.value:.4g} [{self.low:.4g}, {self.high:.4g}], "
            f"{self.level:.0%}, n={self.n} {self.unit}{flags})"
        )

    @classmethod
    def spanning(cls, value: float, low: float, high: float, *more: Any) -> Self:
        """Return an estimate whose interval holds its value, which percentiles of few draws may miss."""
        return cls(value, min(low, value), max(high, value), *more)

    def flagged(self, *flags: Flag) -> Self:
        """Return the same estimate with further flags."""
        return replace(self, flags=self.flags + flags)

    def mapped(self, function: Callable[[float], float], **changes: Any) -> Self:
        """Return a monotone function of the number, with its interval.

        Examples
        --------
        >>> Estimate(0.2, 0.1, 0.4, 50).mapped(lambda x: -x)
        Estimate(-0.2 [-0.4, -0.1], 95%, n=50 records)
        """
        value, *ends = (float(function(x)) for x in (self.value, self.low, self.high))
        return replace(self, value=value, low=min(ends), high=max(ends), **changes)


@dataclass(frozen=True)
class NotComputed:
    """Stands where a number cannot be computed, and names the missing ingredient."""

    reason: str


def computed(compute: Callable[[], T]) -> "T | NotComputed":
    """Return what is computed, or the ingredient that its `NotEnoughEvidence` names.

    Examples
    --------
    >>> computed(lambda: 0.3)
    0.3
    """
    try:
        return compute()
    except NotEnoughEvidence as err:
        return NotComputed(str(err))


@dataclass(frozen=True)
class AttackResult:
    """What one attack achieved on quantized models, in the game that was played.

    Attributes
    ----------
    attack : name, e.g. "threshold", "lira".
    attacker : what the attacker sees and knows, in words (the row of docs/how-it-works.md).
    game : "iid", "pool", "calibration", "released" or "series"; the advantage bounds the leak of this game only, below.
    advantage : signed TPR - FPR at a threshold chosen on other records or models.
    auc : area under the ROC curve.
    tpr : TPR at each false-positive rate, or why it is not given.
    roc : (2, m) false- and true-positive rates, pooled over targets, for drawing.
    risk : (n,) per-record risk in [-1, 1] or effect size, NaN where a record was never scored; internal edition only.
    epsilon : lower bound on the epsilon of differential privacy (replacing one record, delta = 0) by one-run auditing,
        in ``low``; or why there is none.
    flags : doubts.
    told : the attacker was told the membership of some of the target's records, if only for the threshold.
    crossed : what the advantage's interval is made of (`leaq.stats.crossed`), for paired differences; never stored.
    scores : (t, n) by which members were told, where a forecast is made from them; never stored.
    """

    attack: str
    attacker: str
    game: Game
    advantage: Estimate
    auc: Estimate
    tpr: Mapping[float, Estimate | NotComputed] = field(default_factory=dict)
    roc: Floats | None = field(default=None, repr=False)
    risk: Floats | None = field(default=None, repr=False)
    flags: tuple[Flag, ...] = ()
    epsilon: Estimate | NotComputed | None = None
    told: bool = False
    crossed: Any = field(default=None, repr=False, compare=False, metadata={"stored": False})
    scores: Floats | None = field(default=None, repr=False, compare=False, metadata={"stored": False})

    @property
    def balanced_accuracy(self) -> Estimate:
        """Share of right guesses where both kinds are equally likely: (1 + advantage) / 2."""
        return self.advantage.mapped(lambda advantage: (1 + advantage) / 2)

    @property
    def leak_bound(self) -> Estimate:
        """Implied by the advantage: the leak of the game, named in `method`, is at least ``low``."""
        more = ", other records' membership being told" if self.told else ""
        a, text = self.advantage, f"lower bound on the leak of the {self.game} game{more}"
        return replace(a, value=max(0.0, a.value), low=max(0.0, a.low), high=1.0, method=text)
