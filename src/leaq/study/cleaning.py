"""What in a run folder can give members away, and how to get rid of it."""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from leaq.errors import InvalidInput, StoreError
from leaq.study.store import Store
from leaq.system.files import private_folder
from leaq.system.locks import Lock


@dataclass(frozen=True)
class Holding:
    """One kind of thing in a run folder: where, what, whether it may be shared, and how much there is."""

    place: str
    what: str
    shareable: bool
    files: int
    bytes: int


@dataclass(frozen=True)
class Removed:
    """What `clean` took away; `links` of the files were links, whose targets it left alone."""

    files: int
    bytes: int
    links: int = 0


EXPOSED = "exposed.html"
"""Page of a run folder that draws the molecules most exposed, where it was asked for."""

# place -> (what it is, may it be shared); nothing else is made by leaq
_PLACES = {
    "config.json": ("what was asked for; names data files, folders and columns until cleaned", True),
    "study.toml": ("the same as a study file: names data files, folders and columns", False),
    "results.csv": ("every number of every finished cell; aggregates over records", True),
    "index.json": ("the numbers that tables over cells need; aggregates over records", True),
    "cells": ("finished cells; aggregates, versions, seconds; name folders and columns until cleaned", True),
    "private": ("row numbers, and each record's risk: names likely members", False),
    "chunks": ("losses and outputs of every record under every model: an attacker's input", False),
    "failed": ("tracebacks of failed cells: can quote paths and values", False),
    EXPOSED: ("training molecules, drawn, and how exposed each is", False),
    "locks": ("which cells were worked on; empty files", False),
}


def holdings(folder: str | Path) -> list[Holding]:
    """Return what a run folder holds, sensitive things last."""
    store = Store(Path(folder).resolve())
    asides = set(_asides(store.folder))
    strangers = [top for top in store.folder.iterdir() if top.name not in _PLACES]

    def plain(tops: Iterable[Path]) -> tuple[int, int]:
        return _sized(path for top in tops for path in _inside(top) if path not in asides)

    found = [Holding(place, *known, *plain([store.folder / place])) for place, known in _PLACES.items()]
    found.append(Holding("set aside", "damaged and superseded files, leftovers of killed runs", False, *_sized(asides)))
    found.append(Holding("other", "files leaq did not make; clean leaves them alone", False, *plain(strangers)))
    return sorted((one for one in found if one.files), key=lambda one: not one.shareable)


def clean(folder: str | Path, *, dry_run: bool = False) -> Removed:
    """Remove what can give members away; configuration, cells and the table stay, without folders and columns' names.

    An unfinished run then starts its unfinished cells anew. Files that leaq did not make are left alone, and so is
    everything outside the folder: a link is removed, never followed.

    Raises
    ------
    InvalidInput
        If it is no run folder, or a process works in it.
    """
    store = Store(Path(folder).resolve())
    sensitive = [store.folder / place for place, (_, shareable) in _PLACES.items() if not shareable]
    gone = list(dict.fromkeys([path for place in sensitive for path in _inside(place)] + list(_asides(store.folder))))
    removed = Removed(*_sized(gone), links=sum(path.is_symlink() for path in gone))
    if dry_run:
        return removed
    if (store.folder / "cells").is_symlink():
        raise InvalidInput(
            f"{str(store.folder / 'cells')!r} must be a folder. It is a link, and what it points to is not changed. "
            "Clean the run folder it belongs to."
        )
    _refuse_busy(store.folder)
    try:
        _remove(gone, sensitive)
        private_folder(store.folder / "locks")
        store.redact()
        _remove([*_asides(store.folder)], sensitive)  # a damaged cell, the lock of the table
    except OSError as err:
        raise StoreError(f"{str(store.folder)!r} cannot be cleaned ({err.strerror}). Check who owns it.") from None
    return removed


def _remove(files: Iterable[Path], folders: Iterable[Path]) -> None:
    for path in files:
        path.unlink(missing_ok=True)
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def _inside(path: Path) -> Iterator[Path]:
    """Yield the file, or what lies below the folder, without its folders; a link is one thing, wherever it leads."""
    if path.is_symlink() or not path.is_dir():
        if os.path.lexists(path):
            yield path
        return
    for parent, folders, files in os.walk(path, followlinks=False):
        yield from (Path(parent, name) for name in files)
        yield from (Path(parent, name) for name in folders if Path(parent, name).is_symlink())


def _asides(folder: Path) -> Iterator[Path]:
    """Set-aside cells, and the temporary files a kill leaves: both hold what finished files hold, unchecked."""
    for path in _inside(folder):
        if path.suffix in (".damaged", ".superseded") or path.name.startswith("."):
            yield path


def _sized(paths: Iterable[Path]) -> tuple[int, int]:
    sizes = [path.lstat().st_size for path in paths]
    return len(sizes), sum(sizes)


def _refuse_busy(folder: Path) -> None:
    for path in sorted(_inside(folder / "locks")):
        if path.is_symlink() or not path.is_file():
            continue  # no lock of leaq's
        lock = Lock.take(path)
        if lock is None:
            raise InvalidInput(
                f"{str(folder)!r} must not be in use while it is cleaned. A process works on {path.name}. "
                "Stop it, or wait."
            )
        lock.release()
