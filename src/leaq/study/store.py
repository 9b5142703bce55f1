"""A run folder: what was asked, what was found, and the chunks an interrupted run goes on from.

    config.json                  what was asked for: one audit, or a study; running it again gives the same numbers
    results.csv                  every number of every finished cell, one a row
    index.json                   the numbers of every cell that tables over cells need, written with results.csv
    cells/CELL.json              one finished audit, shareable: aggregates only
    cells/CELL.timings.json      seconds and memory, apart from the numbers because no two runs share them
    private/CELL.json            findings by row number; gives members away
    chunks/CHUNKS/*.npz          losses of finished chunks of models; gives members away; removed when a cell is done,
                                 unless the run was told to keep them
    failed/NAME.json             a cell that could not be computed, with its traceback
    locks/CELL                   who works on what; empty of results

CELL is the data set's name, a digest of the configuration, and a digest of the configuration, the records and the
numbers of the stages that compute (`leaq.study.stages`), so that a changed file, option or computation is never
answered from an old result. CHUNKS is the same without the stage that measures: a changed measure is computed anew from
the losses that are there, and trains nothing. A single audit is a study of one cell.
Folders have mode 0700, files 0600. Every JSON and NPZ file is checksummed with what it is and whose it is
(`leaq.system.checksummed`): one that is damaged, or another's under its name, is set aside and made again, or refused.
`leaq.study.verifying` checks a whole folder.
"""

import hashlib
import json
import re
import shutil
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from leaq.config import Config
from leaq.decisions.evidence import in_order
from leaq.errors import InvalidInput, LeaqError, StoreError, differing, some, unnested
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult
from leaq.results.redaction import cleaned, cleaned_config
from leaq.study.chunks import ChunkStore
from leaq.study.finished import CHECKSUMMED, Finished
from leaq.study.stages import stages_key
from leaq.system.checksummed import DamagedFile, json_with_checksum, read_json
from leaq.system.files import private_folder, put_aside, read_bytes, refuse_no_run, sweep, write_atomic
from leaq.system.locks import Lock
from leaq.types import Samples

SCHEMA = 2
"""Version of the folder's layout. Without one, the folder was made by the first version, for a single audit; up to 1,
configuration, private parts and chunks have no checksum, and cells a checksum of their fields alone."""
PARTS = ("cells", "private", "chunks", "failed", "locks")


