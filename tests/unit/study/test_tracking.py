"""MLflow against a real SQLite file: every cell once, nothing per record, and what was cut short is logged anew."""

import pytest

from leaq.errors import InvalidInput, MissingExtra
from leaq.pipeline.cell import AuditConfig
from leaq.study import Store
from leaq.study.tracking import track
from tests.helpers import require
from tests.unit.study.cells import cell, row

KEYS = ("a-0123456789abcdef-fedcba9876543210", "b-9999456789abcdef-fedcba9876543210")

pytestmark = pytest.mark.filterwarnings("ignore")  # MLflow's own, about its database library


@pytest.fixture
def store(tmp_path):
    store = Store.open(tmp_path / "run", AuditConfig(source="wine"))
    for key, data in zip(KEYS, "ab", strict=True):
        rows = [row("none", 0.5, 0.9), row("ternary(sparsity=0.9)", 0.05, 0.9, half=float("inf"))]
        store.save(key, cell(rows, data=data))
    return store


def runs(uri):
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    return client, client.search_runs([client.get_experiment_by_name("wine").experiment_id])


def test_every_cell_is_logged_once_with_intervals_and_counts_of_what_is_infinite(store, tmp_path):
    require("mlflow")
    uri = f"sqlite:///{tmp_path / 'm.db'}"
    first = track(store, uri)
    assert (first.logged, first.there, first.infinite) == (2, 0, 4)
    again = track(store, uri)
    assert (again.logged, again.there) == (0, 2)
    client, found = runs(uri)
    assert sorted(run.data.tags["leaq.cell"] for run in found) == sorted(KEYS)
    one = next(run for run in found if run.data.params["data.name"] == "a")
    assert one.data.params["embedder"] == "ecfp4"
    assert one.data.metrics["none/attack.lira.advantage"] == 0.5
    assert one.data.metrics["none/attack.lira.advantage.high"] == pytest.approx(0.51)
    assert one.data.metrics["ternary_sparsity_0.9/attack.lira.advantage"] == 0.05
    assert "ternary_sparsity_0.9/attack.lira.advantage.high" not in one.data.metrics
    assert one.data.tags["leaq.infinite"] == "2"

    client.update_run(one.info.run_id, status="RUNNING")  # as a kill in the middle leaves it
    assert (track(store, uri).logged, len(runs(uri)[1])) == (1, 2)


@pytest.mark.parametrize("uri", ["mlruns", "file:///tmp/x", "sqlite:m.db"])
def test_a_store_that_is_no_database_is_refused(store, uri):
    with pytest.raises(InvalidInput, match="file store is retired. Use sqlite:///mlflow.db"):
        track(store, uri)


def test_a_server_that_does_not_answer_is_named(store, monkeypatch):
    require("mlflow")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(InvalidInput, match=r"The MLflow store 'http://127.0.0.1:9' cannot be used"):
        track(store, "http://127.0.0.1:9")


def test_without_mlflow_the_extra_is_named(store, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "mlflow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'leaq\[mlflow\]'"):
        track(store, "sqlite:///x.db")
