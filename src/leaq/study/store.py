"""A run folder: what was asked, what was found, and the chunks an interrupted run goes on from.

    config.json                  what was asked for: one audit, or a study; running it again gives the same numbers
    results.csv                  every number of every finished cell, one a row
    cells/CELL.json              one finished audit, shareable: aggregates only, checksummed
    cells/CELL.timings.json      seconds and memory, apart from the numbers because no two runs share them
    private/CELL.json            findings by row number; gives members away
    chunks/CHUNKS/*.npz          losses of finished chunks of models; gives members away; removed when a cell is done,
                                 unless the run was told to keep them
    failed/NAME.json             a cell that could not be computed, with its traceback
    locks/CELL                   who works on what; empty of results

CELL is the data set's name, a digest of the configuration, and a digest of the configuration, the records and the
code that computes numbers, so that a changed file, option or version is never answered from an old result. CHUNKS is
the same with only the code that makes loss tables (data, embedding, training, quantizing, evaluating): a changed
measure is computed anew from the losses that are there, and trains nothing. A single audit is a study of one cell.
Folders have mode 0700, files 0600.
"""

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaq.cell import AuditConfig
from leaq.config import Config
from leaq.errors import InvalidInput, StoreError
from leaq.files import private_folder, read_bytes, write_atomic
from leaq.results import CellResult
from leaq.study.evidence import in_order
from leaq.study.locks import Claim
from leaq.study.rows import COLUMNS, as_csv, tidy
from leaq.study.sealed import DamagedFile, seal, unseal
from leaq.study.shelf import DiskShelf
from leaq.types import Samples

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "MEASURING",
    "SCHEMA",
    "UNCOUNTED",
    "Store",
    "cell_key",
    "chunks_key",
    "code_digest",
    "data_digest",
    "plain_name",
]

MEASURING = frozenset({"attacks", "measures", "measuring.py", "stats"})
"""Rooms whose code changes what is measured, and no loss it is measured from."""
UNCOUNTED = frozenset(
    {"attacking.py", "auditing", "candidates", "checkup.py", "cli", "costing.py", "exposure.py", "reporting", "study"}
    | {"verbs.py", "yardstick.py", "__init__.py"}
)
"""Rooms whose code changes no number of a cell; the test of the floors' imports holds both lists to it."""


SCHEMA = 1
"""Version of the folder's layout. A folder without one was made by the first version, for a single audit."""
PARTS = ("cells", "private", "chunks", "failed", "locks")


