"""Run a study into a folder, or one audit, which is a study of one cell: resumed, or read if it is finished."""

import json
from pathlib import Path

from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult
from leaq.study.engines import Engine, make_engine
from leaq.study.engines.base import Local
from leaq.study.events import Event, Watch, unwatched
from leaq.study.grid import Study
from leaq.study.plan import missing, refuse_missing_sources
from leaq.study.runner import Outcome, Rules, Runner
from leaq.study.store import Store
from leaq.system.files import write_atomic
from leaq.training.batched import device_for
from leaq.types import Progress, Samples, silent


def run_study(
    study: Study,
    folder: str | Path,
    *,
    engine: str | Engine = "local",
    workers: int | None = None,
    rules: Rules | None = None,
    watch: Watch = unwatched,
) -> Outcome:
    """Compute every cell of a study that is not finished yet; the same call again goes on where it was.

    Parameters
    ----------
    folder : the run folder; made if it is new.
    engine, workers : where tasks run, by name or from `make_engine`, and how many at a time. The numbers are the same.
    rules : whether failed cells are tried again, missing data sets are allowed, and losses kept; see `Rules`.
    watch : called with each `Event`.

    Raises
    ------
    InvalidInput
        If the folder belongs to another study, or data sets, weights or a GPU that it names are missing.
    StoreError
        If it cannot be written to, or the disk is full; what was finished stays.

    Examples
    --------
    >>> import tempfile
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> study = Study(data=("wine",), heads=(quick,), seeds=(0, 1), quantizers=("sign",), audit={"replicates": 4})
    >>> outcome = run_study(study, Path(tempfile.mkdtemp()) / "run")
    >>> outcome.computed, outcome.found, outcome.failures
    (2, 0, ())
    """
    cells = study.cells()
    if not (rules and rules.allow_missing):
        refuse_missing_sources(missing(cells))
    made = make_engine(engine, workers=workers) if isinstance(engine, str) else engine
    try:
        cuda = made.has_cuda  # asked once: a cluster is far away
        for cell in cells:
            device_for(cell.training, cuda=cuda)
        store = Store.open(Path(folder), study)
        ordered = Study.from_dict(json.loads(json.dumps(study.to_dict(), sort_keys=True)))  # as config.json keeps it
        write_atomic(store.folder / "study.toml", ordered.to_toml())
        return Runner(store, cells, made, watch=watch, rules=rules).run()
    finally:
        if made is not engine:
            made.close()


def audit_into(
    config: AuditConfig,
    folder: str | Path,
    *,
    prepared: tuple[Samples, AuditConfig] | None = None,
    engine: Engine | None = None,
    watch: Watch = unwatched,
    progress: Progress = silent,
) -> CellResult:
    """Run an audit whose finished parts are kept in `folder`; the same call again goes on, or reads the result.

    Parameters
    ----------
    engine : where its parts run, from `make_engine`; by default in this process.
    prepared : what `leaq.pipeline.prepare` returned for `config`, if the records were read already.
    watch : called with each `Event`; "started" is one only if there is something to compute.

    Raises
    ------
    InvalidInput
        If the folder belongs to another configuration, or a GPU that it asks for is missing.
    StoreError
        If it cannot be written to, or the disk is full; what was finished stays.

    Examples
    --------
    >>> import tempfile
    >>> from leaq.training import TrainingConfig
    >>> quick = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    >>> config = AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=quick)
    >>> folder = Path(tempfile.mkdtemp()) / "run"
    >>> first, again = audit_into(config, folder), audit_into(config, folder)
    >>> first.to_json() == again.to_json()
    True
    """

    def told(event: Event) -> None:
        watch(event)
        if event.kind == "stage":
            progress(event.text, event.done, event.total)

    engine = engine or Local()
    device_for(config.training, cuda=engine.has_cuda)
    mine = not Path(folder, "config.json").exists()
    store = Store.open(Path(folder), config)
    runner = Runner(store, [config], engine, watch=told, rules=Rules(on_failure="raise"))
    if prepared is not None:
        runner.give(config, *prepared)
    try:
        runner.run()
    except InvalidInput:
        if mine:
            store.leave()
        raise
    return (store.finished() if store.cleaned else store.with_risks())[0]
