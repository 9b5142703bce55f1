"""What a study is going to do, said before it starts, and how long the rest will take, once a cell was measured.

Whether the data sets and weights it names are there is asked before anything is computed.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from leaq.data import entries
from leaq.data import locate as locate_data
from leaq.data.sources import HEADED
from leaq.embedders import locate as locate_embedder
from leaq.errors import InvalidInput, LeaqError, counted
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.files import places_of
from leaq.system.files import refuse_missing
from leaq.types import Progress, silent

FINISHED = 1000
"""About how many records a finished model is audited on."""


@dataclass(frozen=True)
class Plan:
    """Counts of a grid; nothing is loaded to get them.

    Attributes
    ----------
    cells, finished, failed : cells of the grid, those already in the run folder, those that failed earlier.
    shared : distinct pairs of data set and embedder; each is read and embedded once a run.
    trainings : models trained over the whole grid; all quantizers and attacks use the same ones.
    quantizers : quantizers measured in each cell, full precision among them.
    slots : tasks at a time.
    """

    cells: int
    finished: int
    failed: int
    shared: int
    trainings: int
    quantizers: int
    slots: int

    def describe(self) -> str:
        """Return one paragraph."""
        text = (
            f"{counted(self.cells, 'cell')} ({counted(self.shared, 'pair')} of data set and embedder), "
            f"{self.trainings:,} models to train in all; each serves {counted(self.quantizers, 'quantizer')} and every "
            f"attack. {counted(self.slots, 'task')} at a time."
        )
        if self.finished:
            text += f" {counted(self.finished, 'cell', 'are')} finished already."
        if self.failed:
            text += f" {self.failed} failed earlier."
        return text


def plan(cells: Sequence[AuditConfig], *, finished: int, failed: int, slots: int) -> Plan:
    """Count what a grid asks for."""
    shared = {(cell.source, cell.embedder) for cell in cells}
    return Plan(
        cells=len(cells),
        finished=finished,
        failed=failed,
        shared=len(shared),
        trainings=sum(cell.models for cell in cells if not cell.finished),
        quantizers=1 + max(len(cell.quantizers) for cell in cells),
        slots=slots,
    )


def effort(config: AuditConfig, records: int) -> float:
    """Return how much work a cell is, in units that only compare: models times epochs times records times weights."""
    if config.finished:  # nothing is trained: each quantizer's neighbours run over the records
        path = Path(config.source)
        weights = path.stat().st_size // 4 if path.is_file() else FINISHED
        return float((1 + len(config.quantizers)) * config.neighbours * max(records, 1) * weights)
    widths = (256, *config.training.hidden, 1)
    weights = sum(a * b for a, b in pairwise(widths))
    return float(config.models * config.training.epochs * max(records, 1) * weights)


def records_of(config: AuditConfig) -> int:
    """Return about how many records a source has, without reading it: from the catalogue, or a file's lines."""
    known = {entry.name: int(getattr(entry, "records", 0)) for entry in entries()}
    if config.source in known:
        return known[config.source]
    path = Path(config.members if config.finished else config.source)
    if config.finished and path.suffix.lower() not in HEADED:
        return FINISHED
    if not path.is_file() or path.stat().st_size > 2**28:
        return 1000
    with path.open("rb") as file:
        return max(1, sum(block.count(b"\n") for block in iter(lambda: file.read(2**20), b"")))


def missing(cells: Sequence[AuditConfig], *, progress: Progress = silent) -> dict[str, str]:
    """Return why each data set or embedder of a grid is not to be had; known ones are downloaded where they can be."""
    trained = [cell for cell in cells if not cell.finished]
    files = {place for cell in cells if cell.finished for place in places_of(cell)}
    found = _unavailable(files, lambda name: refuse_missing(Path(name)))
    found |= _unavailable({cell.source for cell in trained}, lambda name: locate_data(name, progress=progress))
    return found | _unavailable(
        {cell.embedder for cell in trained}, lambda name: locate_embedder(name, progress=progress)
    )


def refuse_missing_sources(found: Mapping[str, str]) -> None:
    """Raise one error about all that is missing."""
    if found:
        first = next(iter(found.values()))
        raise InvalidInput(
            f"Nothing was computed: {', '.join(found)} cannot be found. {first} Then give the same command again, or "
            "compute the rest with --allow-missing."
        )


def _unavailable(names: set[str], locate: Callable[[str], None]) -> dict[str, str]:
    found = {}
    for name in sorted(names):
        try:
            locate(name)
        except LeaqError as err:
            found[name] = str(err)
    return found
