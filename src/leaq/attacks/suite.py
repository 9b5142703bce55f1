"""Attacks by name: what an audit runs by default, what it runs when asked for all, and running them on one table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from leaq.attacks.calibrated import calibrated
from leaq.attacks.file import file
from leaq.attacks.lira import lira, lira_scores
from leaq.attacks.quantile import quantile
from leaq.attacks.rmia import rmia
from leaq.attacks.scoring import Protocol, area_gap, chosen_targets
from leaq.attacks.threshold import threshold, threshold_classwise
from leaq.attacks.whitebox import whitebox
from leaq.errors import NotEnoughEvidence, unknown_name
from leaq.types import AttackResult, Estimate, Floats, LossTable, NotComputed, Task

__all__ = ["FAMILIES", "Field", "adaptive_gap", "attack_names", "run_attacks"]


@dataclass(frozen=True)
class Field:
    """Where attacks are fought: the models under one quantizer, and what attackers may be given beside them.

    Attributes
    ----------
    table : models released under one quantizer.
    reference : the same models in full precision, for attackers who do not know the quantizer.
    targets : attacked models, all by default; the others are shadows only.
    features : (n, d) what the quantile and the file attack know of the records, usually the inputs.
    """

    table: LossTable
    reference: LossTable
    targets: Sequence[int] | None = None
    features: Floats | None = None
    protocol: Protocol = field(default_factory=Protocol)


Found = AttackResult | NotComputed
QUANTILE_TARGETS = 4
"""Models the quantile attack is run on: each needs four regressions of its own."""


def _quantile(f: Field) -> Found:
    if f.features is None:
        return NotComputed("quantile needs what the attacker knows of each record (features), usually the inputs.")
    attacked = chosen_targets(f.table, f.targets)[:QUANTILE_TARGETS]
    return quantile(f.table, f.features, targets=attacked, protocol=f.protocol)


def _whitebox(f: Field) -> Found:
    if f.table.whitebox is None:
        return NotComputed("whitebox needs statistics of the released weights: add them with evaluation.with_whitebox.")
    return whitebox(f.table, targets=f.targets, protocol=f.protocol)


def _file(f: Field) -> Found:
    if f.table.numbers is None:
        return NotComputed("file needs what the released file holds: add it with evaluation.with_numbers.")
    if f.features is None:
        return NotComputed("file needs what the attacker knows of each record (features), usually the inputs.")
    return file(f.table, f.features, targets=f.targets, protocol=f.protocol)


_ATTACKS: Mapping[str, Callable[[Field], Found]] = {
    "threshold": lambda f: threshold(f.table, targets=f.targets, protocol=f.protocol),
    "threshold-classwise": lambda f: threshold_classwise(f.table, targets=f.targets, protocol=f.protocol),
    "quantile": _quantile,
    "calibrated": lambda f: calibrated(f.table, targets=f.targets, protocol=f.protocol),
    "rmia-offline": lambda f: rmia(f.table, mode="offline", targets=f.targets, protocol=f.protocol),
    "rmia": lambda f: rmia(f.table, targets=f.targets, protocol=f.protocol),
    "lira-nonadaptive": lambda f: lira(f.table, shadows=f.reference, targets=f.targets, protocol=f.protocol),
    "lira-offline": lambda f: lira(f.table, mode="offline", targets=f.targets, protocol=f.protocol),
    "lira-online": lambda f: lira(f.table, targets=f.targets, protocol=f.protocol),
    "lira-online-per-record": lambda f: lira(f.table, variance="per_record", targets=f.targets, protocol=f.protocol),
    "whitebox": _whitebox,
    "file": _file,
}
FAMILIES: Mapping[str, tuple[str, ...]] = {
    "default": ("threshold", "calibrated", "rmia", "lira-nonadaptive", "lira-online", "whitebox", "file"),
    "all": tuple(_ATTACKS),
}
"""`default` costs next to nothing once the models exist; `all` adds the quantile attack, which fits regressions."""


def attack_names(chosen: Sequence[str], *, task: Task | None = None) -> tuple[str, ...]:
    """Return the attacks that names and families stand for, in their order of strength; only those `task` allows.

    Examples
    --------
    >>> attack_names(["lira-online", "threshold"])
    ('threshold', 'lira-online')
    >>> "threshold-classwise" in attack_names(["all"], task="regression")
    False

    Raises
    ------
    UnknownName
        If a name is neither an attack nor a family.
    """
    wanted: set[str] = set()
    for name in chosen:
        if name not in _ATTACKS and name not in FAMILIES:
            raise unknown_name("attack", name, [*_ATTACKS, *FAMILIES])
        wanted.update(FAMILIES.get(name, (name,)))
    if task == "regression":
        wanted.discard("threshold-classwise")
    return tuple(name for name in _ATTACKS if name in wanted)


def run_attacks(ground: Field, names: Sequence[str]) -> dict[str, Found]:
    """Run the named attacks; one that the evidence does not allow says why instead of giving a number."""
    found: dict[str, Found] = {}
    for name in attack_names(names, task=ground.table.task):
        try:
            found[name] = _ATTACKS[name](ground)
        except NotEnoughEvidence as err:
            found[name] = NotComputed(str(err))
    return found


def adaptive_gap(ground: Field) -> Estimate | NotComputed:
    """Tell how much an audit misses that attacks a quantized model with full-precision shadows: a difference in AUC.

    Online LiRA with shadows quantized as the target is, minus the same with full-precision shadows. Direction: larger
    = a non-adaptive audit is further off. Range: [-1, 1]. Interval: paired bootstrap over models and records.
    """
    chosen = chosen_targets(ground.table, ground.targets)
    try:
        adaptive = lira_scores(ground.table, targets=chosen)
        other = lira_scores(ground.table, targets=chosen, shadows=ground.reference)
    except NotEnoughEvidence as err:
        return NotComputed(str(err))
    return area_gap(ground.table, adaptive, other, targets=chosen, protocol=ground.protocol)
