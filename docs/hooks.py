"""Hooks of the documentation site: the order of pages, and catalogues generated from the registries.

A page listed here that does not exist is left out; a page that exists but is listed nowhere stands under "More", so
that no page can be lost.
"""

from pathlib import Path
from typing import Any

ORDER: dict[str, list[str]] = {
    "Start": ["index.md", "tutorials/researcher.md", "tutorials/engineer.md", "tutorials/auditor.md", "faq.md"],
    "Understand": [
        "how-it-works.md",
        "attacks.md",
        "standardisation.md",
        "measures/index.md",
        "measures/*.md",
        "fidelity.md",
        "results/*.md",
        "notation.md",
    ],
    "Use": [
        "report.md",
        "studies.md",
        "catalogue.md",
        "quantizers.md",
        "embedders.md",
        "molecules.md",
        "own-model.md",
        "scaling.md",
    ],
    "Reference": ["commands.md", "api.md", "dependencies.md"],
}


def on_config(config: Any) -> Any:
    """Build the navigation from the pages that are there."""
    root = Path(config["docs_dir"])
    left = {path.relative_to(root).as_posix() for path in root.rglob("*.md")}
    nav: list[dict[str, list[str]]] = []
    for title, patterns in ORDER.items():
        pages: list[str] = []
        for pattern in patterns:
            found = sorted(path.relative_to(root).as_posix() for path in root.glob(pattern))
            pages += [page for page in found if page in left]
            left -= set(found)
        if pages:
            nav.append({title: pages})
    if left:
        nav.append({"More": sorted(left)})
    config["nav"] = nav
    return config


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Put generated tables in the place of ``<!-- catalogue: quantizers -->`` and the like."""
    for kind, table in (("quantizers", quantizers), ("families", families), ("embedders", embedders), ("data", data)):
        mark = f"<!-- catalogue: {kind} -->"
        if mark in markdown:
            markdown = markdown.replace(mark, table())
    return markdown


def quantizers() -> str:
    """Return a table of every registered quantizer."""
    from leaq.quantizers.catalogue import entries

    rows = [(f"`{e.example}`", f"{e.bits:g}", e.levels, e.weights, str(e.needs), e.source) for e in entries()]
    return _table(("quantizer", "bits a code", "levels", "quantizes", "needs", "source"), rows)


def families() -> str:
    """Return a table of the named families of quantizers."""
    from leaq.quantizers.registry import families as found

    return _table(("family", "quantizers"), [(f"`{k}`", ", ".join(f"`{x}`" for x in v)) for k, v in found().items()])


def embedders() -> str:
    """Return a table of every registered embedder."""
    from leaq.embedders import entries

    heads = ("name", "kind", "dimension", "what", "source", "licence", "pretrained on")
    rows = [
        (
            f"`{card.name}`",
            card.family,
            "varies" if card.dimension is None else f"{card.dimension:,}",
            card.what,
            card.source,
            card.licence,
            card.pretrained or "nothing",
        )
        for card in entries()
    ]
    return _table(heads, rows)


def data() -> str:
    """Return a table of the data sets known by name."""
    from leaq.data import entries

    heads = ("name", "task", "records", "what", "source", "licence", "note")
    rows = [
        (
            f"`{entry.name}`",
            entry.task,
            f"{entry.records:,}" if entry.records else "unknown",
            entry.what,
            entry.source,
            entry.licence,
            entry.note,
        )
        for entry in entries()
    ]
    return _table(heads, rows)


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [" | ".join(heads), " | ".join("---" for _ in heads)]
    lines += [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)
