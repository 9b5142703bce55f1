"""Cells that could not be computed: kept with their traceback, so that the rest of a study goes on."""

import json
import traceback
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from leaq.errors import LeaqError, StoreError, out_of_memory
from leaq.pipeline.cell import AuditConfig
from leaq.system.checksummed import json_with_checksum, read_json
from leaq.system.files import private_folder, remove, write_atomic


@dataclass(frozen=True)
class Failure:
    """One cell that failed: which, and why."""

    cell: str
    error: str
    message: str
    traceback: str
    config: dict[str, Any]

    @property
    def reason(self) -> str:
        """One line."""
        return f"{self.error}: {self.message}" if self.message else self.error


def by_reason(failures: Iterable[Failure]) -> dict[str, list[str]]:
    """Return the cells that failed by reason, so that a reason many cells share is read once."""
    found: dict[str, list[str]] = {}
    for one in failures:
        found.setdefault(one.reason, []).append(one.cell)
    return found


class Failures:
    """The failures of one run folder, one file a cell, named by the cell's configuration."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def of(self, config: AuditConfig) -> Failure | None:
        """Return how a cell failed, or None."""
        path = self._path(config)
        return _read(path) if path.exists() else None

    def record(self, config: AuditConfig, cell: str, err: BaseException) -> Failure:
        """Keep how a cell failed."""
        trace = "".join(traceback.format_exception(err))
        failure = Failure(cell, type(err).__name__, _message(err), trace, config.to_dict())
        private_folder(self._folder)
        text = json.dumps({"schema": 1, **vars(failure)}, indent=1) + "\n"
        write_atomic(self._path(config), json_with_checksum(text, kind="failure", key=config.digest()))
        return failure

    def forget(self, config: AuditConfig) -> None:
        """Remove the record of a cell that has succeeded since, or is tried again."""
        remove(self._path(config))

    def __iter__(self) -> Iterator[Failure]:
        for path in sorted(self._folder.glob("*.json")):
            failure = _read(path)
            if failure is not None:
                yield failure

    def _path(self, config: AuditConfig) -> Path:
        return self._folder / f"{config.digest()}.json"


def _message(err: BaseException) -> str:
    if out_of_memory(err):
        return (
            "the cell ran out of memory. Give each task fewer models (training.chunk), fewer checkpoints or fewer "
            "records, or run fewer workers"
        )
    return " ".join([str(err), *getattr(err, "__notes__", ())]) if isinstance(err, LeaqError) else str(err)


def _read(path: Path) -> Failure | None:
    try:
        plain = read_json(path, kind="failure", key=path.stem)
        return Failure(**{name: plain[name] for name in Failure.__dataclass_fields__})
    except (StoreError, KeyError):
        return None  # a damaged record of a failure: the cell counts as never tried