class Store(Finished):
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
        self.schema, self.kind, self.config, self.digest = self._read_config()
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
            kind = "audit" if isinstance(config, AuditConfig) else "study"
            _write_config(path, kind, config.to_dict(), digest=_digest(config.asked()))
        store = cls(folder)
        if not store.asks_for(config):
            raise _other(folder, store.config, config.to_dict())
        for part in PARTS:
            private_folder(folder / part)
        for place in (folder, folder / "failed"):
            sweep(place)
        return store

    @classmethod
    def holds(cls, folder: Path, config: Config) -> bool:
        """Tell whether a folder is the run folder of this configuration; a damaged one is nobody's."""
        try:
            return cls(folder).asks_for(config)
        except LeaqError:
            return False

    def asks_for(self, config: Config) -> bool:
        """Tell whether the folder's configuration is this one, options it was written without being at their default.

        Versions before 0.2 digested every option, and a cleaned folder has no more than its digest.
        """
        if self.digest in (_digest(config.asked()), _digest(config.to_dict())):
            return True
        with suppress(LeaqError):
            return type(config).from_dict(self.config) == config
        return False

    def _read_config(self) -> tuple[int, str, dict[str, Any], str]:
        """Return layout, kind, configuration and its digest, which outlives what `redact` takes out of it."""
        path = self.folder / "config.json"
        refuse_no_run(self.folder)
        try:
            found = dict(json.loads(read_bytes(path)))
            schema = int(found["schema"] if "source" not in found else 0)
        except (KeyError, ValueError, TypeError, RecursionError) as err:
            raise self._damaged_config(err) from None
        if schema > SCHEMA:
            raise StoreError(
                f"{str(self.folder)!r} was made by a newer leaq (layout {schema}; this version reads up to {SCHEMA}). "
                "Upgrade leaq; nothing was changed."
            )
        try:
            if schema >= CHECKSUMMED or "seal" in found:  # a flipped bit must not turn this layout into an earlier one
                found = read_json(path, kind="configuration", key="")
            if schema == 0:
                return schema, "audit", found, _digest(found)
            config = dict(found["config"])
            return schema, str(found["kind"]), config, str(found.get("digest") or _digest(config))
        except (DamagedFile, KeyError, ValueError, TypeError) as err:
            raise self._damaged_config(err) from None

    def _damaged_config(self, err: Exception) -> StoreError:
        reason = "it was changed after it was written" if isinstance(err, DamagedFile) else str(err)
        return StoreError(f"{str(self.folder / 'config.json')!r} is damaged ({reason}). Name another --out folder.")

    def load(self, key: str) -> CellResult | None:
        """Return a finished audit, or None: it counts as unfinished if a file of it is damaged, which is set aside."""
        path = self.cell_path(key)
        if not path.exists():
            return None
        read = path
        try:
            found = self.read(key)
            read = self.folder / "private" / path.name
            if read.exists():  # `leaq clean` may have removed it
                self.read_private(key)
        except DamagedFile:
            self.damaged.append(put_aside(read, ".damaged"))
            if read != path:
                put_aside(path, ".superseded")
            return None
        try:
            read_json(self._timings_path(key), kind="timings", key=key)
        except StoreError as err:
            if isinstance(err, DamagedFile):  # costs no numbers
                put_aside(self._timings_path(key), ".damaged")
        return found

    def save(self, key: str, result: CellResult) -> None:
        """Keep a finished audit; what it takes the place of is set aside."""
        private = json_with_checksum(json.dumps(result.private_json()), kind="private", key=key)
        timings = json_with_checksum(json.dumps(dict(result.timings), sort_keys=True), kind="timings", key=key)
        cell = json_with_checksum(result.to_json(timings=False) + "\n", kind="cell", key=key)
        write_atomic(self.folder / "private" / f"{key}.json", private)
        write_atomic(self._timings_path(key), timings)
        write_atomic(self.cell_path(key), cell)
        for path in self._replaced(key):
            put_aside(path, ".superseded")

    def replaces(self, key: str) -> bool:
        """Whether the same configuration was finished here with other records, files or code."""
        return bool(self._replaced(key))

    def _replaced(self, key: str) -> list[Path]:
        found = (self.folder / "cells").glob(f"{key.rpartition('-')[0]}-*.json")
        return [path for path in found if not path.name.startswith(f"{key}.")]

    def leave(self) -> None:
        """Remove a folder in which nothing was ever kept, so that the next attempt finds its name free."""
        kept = [path for path in self.folder.rglob("*") if path.is_file() and path.parent.name != "locks"]
        if kept == [self.folder / "config.json"]:
            shutil.rmtree(self.folder, ignore_errors=True)

    def forget_chunks(self, key: str, *, keep: bool = False) -> None:
        """Remove the chunks of a cell that is finished: all, or with `keep` those of other records or older code."""
        for path in (self.folder / "chunks").glob(f"{key.rpartition('-')[0]}-*"):
            if not (keep and path.name == key):
                shutil.rmtree(path, ignore_errors=True)

    def lock(self, key: str) -> Lock | None:
        """Return the right to compute a cell, or None while another process holds it.

        What a killed process was writing of that cell is removed: nobody else writes it now.
        """
        lock = Lock.take(self.folder / "locks" / key)
        if lock is not None:
            for part in ("cells", "private"):
                sweep(self.folder / part, key, older_than=0)
        return lock

    def chunks(self, key: str) -> ChunkStore:
        """Return where the chunks of an unfinished audit are kept; `key` is its `chunks_key`, its lock is held."""
        folder = private_folder(self.folder / "chunks" / key)
        sweep(folder, older_than=0)
        return ChunkStore(folder, self.damaged)

    def with_risks(self) -> list[CellResult]:
        """Return every finished audit with the risk of each record, for internal editions.

        Raises
        ------
        StoreError
            If they are gone (`leaq clean` removes them) or damaged; a report without them would look harmless.
        """
        found = in_order(self.read(key).with_private(self.read_private(key)) for key in self.stored())
        return found or self.finished()

    @property
    def cleaned(self) -> bool:
        """Whether the risk of single records is no longer here."""
        return not all((self.folder / "private" / f"{key}.json").is_file() for key in self.stored())

    def read_private(self, key: str) -> dict[str, Any]:
        """Return row numbers and risks of a finished audit; raises `StoreError` if they are gone or damaged."""
        path = self.folder / "private" / f"{key}.json"
        if not path.is_file():
            raise StoreError(
                f"An internal report and --show-records need the risk of every record. {str(path)!r} is not there: the "
                "folder was cleaned, or copied without it. Run the audit into a new folder, or leave the option out."
            )
        if not self.checksummed:
            with suppress(ValueError, TypeError):
                return dict(json.loads(read_bytes(path)))
        return read_json(path, kind="private", key=key)

    def redact(self) -> None:
        """Take folders, columns' names and row numbers out of what may be shared; the same command still goes on here.

        A damaged cell is set aside.
        """
        for key in self.stored():
            if (found := self.load(key)) is not None:
                text = cleaned(found).to_json(timings=False) + "\n"
                write_atomic(self.cell_path(key), json_with_checksum(text, kind="cell", key=key))
        _write_config(self.folder / "config.json", self.kind, cleaned_config(self.config), digest=self.digest)
        (self.folder / "study.toml").unlink(missing_ok=True)
        self.schema, self.kind, self.config, self.digest = self._read_config()
        self.write_table()


