"""What the verbs that train share: where results go, saying the cost, running with a progress bar."""

import math
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from pydantic import ConfigDict, PositiveInt

from leaq.cli import console
from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.system.environment import duration

if TYPE_CHECKING:
    from leaq.pipeline.cell import AuditConfig
    from leaq.results import CellResult
    from leaq.study import Event
    from leaq.types import Progress, Samples

RUN = "How it runs"
QUICK = 4_000_000
"""Bytes of a table that is quickly read."""
QUICK_MOLECULES = 2**16
"""The same of molecules, some 1,000 of them."""
WORTH_SAYING = 10.0
"""Seconds left from which on it is said how long the trainings of a recipe take."""


class Folders(Config):
    """Where data and weights are looked for; no part of the configuration, so no part of the numbers."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title="What to audit")

    data_dir: Path | None = None
    """Folder of catalogued molecular tasks, TASK.csv; else LEAQ_DATA_DIR, the cache, a download."""
    weights_dir: Path | None = None
    """Folder of pretrained weights; else LEAQ_WEIGHTS_DIR, the cache, a download."""

    def use(self) -> None:
        """Put the folders where every process of this run finds them."""
        for variable, folder in (("LEAQ_DATA_DIR", self.data_dir), ("LEAQ_WEIGHTS_DIR", self.weights_dir)):
            if folder is not None:
                if not folder.is_dir():
                    raise InvalidInput(f"There is no folder {str(folder)!r}. Create it, or name another one.")
                os.environ[variable] = str(folder.resolve())


class Output(Config):
    """Where a run is kept, and how it runs."""

    model_config: ClassVar[ConfigDict] = ConfigDict(title=RUN)

    out: Path | None = None
    """Run folder: keeps configuration and results, private to you; the same command again goes on after an
    interruption, or reads what is finished. By default runs/NAME (NAME-2, ... where another audit lies); LEAQ_RUNS_DIR
    names another place than runs, or off to keep nothing."""
    plan: bool = False
    """Say what it will cost in time and memory, and leave."""
    quiet: bool = False
    """No progress."""
    jobs: PositiveInt = 1
    """Processes that train and measure at the same time; the numbers are the same."""
    engine: str | None = None
    """Where these run: processes (this machine) or ray (a cluster); by default processes, for several jobs."""

    @property
    def alone(self) -> bool:
        """Whether everything runs in this process."""
        return self.jobs == 1 and self.engine in (None, "local")


def run_folder(source: str, config: "Config") -> Path | None:
    """Return the default run folder of an audit or a study, by its source: its own, or a free one; None if off."""
    place = os.environ.get("LEAQ_RUNS_DIR", "runs")
    if place == "off":
        return None
    from leaq.study import Store

    name = re.sub(r"[^\w.-]+", "-", Path(source).stem).strip("-.") or "audit"
    for number in count(1):
        folder = Path(place) / (name if number == 1 else f"{name}-{number}")
        if not folder.exists() or Store.holds(folder, config):
            return folder
    raise AssertionError  # there is always a free name


@contextmanager
def resumable(out: Path | None) -> Iterator[None]:
    """Where it is interrupted, say what of it was kept and how to go on, and leave with exit code 130."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "Nothing was kept: name a run folder with --out to be able to resume."
        if out is not None:
            part = any(found for place in ("cells/*.json", "chunks/*/*.npz") for found in out.rglob(place))
            kept = f"Finished work is kept in {out}." if part else "No part was finished yet."
            kept += " Resume: the same command again."
        console.note(f"Interrupted. {kept}")
        raise typer.Exit(130) from None


