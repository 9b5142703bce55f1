"""The source study as it stands in studies/: parts of the quick variants always, the whole of them when slow."""

from pathlib import Path

import pytest
from benchmarks.claims.judging import claims

from leaq.study import Rules, Store, Study, run_study
from tests.helpers import require, shared

STUDIES = Path(__file__).parents[2] / "studies"
FAMILY = {"sign", "ternary(sparsity=0.9)", "uniform(bits=4)", "uniform(bits=8)"}


@pytest.fixture
def real_data(monkeypatch, tmp_path):
    """Name the folders a user would name; a cache of the test's own, so that nothing is found by luck."""
    require("rdkit")
    monkeypatch.setenv("LEAQ_DATA_DIR", str(shared("molecules")))
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(shared("embedders")))
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path / "cache"))


def quick(name, **only):
    study = Study.from_toml(STUDIES / f"{name}.toml", variant="quick")
    return Study.from_dict({**study.to_dict(), **only})


def test_the_molecular_study_is_what_it_is_said_to_be():
    """At least 8 tasks, half regression; at least 4 embedders, fingerprints and pretrained; several seeds."""
    from leaq.data import entries

    kinds = {entry.name: entry.task for entry in entries()}
    full = Study.from_toml(STUDIES / "molecular.toml")
    tasks = [kinds[item["source"]] for item in full.data]
    assert len(tasks) >= 8
    assert tasks.count("regression") * 2 == len(tasks)
    assert len(full.embedders) >= 4
    assert len(full.seeds) >= 3
    assert set(full.cells()[0].quantizers) >= FAMILY
    assert {item["source"] for item in quick("molecular").data} == {item["source"] for item in full.data}


def test_a_part_of_the_molecular_quick_variant(real_data, tmp_path):
    """One data set of each kind and one fingerprint: read, trained, quantized, attacked, stored."""
    data = quick("molecular").data
    outcome = run_study(quick("molecular", data=(data[3], data[7]), embedders=("maccs",)), tmp_path / "run")
    assert (outcome.computed, outcome.failures) == (2, ())
    cells = Store(tmp_path / "run").finished()
    assert [cell.data["task"] for cell in cells] == ["classification", "regression"]
    for cell in cells:
        assert {row.quantizer for row in cell.rows} >= {"none", *FAMILY}
        assert cell.rows[0].attacks[cell.primary_attack].advantage.n > 0


def test_a_part_of_the_synthetic_quick_variant(tmp_path):
    outcome = run_study(quick("synthetic", data=("mixture(modes=4, d=128, n=600)",)), tmp_path / "run")
    assert (outcome.computed, outcome.failures) == (1, ())
    (cell,) = Store(tmp_path / "run").finished()
    full, sparse = cell.rows[0], next(row for row in cell.rows if row.quantizer == "ternary(sparsity=0.9)")
    leak = cell.primary_attack
    assert full.attacks[leak].advantage.value > sparse.attacks[leak].advantage.value


@pytest.mark.slow
@pytest.mark.parametrize("name", ["synthetic", "molecular"])
def test_the_whole_quick_variant_supports_that_quantizers_differ(real_data, tmp_path, name):
    study = quick(name)
    outcome = run_study(study, tmp_path / "run", rules=Rules(on_failure="raise"))
    assert outcome.computed == study.size
    found = {claim.key: claim for claim in claims(Store(tmp_path / "run").finished())}
    assert found["a"].verdict == "supported"
    assert found["a"].estimate.n == len(study.data)
