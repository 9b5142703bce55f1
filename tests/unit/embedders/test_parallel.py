import numpy as np
import pytest

from leaq.embedders import EMBEDDERS, parallel
from leaq.errors import LeaqError
from tests.helpers import require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))
SMILES = [f"{'C' * (i % 40 + 1)}{'O' * (i // 40)}" for i in range(120)]


def test_processes_change_no_number(monkeypatch):
    monkeypatch.setattr(parallel, "CHUNK", 50)
    smiles = [*SMILES[:60], "no molecule", *SMILES[60:]]
    embedder, seen = EMBEDDERS.build("maccs"), []
    spread = parallel.encode(embedder, smiles, jobs=2, progress=lambda *step: seen.append(step))
    alone = embedder.encode(smiles)
    np.testing.assert_array_equal(spread.features, alone.features)
    assert spread.failed == alone.failed == {60: "RDKit cannot read it"}
    assert seen[-1] == ("embedding", 121, 121)


def test_short_work_stays_in_this_process(monkeypatch):
    monkeypatch.setattr(parallel, "WorkerPool", None)
    assert len(parallel.encode(EMBEDDERS.build("maccs"), SMILES).features) == 120


def test_a_worker_that_dies_is_told(monkeypatch):
    monkeypatch.setattr(parallel.sys, "executable", "/bin/false")
    with pytest.raises(LeaqError, match=r"ended early \(exit .*Set LEAQ_JOBS=1"):
        parallel.encode(EMBEDDERS.build("maccs"), SMILES, jobs=2)


def test_the_user_says_how_many_cores(monkeypatch):
    monkeypatch.setenv("LEAQ_JOBS", "3")
    assert parallel.available_cores() == 3
    monkeypatch.setenv("LEAQ_JOBS", "many")
    assert parallel.available_cores() >= 1


def test_workers_run_no_code_that_lies_in_the_current_folder(tmp_path, monkeypatch):
    """Data may come with a file that is called like a library."""
    for name in ("pydantic", "numpy", "json", "rdkit"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend("")
    assert len(parallel.encode(EMBEDDERS.build("maccs"), SMILES, jobs=2).features) == 120
    assert not (tmp_path / "ran").exists()
