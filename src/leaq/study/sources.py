"""Are the data sets and weights a study names there? Asked before anything is computed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from leaq.data import locate as locate_data
from leaq.data.sources import refuse_missing as need_file
from leaq.embedders import locate as locate_embedder
from leaq.errors import InvalidInput, LeaqError
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.files import places_of
from leaq.study.engines import Engine
from leaq.types import Progress, silent


def missing(cells: Sequence[AuditConfig], *, progress: Progress = silent) -> dict[str, str]:
    """Return why each data set or embedder of a grid is not to be had; known ones are downloaded where they can be."""
    trained = [cell for cell in cells if not cell.finished]
    files = {place for cell in cells if cell.finished for place in places_of(cell)}
    found = _unavailable(files, lambda name: need_file(Path(name)))
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


def refuse_without_cuda(cells: Sequence[AuditConfig], engine: Engine) -> None:
    """Raise if a head is to be trained on a GPU and the engine's tasks find none."""
    if any(cell.training.device == "cuda" for cell in cells) and not engine.has_cuda:
        raise InvalidInput(
            "device = 'cuda' needs a CUDA GPU where tasks run. The engine finds none. Nothing was computed; use "
            "device = 'cpu', or an engine that has one."
        )


def _unavailable(names: set[str], locate: Callable[[str], None]) -> dict[str, str]:
    found = {}
    for name in sorted(names):
        try:
            locate(name)
        except LeaqError as err:
            found[name] = str(err)
    return found