class Store:
    """One run folder.

    Examples
    --------
    >>> import tempfile
    >>> store = Store.open(Path(tempfile.mkdtemp()) / "run", AuditConfig(source="wine"))
    >>> store.config["source"], store.kind, list(store.results())
    ('wine', 'audit', [])
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.kind, self.config = self._read_config()
        self.damaged: list[Path] = []
        """Files found damaged and set aside, newest last."""

    @classmethod
    def open(cls, folder: Path, config: Config) -> "Store":
        """Create the run folder of `config`, or enter it again.

        Raises
        ------
        InvalidInput
            If the folder holds another configuration or anything else; nothing in it is changed.
        StoreError
            If it cannot be written to.
        """
        path = folder / "config.json"
        if not path.exists():
            _refuse_foreign(folder)
            private_folder(folder)
            plain = {"schema": SCHEMA, "kind": _kind(config), "config": config.to_dict()}
            write_atomic(path, json.dumps(plain, indent=1, sort_keys=True) + "\n")
        store = cls(folder)
        _refuse_other(folder, store.config, config.to_dict())
        for part in PARTS:
            private_folder(folder / part)
        return store

    def _read_config(self) -> tuple[str, dict[str, Any]]:
        path = self.folder / "config.json"
        if not path.is_file():
            raise InvalidInput(f"{str(self.folder)!r} is no run folder: it has no config.json. Name an --out folder.")
        try:
            found: dict[str, Any] = json.loads(read_bytes(path))
        except ValueError as err:
            raise StoreError(f"{str(path)!r} is damaged ({err}). Name another --out folder.") from None
        schema = found.get("schema", 0)
        if schema == 0:
            return "audit", found
        if schema > SCHEMA:
            raise StoreError(
                f"{str(self.folder)!r} was made by a newer leaq (layout {schema}; this version reads up to {SCHEMA}). "
                "Upgrade leaq; nothing was changed."
            )
        return str(found["kind"]), dict(found["config"])

    def load(self, key: str) -> CellResult | None:
        """Return a finished audit, or None; a damaged file is set aside, remembered, and counts as unfinished."""
        path = self._cell(key)
        if not path.exists():
            return None
        try:
            return self._whole(path)
        except DamagedFile:
            aside = path.with_suffix(".damaged")
            path.replace(aside)
            self.damaged.append(aside)
            return None

    def save(self, key: str, result: CellResult) -> None:
        """Keep a finished audit; what it takes the place of is set aside."""
        write_atomic(self.folder / "private" / f"{key}.json", json.dumps(result.private_json()))
        write_atomic(self._cell(key).with_suffix(".timings.json"), json.dumps(dict(result.timings), sort_keys=True))
        write_atomic(self._cell(key), seal(result.to_json(timings=False)))
        self._supersede(key)

    def forget_chunks(self, key: str, *, keep: bool = False) -> None:
        """Remove the chunks of a cell that is finished: all, or with `keep` those of other records or older code."""
        for path in (self.folder / "chunks").glob(f"{key.rpartition('-')[0]}-*"):
            if not (keep and path.name == key):
                shutil.rmtree(path, ignore_errors=True)

    def _supersede(self, key: str) -> None:
        """Set aside what the same configuration gave with other records or other code."""
        for path in (self.folder / "cells").glob(f"{key.rpartition('-')[0]}-*.json"):
            if not path.name.startswith(f"{key}."):
                path.replace(path.with_suffix(".superseded"))

    def claim(self, key: str) -> Claim | None:
        """Return the right to compute a cell, or None while another process holds it."""
        return Claim.take(self.folder / "locks" / key)

    def shelf(self, key: str) -> DiskShelf:
        """Return where the chunks of an unfinished audit are kept; `key` is its `chunks_key`."""
        return DiskShelf(private_folder(self.folder / "chunks" / key))

    def finished(self) -> list[CellResult]:
        """Return every finished audit by data set, embedder, head and seed; `StoreError` if none, or one is damaged."""
        found = in_order(self.results())
        if not found:
            raise StoreError(f"{str(self.folder)!r} holds no finished audit yet. Run its command again to go on.")
        return found

    def with_risks(self) -> list[CellResult]:
        """Return every finished audit with the risk of each record, for internal editions.

        Raises
        ------
        StoreError
            If they are gone (`leaq clean` removes them) or damaged; a report without them would look harmless.
        """
        found = in_order(self._whole(path).with_private(self._private(path)) for path in self._cells())
        return found or self.finished()

    @property
    def cleaned(self) -> bool:
        """Whether the risk of single records is no longer here."""
        return not all((self.folder / "private" / cell.name).is_file() for cell in self._cells())

    def _private(self, cell: Path) -> dict[str, Any]:
        path = self.folder / "private" / cell.name
        if not path.is_file():
            raise StoreError(
                f"An internal report needs the risk of every record. {str(path)!r} is not there: the folder was "
                "cleaned, or copied without it. Run the audit again into a new folder, or leave --internal out."
            )
        try:
            return dict(json.loads(read_bytes(path)))
        except (ValueError, TypeError) as err:
            raise StoreError(
                f"{str(path)!r} is damaged ({err}). Run the audit again into a new folder, or leave --internal out."
            ) from None

    def results(self) -> Iterator[CellResult]:
        """Yield every finished audit, in the order of file names; raises `StoreError` at a damaged file."""
        for path in self._cells():
            yield self._whole(path)

    def keyed(self) -> Iterator[tuple[str, CellResult]]:
        """Yield the key and the result of every finished audit."""
        for path in self._cells():
            yield path.stem, self._whole(path)

    def count(self) -> int:
        """Return how many audits are finished, without reading them."""
        return len(self._cells())

    def frame(self) -> "pd.DataFrame":
        """Return every number of every finished cell, one a row: what results.csv holds."""
        import pandas as pd

        return pd.DataFrame(list(tidy(self.results())), columns=COLUMNS)

    def write_table(self) -> Path:
        """Write results.csv anew from the finished cells; the same cells give the same bytes."""
        path = self.folder / "results.csv"
        write_atomic(path, as_csv(tidy(self.results())))
        return path

    def _cells(self) -> list[Path]:
        found = sorted((self.folder / "cells").glob("*.json"))
        return [path for path in found if not path.name.endswith(".timings.json")]

    def _cell(self, key: str) -> Path:
        return self.folder / "cells" / f"{key}.json"

    def _whole(self, path: Path) -> CellResult:
        """Read one cell with its timings, checking that not a byte is missing or changed."""
        plain = unseal(path)
        timings = path.with_suffix(".timings.json")
        try:
            plain["timings"] = json.loads(read_bytes(timings)) if timings.exists() else {}
        except ValueError:
            plain["timings"] = {}  # seconds are a courtesy; the numbers are whole
        return CellResult.from_plain(plain)


def cell_key(config: AuditConfig, name: str, records: str) -> str:
    """Return what a cell is stored under: the data's name, what was asked for, and all that its numbers depend on.

    `records` is the `data_digest` of the records.
    """
    return _key(config, name, records, code_digest())


def chunks_key(config: AuditConfig, name: str, records: str) -> str:
    """Return what a cell's loss tables are stored under: as `cell_key`, but for the code that measures them."""
    # Which attacks a family's name stands for is measuring code; whether one needs the weights decides what is kept.
    return _key(
        config, name, f"{records} whitebox={config.whitebox} numbers={config.numbers}", code_digest(without=MEASURING)
    )


