"""The verbs behind `leaq.run` and `leaq.report`: one call each, nothing computed here."""

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from leaq.results import CellResult
from leaq.study import Rules, Store, Study, run_study

if TYPE_CHECKING:
    from leaq.reporting.html import Edition
    from leaq.study.engines import Engine

__all__ = ["report", "run"]


def run(
    study: Study,
    folder: str | Path,
    *,
    engine: "str | Engine" = "local",
    workers: int | None = None,
    retry_failed: bool = False,
    allow_missing: bool = False,
) -> Store:
    """Compute every cell of a study that is not finished yet, and return the folder with all numbers.

    The same call again computes nothing twice and goes on where it was interrupted. Cells that failed do not stop the
    others; a warning names the first, and `retry_failed` tries them again.

    Parameters
    ----------
    engine, workers : where tasks run and how many at a time; the numbers are the same.
    allow_missing : go on without data sets that are not to be had; otherwise all of them are named before the start.

    Examples
    --------
    >>> import tempfile
    >>> quick = {"hidden": (8,), "epochs": 2, "checkpoints": 4}
    >>> study = Study(data=("wine",), heads=(quick,), quantizers=("sign",), audit={"replicates": 4})
    >>> store = run(study, Path(tempfile.mkdtemp()) / "wine")
    >>> store.count(), "quantizer" in store.frame()
    (1, True)
    """
    rules = Rules(retry_failed=retry_failed, allow_missing=allow_missing)
    outcome = run_study(study, folder, engine=engine, workers=workers, rules=rules)
    if outcome.failures:
        warnings.warn(outcome.describe(), stacklevel=2)
    return Store(outcome.folder)


def report(
    results: Store | CellResult | Sequence[CellResult], path: str | Path, *, edition: "Edition" = "shareable"
) -> Path:
    """Write one self-contained HTML page about an audit, several, or a whole study.

    Parameters
    ----------
    results : what `leaq.run` or `leaq.audit` returned.
    edition : "shareable" holds aggregates only; "internal" names records by row number and is not to be shared.

    Examples
    --------
    ``leaq.report(leaq.audit("breast_cancer"), "breast_cancer.html")``
    """
    from leaq.reporting.html import write_report

    if isinstance(results, Store):
        results = results.with_risks() if edition == "internal" else results.finished()
    return write_report(results, path, edition)
