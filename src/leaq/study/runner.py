"""Walks the cells of a study: what is finished is read, what fails is recorded, what others compute is left to them.

A cell goes  waiting -> prepared -> locked -> chunks trained -> measured -> stored.  Each arrow but the lock is a
task of the engine, and a callback here takes the next step when it has ended. Only this process writes to the run
folder, so an engine's workers need not see it.
"""

import statistics
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from leaq.errors import InvalidInput, some
from leaq.pipeline.cell import AuditConfig, own_models
from leaq.pipeline.planning import ReleaseTables, refuse_other_sizes
from leaq.results import CellResult
from leaq.study.chunks import ChunkStore
from leaq.study.engines import Engine
from leaq.study.events import Event, Watch, unwatched
from leaq.study.failures import Failure, Failures, by_reason
from leaq.study.plan import effort, plan, records_of
from leaq.study.store import Store, cell_key, chunks_key, plain_name
from leaq.study.tasks import Part, Prepared, chunk_key, describe, measure_cell, prepare_cells, train_chunk
from leaq.system.locks import Lock
from leaq.types import Progress, Samples

KEPT = 3
"""Prepared pairs of data set and embedder kept at hand; cells that share one stand side by side."""
ESTIMATES = (1, 4, 16, 64)
"""After how many cells the rest is estimated; the first cell is slower than the others, it loads libraries."""
POLL = 0.2
"""Seconds between two looks at what another process computes, when there is nothing else to do."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended. Every cell of the grid is in exactly one of `computed`, `found` and `failures`."""

    folder: Path
    computed: int = 0
    found: int = 0
    failures: tuple[Failure, ...] = ()
    damaged: tuple[Path, ...] = ()

    def describe(self) -> str:
        """Return one paragraph."""
        text = f"{self.computed} cells computed, {self.found} found finished, {len(self.failures)} failed."
        if self.damaged:
            names = some([path.name for path in self.damaged])
            text += f" {len(self.damaged)} damaged files were set aside and what they held computed again ({names})."
        for reason, cells in by_reason(self.failures).items():
            text += f" Failed: {some(cells, 1)}: {reason.rstrip('.')}."
        if self.failures:
            text += f" Tracebacks: {self.folder / 'failed'}. Try them again: --retry-failed."
        return f"{text} All numbers: {self.folder / 'results.csv'}."


@dataclass(eq=False)
class OpenCell:
    """One cell on its way."""

    index: int
    config: AuditConfig
    name: str
    effort: float
    key: str = ""
    chunks_key: str = ""
    lock: Lock | None = None
    chunks: ChunkStore | None = None
    samples: Any = None
    ends: tuple[tuple[int, int], ...] = ()
    parts: dict[tuple[int, int], Any] = field(default_factory=dict)
    first: ReleaseTables | None = None
    started: float = 0.0


@dataclass(frozen=True)
class Rules:
    """How a run treats what it meets.

    Attributes
    ----------
    on_failure : "record" keeps the failure of a cell and goes on; "raise" lets it out.
    retry_failed : try again what failed in an earlier run; otherwise it is left alone and reported.
    allow_missing : go on without data sets and weights that are not to be had: their cells are tried, fail and are
        recorded. Otherwise `run_study` names all of them before anything is computed.
    keep_losses : keep the losses of finished cells, so that a version that measures otherwise trains nothing anew.
    """

    on_failure: Literal["record", "raise"] = "record"
    retry_failed: bool = False
    allow_missing: bool = False
    keep_losses: bool = False


