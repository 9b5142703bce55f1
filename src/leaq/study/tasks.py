"""What an engine is asked to do: three functions, each of plain values, each the same wherever it runs.

prepare_cells    read and embed one data set          -> Prepared, Samples
train_chunk      train one chunk of models, quantize, evaluate -> loss tables
measure_cell     loss tables of all chunks, or a finished model -> CellResult
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace

from leaq.pipeline import audit, audit_samples, chunk
from leaq.pipeline.calibrating import planned
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.files import files_digest
from leaq.pipeline.planning import ReleaseTables
from leaq.pipeline.preparing import prepare
from leaq.pipeline.subjects import origin_digest, subject_of
from leaq.results import CellResult
from leaq.study.store import data_digest
from leaq.system.environment import limited_threads, peak_memory
from leaq.training import TrainingConfig
from leaq.types import Progress, Samples, silent

SAID = ("model", "target", "smiles")
"""Options that a released file may say itself, where they are not given."""


@dataclass(frozen=True)
class Prepared:
    """What the runner must know of prepared records, without having them.

    Attributes
    ----------
    choices : the options "auto" was resolved to, and what a released file says.
    name : the data set's.
    digest : of the records as they are trained on, and of the user's code and file where there is one.
    chunks : by digest of the head's training configuration: (first, last + 1) models trained together.
    """

    choices: Mapping[str, str]
    name: str
    digest: str
    chunks: Mapping[str, tuple[tuple[int, int], ...]]


@dataclass(frozen=True)
class Part:
    """A finished chunk, and what it took."""

    found: ReleaseTables
    seconds: float
    memory: int


def prepare_cells(
    config: AuditConfig, heads: tuple[TrainingConfig, ...], *, progress: Progress = silent
) -> tuple[Prepared, Samples | None]:
    """Read and embed the records that all cells of one data set and embedder share; of a finished model there are none.

    A finished model is all measuring: no chunk of it is trained.
    """
    if config.finished:
        return Prepared({}, config.source, files_digest(config), {head.digest(): () for head in heads}), None
    with limited_threads(config.threads):
        samples, resolved = prepare(config, progress=progress)
        return describe(samples, resolved, heads), samples


def describe(samples: Samples, resolved: AuditConfig, heads: tuple[TrainingConfig, ...]) -> Prepared:
    """Return what the runner must know of prepared records; nothing in `resolved` is left to "auto"."""
    cut = {}
    for head in heads:
        parts = subject_of(resolved.model_copy(update={"training": head})).parts(samples, resolved.models)
        cut[head.digest()] = tuple((part.start, part.stop) for part in parts)
    found = {name: getattr(resolved, name) for name in ("task", "embedder", *SAID)}
    choices = {name: value for name, value in found.items() if value}
    return Prepared(choices, samples.name, data_digest(samples) + origin_digest(resolved), cut)


def chunk_key(ends: tuple[int, int]) -> str:
    """Return the name a chunk is kept under; the folder it lies in belongs to one configuration."""
    return f"models-{ends[0]}-{ends[1]}"


def train_chunk(samples: Samples, config: AuditConfig, ends: tuple[int, int], *, progress: Progress = silent) -> Part:
    """Train the models of one chunk once, and evaluate them under every quantizer."""
    started = time.perf_counter()
    with limited_threads(config.threads):
        todo = planned(config, samples)
        found = chunk(config, todo, subject_of(config), which=slice(*ends), progress=progress)
    return Part(found, time.perf_counter() - started, peak_memory())


def measure_cell(samples: Samples | None, config: AuditConfig, *parts: Part, progress: Progress = silent) -> CellResult:
    """Measure what the chunks of a cell hold, in the order of their models; its timings are those of all its parts."""
    if samples is None:
        return audit(config, progress=progress)
    with limited_threads(config.threads):
        result = audit_samples(samples, config, parts=[part.found for part in parts], progress=progress)
    timings = {
        **result.timings,
        "models_seconds": sum(part.seconds for part in parts),
        "peak_memory_bytes": float(max([peak_memory(), *(part.memory for part in parts)])),
    }
    return replace(result, timings=timings)