def run_config(config: "AuditConfig", output: Output, folders: Folders, *, silent: bool = False) -> "CellResult | None":
    """Run an audit; say beforehand what it costs, if there is anything to compute. None if that was all."""
    folders.use()
    records = first_reading(config)
    from leaq.pipeline import audit, audit_samples
    from leaq.pipeline.cost import estimated_cost
    from leaq.pipeline.preparing import prepare
    from leaq.study import audit_into
    from leaq.system.environment import limited_threads
    from leaq.training.batched import device_for

    out, quiet = output.out, output.quiet or silent
    if config.finished and output.plan:
        raise InvalidInput("--plan says what training and measuring cost. Found a finished model. Leave it out.")
    device_for(config.training, cuda=True if output.engine == "ray" else None)  # a cluster's engine is asked later
    with resumable(out), limited_threads(config.threads):
        with console.progress_bar(quiet=quiet) as progress:
            if config.finished:
                kept = partial(audit_into, folder=out, watch=_say_aside) if out else audit
                return kept(config, progress=progress)
            samples, resolved = prepare(config, samples=records, progress=progress)
        if output.plan:
            console.say(estimated_cost(samples, resolved).sentence())
            return None
        with console.progress_bar(quiet=quiet) as bar:
            timed = config.recipe and not quiet and output.engine is None
            progress = _First(bar, jobs=output.jobs) if timed else bar

            def say_cost() -> None:
                if not quiet:
                    console.note(estimated_cost(samples, resolved).sentence())
                if isinstance(progress, _First):
                    progress.begin()

            if out is None and output.alone:
                say_cost()
                return audit_samples(samples, resolved, progress=progress)
            watch = partial(_say_aside, started=say_cost)
            return _into_folder(config, output, (samples, resolved), watch=watch, progress=progress)


def _say_aside(event: "Event", *, started: Callable[[], None] = lambda: None) -> None:
    """Say what of a run folder is set aside, where nobody would look for it; and call `started` when it is."""
    if event.kind in ("damaged", "replaced"):
        console.note(console.sentence(event))
    if event.kind == "started":
        started()


def first_reading(config: "AuditConfig") -> "Samples | None":
    """Read a small table before what trains is loaded: what is wrong with it is said in a second. None of others."""
    from leaq.data.sources import HEADED

    path = Path(config.source)
    plain = not (config.finished or config.members) and path.suffix.lower() in HEADED
    if not plain or not path.is_file() or path.stat().st_size > (QUICK_MOLECULES if config.smiles else QUICK):
        return None
    from leaq.data import load

    return load(path, config)


class _First:
    """Says how long the user's trainings take, once the first of them are done, where that is worth waiting for.

    Processes take their time to start, so with several the clock starts when the first training is done.
    """

    def __init__(self, bar: "Progress", *, jobs: int) -> None:
        self._bar, self._jobs = bar, jobs
        self._said = False
        self.begin()

    def begin(self) -> None:
        """Start the clock."""
        self._since, self._before = time.monotonic(), 0

    def __call__(self, what: str, done: int, total: int) -> None:
        self._bar(what, done, total)
        counted = ("training", "models") if self._jobs == 1 else ("models",)
        if self._said or what not in counted or not done:
            return
        if self._jobs > 1 and not self._before:
            self.begin()
            self._before = done
            return
        if done - self._before < self._jobs:
            return
        self._said, one = True, time.monotonic() - self._since
        left = math.ceil((total - done) / self._jobs) * one
        if left >= WORTH_SAYING:
            console.note(f"A training took {duration(one)}; the other {total - done} take about {duration(left)}.")


def _into_folder(
    config: "AuditConfig", output: Output, prepared: "tuple[Samples, AuditConfig]", **watching: Any
) -> "CellResult":
    """Run in the folder of --out, or in one for the time being: processes exchange their parts there."""
    from leaq.study import audit_into
    from leaq.study.engines import make_engine

    name = output.engine or ("local" if output.jobs == 1 else "processes")
    with closing(make_engine(name, workers=output.jobs)) as engine, tempfile.TemporaryDirectory() as passing:
        folder = output.out or Path(passing) / "run"
        return audit_into(config, folder, prepared=prepared, engine=engine, **watching)
