"""Results as files for other programs: JSON (everything) and CSV (the tidy table)."""

from collections.abc import Sequence
from pathlib import Path

from leaq.errors import InvalidInput
from leaq.results import CellResult
from leaq.results.redaction import shareable
from leaq.results.tidy import as_csv, tidy
from leaq.system.files import places_beside, write_atomic

EXPORTS = {".json": '"comparison"', ".csv": "data,task,embedder,"}
"""What tells an earlier export from another file of that name, which is not replaced: a table beside its report."""


def write_exports(
    results: CellResult | Sequence[CellResult], stem: str | Path, *, internal: bool = False
) -> tuple[Path, Path]:
    """Write ``STEM.json`` and ``STEM.csv`` and return both paths.

    Parameters
    ----------
    stem : path without ending; of a report's path, the ending is taken off.
    internal : keep per-record risks and row numbers in the JSON file. The CSV file never holds them.

    Notes
    -----
    The JSON file of one result is what `CellResult.from_json` reads; of several, a list of those.
    """
    cells = [results] if isinstance(results, CellResult) else list(results)
    if not cells:
        raise InvalidInput("An export needs at least one result. Found none. Run an audit first.")
    kept = cells if internal else [shareable(cell) for cell in cells]
    texts = [cell.to_json(private=internal) for cell in kept]
    text = texts[0] if isinstance(results, CellResult) else "[\n" + ",\n".join(texts) + "\n]"
    whole, table = places_beside(stem, EXPORTS)
    # What names single records is for its owner alone.
    write_atomic(whole, text + "\n", mode=0o600 if internal else 0o644)
    write_atomic(table, as_csv(tidy(kept)), mode=0o644)
    return whole, table
