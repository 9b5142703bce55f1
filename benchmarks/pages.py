"""Writing what was measured between the marks of a page."""

from pathlib import Path

__all__ = ["DOCS", "held", "put"]

DOCS = Path(__file__).parents[1] / "docs"


def put(page: Path, name: str, body: str) -> None:
    """Replace what stands between the two marks of `name`; fails where the page has none, and leaves it as it is."""
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before, rest = page.read_text(encoding="utf-8").split(begin)
    _, after = rest.split(end)
    page.write_text(f"{before}{begin}\n\n{body.strip()}\n\n{end}{after}", encoding="utf-8")


def held(page: Path, name: str) -> str:
    """Return what stands between the two marks of `name`."""
    _, rest = page.read_text(encoding="utf-8").split(f"<!-- {name}: begin -->")
    return rest.split(f"<!-- {name}: end -->")[0].strip()
