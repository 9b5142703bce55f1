"""What there is to choose from: one entry per attack of the family "all", for listings and for docs/attacks.md."""

from dataclasses import dataclass

from leaq.attacks.base import Access, Ingredient, MembershipAttack, Tells
from leaq.attacks.registry import attack_families, build_attack

AS_OF = "November 2026"
"""When the list of attacks was last held against what is published."""
BEGIN, END = "<!-- catalogue: begin -->", "<!-- catalogue: end -->"
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


def markdown() -> str:
    """Return the catalogue as a Markdown table."""
    lines = ["| attack | what it does | needs | attacker holds | is told | source |", "|---|---|---|---|---|---|"]
    for found in entries():
        needs = ", ".join(found.needs) or "losses"
        cells = (f"`{found.spec}`", found.what, needs, found.holds, found.told, found.source)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


def _described(attack: MembershipAttack) -> AttackEntry:
    spec = attack.spec()
    families = tuple(name for name, specs in attack_families().items() if spec in specs)
    holds, told = HOLDS[attack.access], TOLD[attack.tells]
    return AttackEntry(spec, attack.title(), attack.explain(), attack.needs, holds, told, attack.source, families)
