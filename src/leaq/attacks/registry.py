"""Names of attacks and of families of them, and one entry per attack for listings and for docs/attacks.md."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from leaq.attacks.base import Access, Ingredient, MembershipAttack, Tells
from leaq.config import Registry, split_specs
from leaq.errors import LeaqError
from leaq.results.former import FORMER

ATTACKS: Registry[MembershipAttack] = Registry("attack", "leaq.attacks")
"""Each attack is a file of this room and found there; its `place` tells the weak from the strong."""
ATTACKS.alias(**{"loss": "threshold", "white-box": "whitebox"}, **FORMER)

DEFAULT = (
    *("threshold", "rmia", "lira(normalise=False)", "lira(shadows=full_precision)", "lira", "whitebox"),
    *("file", "combined(sees=outputs)", "combined"),
)

FEWEST_MODELS = 8
"""Models below which attacks with shadows rest on too little to lead the table."""


@cache
def attack_families() -> Mapping[str, tuple[str, ...]]:
    """Return the named families and the specifications in each, weakest first.

    ``default`` costs little once the models exist; ``all`` adds variants and the quantile attack, which fits
    regressions: every example of every attack.
    """
    kinds: list[Any] = [ATTACKS.get(name) for name in ATTACKS]
    return {"default": DEFAULT, "all": tuple(spec for kind in kinds for spec in kind.examples)}


@lru_cache(maxsize=1024)  # tables and pages ask for the words of the same few again and again
def build_attack(spec: str) -> MembershipAttack:
    """Build an attack from its specification, or from a name it had before.

    Examples
    --------
    >>> build_attack("lira(mode=offline)").short(), build_attack("lira-online(normalise=false)").spec()
    ('LiRA, offline', 'lira(normalise=False)')
    """
    return ATTACKS.build(spec)


def parse_attacks(chosen: Sequence[str], *, task: str | None = None) -> tuple[MembershipAttack, ...]:
    """Build the attacks that specifications and family names stand for, each once, weakest first; only those of `task`.

    Examples
    --------
    >>> [attack.spec() for attack in parse_attacks(["lira", "threshold, rmia(mode=offline)"])]
    ['threshold', 'rmia(mode=offline)', 'lira']

    Raises
    ------
    UnknownName
        If a name is neither an attack nor a family.
    """
    specs, families = list[str](), attack_families()
    for item in split_specs(",".join(chosen)):
        name = ATTACKS.spelled(item).partition("(")[0]
        if name not in ATTACKS and item not in families:
            raise ATTACKS.unknown(item, also=families)
        specs += families.get(item, (item,))
    built = dict.fromkeys(build_attack(spec) for spec in specs)
    if task == "regression":
        built = {attack: None for attack in built if "classes" not in attack.needs}
    order = [build_attack(spec) for spec in families["all"]]
    names = list(ATTACKS)

    def place(attack: MembershipAttack) -> tuple[int, int]:
        return names.index(attack.name), order.index(attack) if attack in order else len(order)

    return tuple(sorted(built, key=place))


def primary(attacks: Sequence[MembershipAttack], *, models: int) -> str:
    """Return the specification rows are ordered by: the strongest attack there is evidence for.

    The combined attack of who holds the file, then of who sees the outputs, then the last of those named; with fewer
    than 8 models the loss threshold.

    Examples
    --------
    >>> primary(parse_attacks(["default"]), models=16), primary(parse_attacks(["default"]), models=4)
    ('combined', 'threshold')
    """
    specs = [attack.spec() for attack in attacks]
    if models < FEWEST_MODELS and "threshold" in specs:
        return "threshold"
    return specs[-1]


def title_of(key: str) -> str:
    """Name an attack in a sentence, by its specification; what is no attack of this registry keeps its words."""
    attack = _known(key)
    return attack.title() if attack else key.replace("-", " ")


def short_name(key: str) -> str:
    """Name an attack in a table head or legend; as `title_of`."""
    attack = _known(key)
    return attack.short() if attack else key.replace("-", " ")


def _known(key: str) -> MembershipAttack | None:
    try:
        return build_attack(key)
    except LeaqError:
        return None


AS_OF = "November 2026"
"""When the list of attacks was last held against what is published."""
HOLDS: dict[Access, str] = {"outputs": "the model's answers", "file": "the released file"}
TOLD: dict[Tells, str] = {
    "nothing": "nothing",
    "threshold": "members among other records, for the threshold",
    "scores": "members among other records, for scores and threshold",
}


@dataclass(frozen=True)
class AttackEntry:
    """One attack.

    Attributes
    ----------
    spec : the specification that builds it.
    title, what : its name in a sentence, and what it does.
    needs : what must be at hand beside the losses of the released models.
    holds : what its attacker holds.
    told : what its attacker is told of the target's other records.
    source : paper.
    families : the families it is in.
    """

    spec: str
    title: str
    what: str
    needs: tuple[Ingredient, ...]
    holds: str
    told: str
    source: str
    families: tuple[str, ...]


def entries() -> tuple[AttackEntry, ...]:
    """Return every attack of the family "all", weakest first.

    Examples
    --------
    >>> [found.spec for found in entries()][:2]
    ['correctness', 'threshold']
    """
    return tuple(_described(build_attack(spec)) for spec in attack_families()["all"])


def entry(spec: str) -> AttackEntry:
    """Return what is known about one attack, by specification or older name; raises `UnknownName`.

    Examples
    --------
    >>> entry("lira(mode=offline)").spec, entry("rmia").needs
    ('lira(mode=offline)', ('shadows',))
    """
    return _described(build_attack(spec))


def _described(attack: MembershipAttack) -> AttackEntry:
    spec = attack.spec()
    families = tuple(name for name, specs in attack_families().items() if spec in specs)
    holds, told = HOLDS[attack.access], TOLD[attack.tells]
    return AttackEntry(spec, attack.title(), attack.explain(), attack.needs, holds, told, attack.source, families)
