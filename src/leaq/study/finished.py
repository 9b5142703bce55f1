"""Finished cells read together: whole, summed up, or as one table."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leaq.decisions import evidence
from leaq.decisions.evidence import in_order
from leaq.errors import StoreError
from leaq.results import CellResult
from leaq.results.tidy import NUMERIC, as_csv, tidy
from leaq.study.index import Index
from leaq.system.environment import without_collecting
from leaq.system.files import sweep, write_atomic
from leaq.system.locks import Lock

if TYPE_CHECKING:
    import pandas as pd

INDEX = "index.json"
"""What is summed up of every cell; written with results.csv."""


class Finished:
    """The half of a `Store` that reads finished cells together; the other half says where each one is."""

    folder: Path

    def stored(self) -> list[str]:
        """Return what the finished audits are stored under, in order."""
        raise NotImplementedError

    def read(self, key: str) -> CellResult:
        """Return a finished audit."""
        raise NotImplementedError

    def cell_path(self, key: str) -> Path:
        """Return the file of a finished audit."""
        raise NotImplementedError

    def finished(self) -> list[CellResult]:
        """Return every finished audit by data set, embedder, head and seed; `StoreError` if none, or one is damaged."""
        found = in_order(self.results())
        if not found:
            raise StoreError(f"{str(self.folder)!r} holds no finished audit yet. Run its command again to go on.")
        return found

    def results(self) -> Iterator[CellResult]:
        """Yield every finished audit, in the order of keys; raises `StoreError` at a damaged file."""
        for key in self.stored():
            yield self.read(key)

    def keyed(self) -> Iterator[tuple[str, CellResult]]:
        """Yield the key and the result of every finished audit."""
        for key in self.stored():
            yield key, self.read(key)

    def count(self) -> int:
        """Return how many audits are finished, without reading them."""
        return len(self.stored())

    def reported(self) -> list[CellResult]:
        """Return what a page about the study is made of: summaries, and whole the cells that it lists one by one."""
        if self.count() <= evidence.LISTED:
            return self.finished()
        with without_collecting():
            brief = dict(self._brief())
        keys = {id(found): key for key, found in brief.items()}
        found = in_order(brief.values())
        whole = {id(one): self.read(keys[id(one)]) for one in evidence.listed(found)}
        return [whole.get(id(one), one) for one in found]

    def ordered(self) -> Iterator[str]:
        """Yield the key of every finished audit in the order of `finished`: thousands need not fit into memory."""
        with without_collecting():
            brief = dict(self._brief())
        keys = {id(found): key for key, found in brief.items()}
        if not keys:
            self.finished()
        for found in in_order(brief.values()):
            yield keys[id(found)]

    def _brief(self) -> Iterator[tuple[str, CellResult]]:
        """Yield every finished audit from the index, or from its own file where the index does not know it."""
        index = Index.read(self.folder / INDEX)
        for key in self.stored():
            yield key, index.get(key, self.cell_path(key)) or self.read(key)

    def summaries(self) -> list[CellResult]:
        """Return what `finished` does without curves and indicators, from one file where a run has written it."""
        with without_collecting():
            found = in_order(found for _, found in self._brief())
        return found or self.finished()

    def frame(self) -> "pd.DataFrame":
        """Return every number of every finished cell, one a row: what results.csv holds."""
        import pandas as pd

        reading: dict[str, Any] = {"keep_default_na": False, "na_values": {name: [""] for name in NUMERIC}}
        path = self.folder / "results.csv"
        if path.is_file() and (stated := self._stated()):
            with suppress(OSError), path.open("rb") as file:  # one handle: what is hashed is what is parsed
                if hashlib.file_digest(file, "sha256").hexdigest() == stated:
                    file.seek(0)
                    return pd.read_csv(file, **reading)  # type: ignore[no-any-return]
        return pd.read_csv(StringIO(self.table()), **reading)  # type: ignore[no-any-return]

    def _stated(self) -> str:
        """Return the checksum of the results.csv that holds exactly the cells that are stored now; empty if none."""
        index = Index.read(self.folder / INDEX)
        return index.table if index.covers({key: self.cell_path(key) for key in self.stored()}) else ""

    def table(self, index: Index | None = None) -> str:
        """Return what results.csv must hold, and take each cell up in `index`; the same cells give the same bytes."""

        def read() -> Iterator[CellResult]:
            for key, found in self.keyed():
                if index is not None:
                    index.add(key, found, self.cell_path(key))
                yield found

        return as_csv(tidy(read()))

    def write_table(self) -> Path:
        """Write results.csv anew from the finished cells, and the index of what is summed up."""
        path, index = self.folder / "results.csv", Index()
        with Lock.wait(self.folder / "locks" / path.name):  # whoever comes last has seen every cell
            for name in (path.name, INDEX):
                sweep(self.folder, name, older_than=0)
            content = self.table(index).encode()
            index.table = hashlib.sha256(content).hexdigest()
            write_atomic(path, content)
            write_atomic(self.folder / INDEX, index.content())
        return path