def _key(config: AuditConfig, name: str, records: str, code: str) -> str:
    text = json.dumps([config.to_dict(), records, code], sort_keys=True)
    return f"{plain_name(name)}-{config.digest()}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def plain_name(name: str) -> str:
    """Return a data set's name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", Path(name).name).strip("_")[:40] or "data"


def data_digest(samples: Samples) -> str:
    """Return a digest of the records as they are trained on."""
    digest = hashlib.sha256(json.dumps([samples.task, samples.classes]).encode())
    for array in (samples.inputs, samples.targets, samples.groups, samples.ids):
        digest.update(np.ascontiguousarray(array).tobytes())
    if samples.public is not None:
        digest.update(data_digest(samples.public).encode())
    return digest.hexdigest()


@cache
def code_digest(root: Path = Path(__file__).parents[1], *, without: frozenset[str] = frozenset()) -> str:
    """Return a digest of the installed code that computes numbers, some of its rooms left out."""
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        part = path.relative_to(root)
        if part.parts[0] not in UNCOUNTED | without:
            digest.update(part.as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _kind(config: Config) -> str:
    return "audit" if isinstance(config, AuditConfig) else "study"


def _refuse_foreign(folder: Path) -> None:
    """Refuse a folder with anything in it but what a killed or a simultaneous start of leaq leaves behind."""
    if not folder.exists():
        return
    if folder.is_dir():
        others = [item for item in folder.iterdir() if not item.name.startswith(".config.json-")]
        if not others or (folder / "config.json").exists():
            return
    raise InvalidInput(
        f"The run folder {str(folder)!r} must be new, empty, or one that leaq made. It holds other things. "
        "Name another --out folder."
    )


def _refuse_other(folder: Path, found: dict[str, Any], asked: dict[str, Any]) -> None:
    found, asked = json.loads(json.dumps(found)), json.loads(json.dumps(asked))
    differing = sorted(key for key in found.keys() | asked.keys() if found.get(key) != asked.get(key))
    if differing:
        key = differing[0]
        raise InvalidInput(
            f"The run folder {str(folder)!r} holds another configuration: {', '.join(differing)} differ "
            f"({key}: {found.get(key)!r} there, {asked.get(key)!r} asked for). Name another --out folder."
        )
