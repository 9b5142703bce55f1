"""One audit in a run folder, a study of one cell: resumed if it was interrupted, read if it is finished."""

from collections.abc import Callable
from pathlib import Path

from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult
from leaq.study.engines.base import Engine
from leaq.study.engines.local import Local
from leaq.study.events import Event
from leaq.study.runner import Rules, Runner
from leaq.study.store import Store
from leaq.types import Progress, Samples, silent


def audit_into(
    config: AuditConfig,
    folder: str | Path,
    *,
    prepared: tuple[Samples, AuditConfig] | None = None,
    engine: Engine | None = None,
    started: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> CellResult:
    """Run an audit whose finished parts are kept in `folder`; the same call again goes on, or reads the result.

    Parameters
    ----------
    engine : where its parts run, from `make_engine`; by default in this process.
    prepared : what `leaq.pipeline.prepare` returned for `config`, if the records were read already.
    started : called once if there is something to compute, before it is.

    Raises
    ------
    InvalidInput
        If the folder belongs to another configuration.
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

    def watch(event: Event) -> None:
        if event.kind == "started":
            started()
        if event.kind == "stage":
            progress(event.text, event.done, event.total)

    store = Store.open(Path(folder), config)
    runner = Runner(store, [config], engine or Local(), watch=watch, rules=Rules(on_failure="raise"))
    if prepared is not None:
        runner.give(config, *prepared)
    runner.run()
    return (store.finished() if store.cleaned else store.with_risks())[0]