class Runner:
    """One run over the cells of one store."""

    def __init__(
        self,
        store: Store,
        cells: Sequence[AuditConfig],
        engine: Engine,
        *,
        rules: Rules | None = None,
        watch: Watch = unwatched,
    ) -> None:
        self._store, self._engine, self._rules, self._watch = store, engine, rules or Rules(), watch
        self._failures = Failures(store.folder / "failed")
        self._heads = tuple(OrderedDict.fromkeys(cell.training for cell in cells))
        records: dict[str, int] = {}
        for config in cells:
            if config.source not in records:
                records[config.source] = records_of(config)
        self._cells = [OpenCell(i, c, cell_name(c), effort(c, records[c.source])) for i, c in enumerate(cells)]
        self._waiting = deque(self._cells)
        self._pending: dict[Any, list[Callable[[], None]]] = {}
        self._prepared: OrderedDict[str, tuple[Any, Any]] = OrderedDict()
        self._elsewhere: list[OpenCell] = []
        self._active: set[OpenCell] = set()
        self._ended: set[int] = set()
        self._everything = sum(cell.effort for cell in self._cells) or 1.0
        self._behind = 0.0  # effort of the cells that have ended
        self._computed = self._found = 0
        self._failed: list[Failure] = []
        # Effort, seconds and bytes of memory of computed cells, by whose models they are: only these compare.
        self._pace: dict[str, list[tuple[float, float, float]]] = {}

    def give(self, config: AuditConfig, samples: Samples, resolved: AuditConfig) -> None:
        """Take records that are prepared already, so that they are not read and embedded again."""
        prepared = describe(samples, resolved, self._heads)
        self._prepared[_shared(config)] = (self._engine.share(prepared), self._engine.share(samples))

    def run(self) -> Outcome:
        """Compute every cell; returns when each is finished, failed, or was finished by another process."""
        failed = sum(self._failures.of(cell.config) is not None for cell in self._cells)
        cells, slots = [cell.config for cell in self._cells], self._engine.slots
        asked = plan(cells, finished=self._store.count(), failed=failed, slots=slots)
        self._tell("plan", text=asked.describe(), done=asked.finished, total=asked.cells)
        try:
            while self._waiting or self._pending or self._elsewhere:
                self._step()
        finally:
            for cell in self._active:
                if cell.lock is not None:
                    cell.lock.release()
        self._store.write_table()
        damaged = tuple(self._store.damaged)
        return Outcome(self._store.folder, self._computed, self._found, tuple(self._failed), damaged)

    def _step(self) -> None:
        # One cell more than there are slots, so that none idles while the next is prepared.
        limit = 1 if self._engine.slots == 1 else self._engine.slots + 1
        while self._waiting and len(self._active) < limit:
            self._begin(self._waiting.popleft())
        if self._pending:
            handle = self._engine.wait(list(self._pending))
            for callback in self._pending.pop(handle):
                callback()
        elif self._elsewhere and not self._waiting:
            self._look_elsewhere()

    def _begin(self, cell: OpenCell) -> None:
        earlier = self._failures.of(cell.config)
        if earlier is not None and not self._rules.retry_failed:
            self._failed.append(earlier)
            self._end(cell)
            self._tell("skipped", cell, text=earlier.reason)
            return
        self._active.add(cell)
        cell.started = time.perf_counter()
        self._on(self._prepare(cell)[0], lambda: self._opened(cell))

    def _on(self, handle: Any, callback: Callable[[], None]) -> None:
        self._pending.setdefault(handle, []).append(callback)

    def _prepare(self, cell: OpenCell) -> tuple[Any, Any]:
        """Return handles of what was prepared and of the records, shared by all cells of one data set and embedder."""
        config, key = cell.config, _shared(cell.config)
        if key not in self._prepared:
            handles = self._engine.submit(
                prepare_cells, config, self._heads, returns=2, progress=self._progress(cell, "reading")
            )
            self._prepared[key] = (handles[0], handles[1])
            while len(self._prepared) > KEPT + self._engine.slots:
                self._prepared.popitem(last=False)
        self._prepared.move_to_end(key)
        return self._prepared[key]

    def _opened(self, cell: OpenCell) -> None:
        """Look the prepared cell up: finished, taken by another process, or ours to compute."""
        handle, cell.samples = self._prepare(cell)
        prepared: Prepared | None = self._value(cell, handle)
        if prepared is None:
            return
        config = cell.config.but(**prepared.choices)
        cell.key = cell_key(config, prepared.name, prepared.digest)
        cell.chunks_key = chunks_key(config, prepared.name, prepared.digest)
        cell.ends = prepared.chunks[cell.config.training.digest()]
        if self._is_finished(cell):
            return
        cell.lock = self._store.lock(cell.key)
        if cell.lock is None:
            self._active.discard(cell)
            self._elsewhere.append(cell)
            self._tell("elsewhere", cell)
            return
        if self._is_finished(cell):  # by another process, between the look and the lock
            return
        self._tell("started", cell)
        if self._store.replaces(cell.key):
            self._tell("replaced", cell)
        cell.chunks = self._store.chunks(cell.chunks_key)
        for ends in cell.ends:
            self._chunk(cell, config, ends)
        self._measure_if_complete(cell, config)

    def _is_finished(self, cell: OpenCell) -> bool:
        with self._damage(cell):
            found = self._store.load(cell.key)
        if found is None:
            return False
        self._found += 1
        # A kill can come between result and removal.
        self._store.forget_chunks(cell.chunks_key, keep=self._rules.keep_losses)
        self._end(cell)
        self._tell("found", cell)
        return True

    @contextmanager
    def _damage(self, cell: OpenCell) -> Iterator[None]:
        """Tell of the damaged files that are met meanwhile."""
        before = len(self._store.damaged)
        yield
        for path in self._store.damaged[before:]:
            self._tell("damaged", cell, text=path.name)

    def _chunk(self, cell: OpenCell, config: AuditConfig, ends: tuple[int, int]) -> None:
        assert cell.chunks is not None
        with self._damage(cell):
            kept = cell.chunks.get(chunk_key(ends))
        if kept is not None:
            cell.parts[ends] = self._engine.share(Part(kept, 0.0, 0))
            cell.first = cell.first or kept
            return
        progress = self._progress(cell, "", before=len(cell.parts), of=len(cell.ends))
        cuda = config.training.device == "cuda"
        (handle,) = self._engine.submit(train_chunk, cell.samples, config, ends, cuda=cuda, progress=progress)
        self._on(handle, lambda: self._trained(cell, config, ends, handle))

    def _trained(self, cell: OpenCell, config: AuditConfig, ends: tuple[int, int], handle: Any) -> None:
        part: Part | None = self._value(cell, handle)
        if part is None or cell.chunks is None:
            return
        cell.first = cell.first or part.found
        try:
            refuse_other_sizes([cell.first, part.found])
        except InvalidInput as err:
            return self._lost(cell, err)
        cell.chunks.put(chunk_key(ends), part.found)
        cell.parts[ends] = handle
        self._tell("stage", cell, text="models", done=len(cell.parts), total=len(cell.ends))
        self._measure_if_complete(cell, config)

    def _measure_if_complete(self, cell: OpenCell, config: AuditConfig) -> None:
        if len(cell.parts) < len(cell.ends):
            return
        parts = [cell.parts[ends] for ends in cell.ends]
        progress = self._progress(cell, "")
        (handle,) = self._engine.submit(measure_cell, cell.samples, config, *parts, progress=progress)
        self._on(handle, lambda: self._measured(cell, handle))

    def _measured(self, cell: OpenCell, handle: Any) -> None:
        result: CellResult | None = self._value(cell, handle)
        if result is None:
            return
        self._store.save(cell.key, result)
        self._store.forget_chunks(cell.chunks_key, keep=self._rules.keep_losses)
        self._failures.forget(cell.config)
        self._computed += 1
        seconds = sum(value for name, value in result.timings.items() if name.endswith("_seconds"))
        pace = (cell.effort, seconds, result.timings.get("peak_memory_bytes", 0.0))
        self._pace.setdefault(_models(cell), []).append(pace)
        self._end(cell)
        self._tell("done", cell, seconds=seconds)
        if sum(map(len, self._pace.values())) in ESTIMATES:
            self._estimate()

    def _value(self, cell: OpenCell, handle: Any) -> Any:
        """Return what a task found, or None after its failure was recorded."""
        if cell.index in self._ended:
            return None  # another chunk of the cell has failed
        try:
            return self._engine.result(handle)
        except Exception as err:
            return self._lost(cell, err)

    def _lost(self, cell: OpenCell, err: Exception) -> None:
        """Record the failure of a cell, or let it out."""
        if self._rules.on_failure == "raise":
            raise err
        self._failed.append(self._failures.record(cell.config, cell.name, err))
        self._end(cell)
        self._tell("failed", cell, text=self._failed[-1].reason)

    def _end(self, cell: OpenCell) -> None:
        if cell.lock is not None:
            cell.lock.release()
        self._active.discard(cell)
        self._ended.add(cell.index)
        self._behind += cell.effort
        cell.samples, cell.parts, cell.chunks, cell.first = None, {}, None, None

    def _look_elsewhere(self) -> None:
        """Take back a cell that another process has finished, or has given up."""
        for cell in self._elsewhere:
            lock = self._store.lock(cell.key)
            if lock is not None:
                lock.release()
                self._elsewhere.remove(cell)
                self._waiting.append(cell)
                return
        time.sleep(POLL)

    def _estimate(self) -> None:
        left: dict[str, float] = {}
        for cell in self._cells:
            if cell.index not in self._ended:
                left[_models(cell)] = left.get(_models(cell), 0.0) + cell.effort
        if not left or left.keys() - self._pace.keys():
            return  # how long a recipe takes is not known before it ran
        pace = {
            kind: statistics.median(seconds / work for work, seconds, _ in done) for kind, done in self._pace.items()
        }
        known = [one for done in self._pace.values() for one in done]
        memory = max(memory for _, _, memory in known) / 2**30
        measured = "the first cell" if len(known) == 1 else f"{len(known)} cells"
        text = f"about {memory:.1f} GiB a task, {self._engine.slots} at a time; from {measured}"
        seconds = sum(pace[kind] * work for kind, work in left.items())
        self._tell("estimate", text=text, seconds=seconds / self._engine.slots)

    def _progress(self, cell: OpenCell, what: str, before: int = 0, of: int = 1) -> Progress:
        def progress(stage: str, done: int, total: int) -> None:
            self._tell("stage", cell, text=what or stage, done=before * total + done, total=of * total)

        return progress

    def _tell(self, kind: Any, cell: OpenCell | None = None, **what: Any) -> None:
        share = self._behind / self._everything
        self._watch(Event(kind, cell.name if cell else "", share=share, **what))


def _shared(config: AuditConfig) -> str:
    """Return what cells that share prepared records have in common."""
    options = config.to_dict()
    for name in ("training", "seed", "quantizers"):
        options.pop(name)
    return repr(sorted(options.items()))


def _models(cell: OpenCell) -> str:
    """Return whose models a cell is of: leaq's own, those of one recipe or network, or a finished one."""
    return "finished" if cell.config.finished else cell.config.recipe or cell.config.model


def cell_name(config: AuditConfig) -> str:
    """Return a short name of a cell, for display."""
    if config.finished:
        return f"{plain_name(config.source)} as it is seed {config.seed}"
    widths = "x".join(str(width) for width in config.training.hidden) or "linear"
    models = own_models(config.to_dict()) or widths
    return f"{plain_name(config.source)} {config.embedder} {models} seed {config.seed}"