def cell_key(config: AuditConfig, name: str, records: str) -> str:
    """Return what a cell is stored under: the data's name, what was asked for, and all that its numbers depend on.

    `records` is the `data_digest` of the records.
    """
    return _key(config, name, records, stages_key())


def chunks_key(config: AuditConfig, name: str, records: str) -> str:
    """Return what a cell's loss tables are stored under: as `cell_key`, but for the code that measures them."""
    # Which attacks a family's name stands for is measuring code; whether one needs the weights decides what is kept.
    more = config.beside_losses
    kept = f"{records} whitebox={more['whitebox']} numbers={more['numbers']}"
    return _key(config, name, kept, stages_key(without=frozenset({"measure"})))


def _key(config: AuditConfig, name: str, records: str, stages: str) -> str:
    text = json.dumps([config.asked(), records, stages], sort_keys=True)
    return f"{plain_name(name)}-{config.digest()}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


def plain_name(name: str) -> str:
    """Return a data set's name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9]+", "_", Path(name).name).strip("_")[:40] or "data"


def data_digest(samples: Samples) -> str:
    """Return a digest of the records as they are trained on, and of which of them a released model has seen."""
    labels = [samples.task, [asdict(task) for task in samples.tasks] if samples.tasks else samples.classes]
    digest = hashlib.sha256(json.dumps(labels).encode())
    if samples.text:
        digest.update(json.dumps(samples.inputs.tolist()).encode())
    inputs = samples.targets if samples.text else samples.inputs  # an array of objects has no bytes of its own
    seen = () if samples.released_on is None else (samples.released_on,)
    for array in (inputs, samples.targets, samples.groups, samples.ids, *seen):
        digest.update(np.ascontiguousarray(array).tobytes())
    if samples.public is not None:
        digest.update(data_digest(samples.public).encode())
    return digest.hexdigest()


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


def _digest(config: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _write_config(path: Path, kind: str, config: dict[str, Any], *, digest: str) -> None:
    plain = {"schema": SCHEMA, "kind": kind, "config": config, "digest": digest}
    text = json.dumps(plain, indent=1, sort_keys=True) + "\n"
    write_atomic(path, json_with_checksum(text, kind="configuration", key=""))


def _other(folder: Path, found: dict[str, Any], asked: dict[str, Any]) -> InvalidInput:
    found, asked = (unnested(json.loads(json.dumps(config))) for config in (found, asked))
    names = differing(found, asked)
    key = names[0] if names else "nothing"
    return InvalidInput(
        f"The run folder {str(folder)!r} holds another configuration: {some(names, 5)} differ "
        f"({key}: {found.get(key)!r} there, {asked.get(key)!r} asked for). Name another --out folder."
    )
