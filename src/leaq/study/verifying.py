"""Whether a run folder is to the byte what leaq wrote: every file with its checksum, the table with its cells."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from leaq.errors import LeaqError
from leaq.study.chunks import ChunkStore
from leaq.study.finished import INDEX
from leaq.study.grid import Study
from leaq.study.store import Store
from leaq.system.checksummed import DamagedFile, read_json
from leaq.system.files import read_bytes


@dataclass(frozen=True)
class Damage:
    """One file that is not what was written, and what is wrong with it."""

    file: str
    reason: str


@dataclass(frozen=True)
class Verified:
    """What was found in a run folder.

    Attributes
    ----------
    checked : files that were looked at.
    damaged : those that are not what was written.
    notes : what could not be checked, and what is not there, one sentence each.
    """

    checked: int
    damaged: tuple[Damage, ...]
    notes: tuple[str, ...]

    @property
    def whole(self) -> bool:
        """Nothing is damaged."""
        return not self.damaged


def verify(folder: str | Path) -> Verified:
    """Check every file of a run folder; nothing is changed, and nothing is locked.

    A checksum finds accidents: a bad disk, a half copy, a file restored from an older backup or mixed up with another.
    It finds no forger, who can compute it again.

    Raises
    ------
    InvalidInput
        If it is no run folder.
    StoreError
        If its configuration is damaged, so that nothing else can be told.
    """
    store = Store(folder)
    found = [(path.relative_to(store.folder).as_posix(), check) for path, check in _checks(store)]
    damaged = []
    for name, check in found:
        try:
            check()
        except LeaqError as err:
            damaged.append(Damage(name, str(err)))
    return Verified(1 + len(found), tuple(damaged), tuple(_notes(store)))


def _checks(store: Store) -> Iterator[tuple[Path, Callable[[], object]]]:
    """Yield every file, and what raises if it is damaged; config.json was read when the store was opened."""
    for key in store.stored():
        yield store.folder / "cells" / f"{key}.json", partial(store.read, key)
        timings = store.folder / "cells" / f"{key}.timings.json"
        if timings.exists() and store.checksummed:
            yield timings, partial(read_json, timings, kind="timings", key=key)
        private = store.folder / "private" / f"{key}.json"
        if private.exists():
            yield private, partial(store.read_private, key)
    for path in sorted((store.folder / "failed").glob("*.json")):
        yield path, partial(read_json, path, kind="failure", key=path.stem)
    for path in sorted((store.folder / "chunks").glob("*/*.npz")):
        yield path, partial(ChunkStore(path.parent).check, path.stem)
    if (store.folder / INDEX).exists():
        yield store.folder / INDEX, partial(read_json, store.folder / INDEX, kind="index", key="")
    # Before files had checksums tables had other columns: they say nothing that the cells do not.
    derived: dict[str, Callable[[], str]] = {
        "results.csv": store.table,
        "study.toml": lambda: Study.from_dict(store.config).to_toml(),
    }
    for name, expected in derived.items() if store.checksummed else ():
        path = store.folder / name
        if path.exists():
            yield path, partial(_equal, path, expected)


def _equal(path: Path, expected: Callable[[], str]) -> None:
    if read_bytes(path) != expected().encode():
        raise DamagedFile(
            f"{str(path)!r} is not what the rest of the folder says. Run the same command again to make it anew."
        )


def _notes(store: Store) -> Iterator[str]:
    if not store.checksummed:
        yield (
            "The folder was made before its files had checksums: of cells the content is checked, of chunks and tables "
            "nothing."
        )
    if store.cleaned:
        yield "The risks of single records are not there: the folder was cleaned, or copied without them."
    aside = [path for path in store.folder.rglob("*") if path.suffix in (".damaged", ".superseded")]
    if aside:
        yield f"{len(aside)} files were set aside earlier (damaged or superseded); nothing reads them."
    halves = [path for path in store.folder.rglob(".*") if path.is_file()]
    if halves:
        yield f"{len(halves)} files were being written when a process ended; the next run removes them."
