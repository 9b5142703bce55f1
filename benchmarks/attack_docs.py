"""Put the catalogue of attacks into docs/attacks.md.

python -m benchmarks.attack_docs
"""

from benchmarks.pages import DOCS, put
from leaq.attacks.registry import entries


def attack_table() -> str:
    """Return the catalogue of attacks as a Markdown table."""
    lines = ["| attack | what it does | needs | attacker holds | is told | source |", "|---|---|---|---|---|---|"]
    for found in entries():
        needs = ", ".join(found.needs) or "losses"
        cells = (f"`{found.spec}`", found.what, needs, found.holds, found.told, found.source)
        lines.append("| " + " | ".join(cell.replace("|", r"\|") for cell in cells) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    put(DOCS / "attacks.md", "catalogue", attack_table())
