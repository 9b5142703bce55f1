"""A run folder's finished cells as MLflow runs: aggregates only, each cell once, whatever is logged again.

One MLflow run a cell, in an experiment named after the study. Its tag ``leaq.cell`` is the cell's key, by which a
second call knows it; a run that was cut short is removed and logged anew. Metrics are named QUANTIZER/KIND.NAME with
.low and .high beside each; MLflow allows few characters in names, so ``ternary(sparsity=0.9)`` becomes
``ternary_sparsity_0.9``.
"""

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from leaq.errors import InvalidInput, need
from leaq.results import CellResult
from leaq.results.tidy import tidy
from leaq.study.store import Store

SCHEMES = ("sqlite", "postgresql", "mysql", "mssql", "http", "https")
BATCH = 1000
"""Metrics MLflow takes in one call."""


@dataclass(frozen=True)
class Tracked:
    """What a call logged: cells that are new there, and cells that were there."""

    logged: int
    there: int
    infinite: int
    """Numbers and interval ends that are infinite, which MLflow cannot hold; each run's tag counts its own."""


def track(store: Store, uri: str) -> Tracked:
    """Log every finished cell of a run folder to an MLflow tracking store; cells that are there are left alone.

    Parameters
    ----------
    uri : of the store, e.g. ``sqlite:///mlflow.db``, or of a tracking server. MLflow retired its file store.

    Raises
    ------
    MissingExtra
        If MLflow is not installed.
    InvalidInput
        If the store is of another kind or does not answer; nothing in the run folder is changed.
    """
    mlflow = check_store(uri)
    name = str(store.config.get("name") or store.config.get("source") or store.folder.name)
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(name)
        experiment = found.experiment_id if found else client.create_experiment(name)
        return _log_cells(client, experiment, store)
    except mlflow.exceptions.MlflowException as err:
        first = str(err).strip().splitlines()[0].rstrip(".")
        raise InvalidInput(
            f"The MLflow store {uri!r} cannot be used ({first}). Check the address and who may write there; the run "
            "folder is unchanged."
        ) from None


def check_store(uri: str) -> Any:
    """Return MLflow if the store can be one of its own; asked before hours of work, not after them."""
    scheme = uri.partition(":")[0].partition("+")[0]
    if scheme not in SCHEMES or "://" not in uri:
        raise InvalidInput(
            f"--mlflow must name a database or a server ({', '.join(SCHEMES)}). Found {uri!r}; MLflow's file store is "
            "retired. Use sqlite:///mlflow.db."
        )
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # what is audited is nobody else's business
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
    mlflow = need("mlflow", extra="mlflow", purpose="Logging to MLflow")
    if scheme in SCHEMES[:4]:
        need("sqlalchemy", extra="mlflow", purpose="Logging to MLflow")
    return mlflow


def _log_cells(client: Any, experiment: str, store: Store) -> Tracked:
    logged = there = infinite = 0
    for key, cell in store.keyed():
        earlier = client.search_runs([experiment], f"tags.`leaq.cell` = '{key}'")
        if any(run.info.status == "FINISHED" for run in earlier):
            there += 1
            continue
        for run in earlier:
            client.delete_run(run.info.run_id)
        infinite += _log_cell(client, experiment, key, cell)
        logged += 1
    return Tracked(logged, there, infinite)


def _log_cell(client: Any, experiment: str, key: str, cell: CellResult) -> int:
    from mlflow.entities import Metric, Param

    numbers = list(_numbers(cell))
    finite = [(name, value) for name, value in numbers if abs(value) != float("inf")]
    absent = len(numbers) - len(finite)
    tags = {"leaq.cell": key, "leaq.infinite": str(absent), "leaq.attack": cell.primary_attack}
    now = int(time.time() * 1000)
    run = client.create_run(experiment, tags=tags, run_name=key.rpartition("-")[0])
    metrics = [Metric(name, value, now, 0) for name, value in finite]
    params = [Param(name, value) for name, value in _params(cell)]
    client.log_batch(run.info.run_id, params=params)
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run.info.run_id, metrics=metrics[start : start + BATCH])
    client.set_terminated(run.info.run_id)  # only now does it count as there
    return absent


def _params(cell: CellResult) -> Iterator[tuple[str, str]]:
    training = dict(cell.config.get("training") or {})
    options = {**cell.config, **{f"training.{name}": value for name, value in training.items()}}
    options.pop("training", None)
    described = {f"data.{name}": cell.data[name] for name in ("name", "task", "n", "n_train") if name in cell.data}
    for name, value in sorted({**options, **described}.items()):
        if value is not None and value != []:
            yield _plain(name), str(value)[:6000]


def _numbers(cell: CellResult) -> Iterator[tuple[str, float]]:
    for row in tidy([cell]):
        name = f"{_plain(row['quantizer'])}/{row['kind']}.{_plain(row['name'])}"
        for column, ending in (("value", ""), ("low", ".low"), ("high", ".high")):
            if column in row:  # what is not computed has none: the cell says why
                yield name + ending, float(row[column])


def _plain(name: str) -> str:
    """Return a name of characters MLflow allows.

    Examples
    --------
    >>> _plain("ternary(sparsity=0.9)"), _plain("lira.tpr@0.01")
    ('ternary_sparsity_0.9', 'lira.tpr_0.01')
    """
    return re.sub(r"[^A-Za-z0-9.-]+", "_", name).strip("_")
