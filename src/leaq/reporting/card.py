"""The privacy card: one page of Markdown to paste into a model card."""

import re
from collections.abc import Sequence
from pathlib import Path

from leaq.errors import visible
from leaq.pipeline.options import command
from leaq.reporting.display_names import flag_words
from leaq.reporting.kinds import kinds
from leaq.reporting.narrative import about_r, sentences, verdict
from leaq.reporting.tables import Table, by_task, ranking
from leaq.results import CellResult
from leaq.results.redaction import shareable, shareable_config
from leaq.system.files import write_atomic

LIMITS = (
    "The advantage is the attacker's true-positive rate minus its false-positive rate: 0 is blind guessing, 1 is "
    "certainty. It is a lower bound on what the released model gives away; a stronger attack may find more, and a "
    "quiet attack is no proof of privacy. Intervals cover the choice of records and models in this audit, not other "
    "data, architectures or training rules."
)


CARD_TITLE = "## Membership privacy of"
"""How every card begins: what a card may take the place of."""


def privacy_card(result: CellResult, *, reproduce: str | None = None) -> str:
    """Return a privacy card in Markdown: verdict, table, limits, how to reproduce. Aggregates only.

    Parameters
    ----------
    reproduce : the command that gives the numbers again, where an audit of the result's configuration does not.
    """
    exposed = kinds(result)
    result = shareable(result)
    versions = result.environment.get("versions", {})
    made = ", ".join(f"{name} {version}" for name, version in versions.items() if name in ("leaq", "torch"))
    table = ranking(result)
    whole = [flag_words(flag) for flag in result.flags]  # said below
    parts = [
        f"{CARD_TITLE} {_escape(result.name)}",
        f"**{_escape(verdict(result))}**",
        _escape(" ".join(sentences(result))),
        *_noted(table, besides=whole),
        *_noted(by_task(result), "### Each task by itself"),
        *_noted(exposed, "### Which kinds of molecules are exposed"),
        "### What this does not say",
        LIMITS,
        _escape(about_r(result)),
        "\n".join(f"- {_escape(text)}" for text in whole),
        "### Reproduce",
        f"```\n{_one_line(reproduce or command(shareable_config(result.config)))}\n```",
        f"Made with {_escape(made)}." if made else "",
    ]
    return visible("\n\n".join(part for part in parts if part) + "\n")


def write_cards(results: Sequence[CellResult], path: str | Path) -> Path:
    """Write the cards of one or several audits into one Markdown file, and return its path."""
    write_atomic(Path(path), "\n".join(privacy_card(result) for result in results), mode=0o644, over=CARD_TITLE)
    return Path(path)


def _noted(table: Table | None, *title: str, besides: Sequence[str] = ()) -> list[str]:
    """Return a table under a title, with its order and notes but those said elsewhere; nothing where there is none."""
    if table is None:
        return []
    grid = [
        [_escape(column.title) for column in table.columns],
        ["---" if column.align == "left" else "---:" for column in table.columns],
        *([_escape(cell) for cell in row] for row in table.rows),
    ]
    lines = "\n".join(f"| {' | '.join(line)} |" for line in grid)
    marks = [(f"{note.mark}: " if note.mark else "", note.text) for note in table.footnotes if note.text not in besides]
    return [*title, lines, _escape(table.order), "\n".join(f"- {mark}{_escape(text)}" for mark, text in marks)]


def _escape(text: str) -> str:
    """Keep Markdown and HTML in a name from becoming layout."""
    return re.sub(r"([\\`*_{}<>|#\[\]])", r"\\\1", _one_line(text))


def _one_line(text: str) -> str:
    return " ".join(text.split()).replace("```", "'''")
