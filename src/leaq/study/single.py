"""One audit in a run folder: resumed if it was interrupted, read if it is finished."""

from pathlib import Path

from leaq.cell import AuditConfig
from leaq.pipeline import audit_samples, prepare
from leaq.results import CellResult
from leaq.study.store import Store, cell_key
from leaq.types import Progress, Samples, silent

__all__ = ["audit_into", "audit_samples_into"]


def audit_into(config: AuditConfig, folder: str | Path, *, progress: Progress = silent) -> CellResult:
    """Run an audit whose finished parts are kept in `folder`; the same call again goes on, or reads the result.

    Raises
    ------
    InvalidInput
        If the folder belongs to another configuration.
    StoreError
        If it cannot be written to, or the disk is full; what was finished stays.

    Examples
    --------
    >>> import tempfile
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> config = AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=quick)
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> first, again = audit_into(config, folder), audit_into(config, folder)
    >>> first.to_json() == again.to_json()
    True
    """
    samples, resolved = prepare(config, progress=progress)
    return audit_samples_into(samples, resolved, folder, progress=progress)


def audit_samples_into(
    samples: Samples, resolved: AuditConfig, folder: str | Path, *, progress: Progress = silent
) -> CellResult:
    """Run the audit of embedded records in a run folder: the second half of `audit_into`."""
    store = Store.open(Path(folder), resolved)
    key = cell_key(resolved, samples)
    found = store.load(key)
    if found is not None:
        return found
    result = audit_samples(samples, resolved, shelf=store.shelf(key), progress=progress)
    store.save(key, result)
    return result
