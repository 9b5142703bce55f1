import pytest

from leaq.pipeline import AuditConfig
from leaq.study.plan import effort, missing, plan, records_of
from leaq.training import TrainingConfig
from tests.unit.study.small import small

CELLS = [
    AuditConfig(source=source, quantizers=quantizers, replicates=replicates)
    for source, quantizers, replicates in (
        ("wine", ("sign",), 8),
        ("wine", ("sign", "nf4"), 8),
        ("digits", ("sign",), 16),
    )
]


def test_what_a_grid_asks_for_is_counted():
    found = plan(CELLS, finished=1, failed=2, slots=4)
    assert (found.cells, found.shared, found.trainings, found.quantizers, found.slots) == (3, 2, 32, 3, 4)
    text = found.describe()
    assert "3 cells (2 pairs of data set and embedder), 32 models to train in all; each serves 3 quantizers" in text
    assert "4 tasks at a time. 1 cell is finished already. 2 failed earlier." in text
    assert "1 task at a time." in plan(CELLS[:1], finished=0, failed=0, slots=1).describe()


@pytest.mark.parametrize(
    "more", [{"replicates": 32}, {"training": TrainingConfig(epochs=120)}, {"training": TrainingConfig(hidden=(512,))}]
)
def test_more_of_anything_is_more_work(more):
    usual = AuditConfig(source="wine")
    assert effort(AuditConfig(source="wine", **more), 100) > effort(usual, 100)
    assert effort(usual, 200) == 2 * effort(usual, 100)


def test_records_are_those_of_the_catalogue_or_the_lines_of_a_file(tmp_path):
    assert records_of(AuditConfig(source="wine")) == 178
    (tmp_path / "x.csv").write_text("a,y\n" + "1,2\n" * 49)
    assert records_of(AuditConfig(source=str(tmp_path / "x.csv"))) == 50
    assert records_of(AuditConfig(source=str(tmp_path / "absent.csv"))) == 1000


def test_a_finished_model_is_work_by_its_size_and_its_records(tmp_path):
    """Sixty records of a small network were taken for a thousand of a large one: 33 minutes for a second."""
    (tmp_path / "w.safetensors").write_bytes(b"0" * 400)
    (tmp_path / "m.csv").write_text("a,y\n" + "1,2\n" * 59)
    config = AuditConfig(source=str(tmp_path / "w.safetensors"), members=str(tmp_path / "m.csv"), quantizers=("sign",))
    assert effort(config, records_of(config)) == 2 * config.neighbours * 60 * 100
    assert records_of(config.but(members="a.npz")) == 1000


def test_missing_weights_are_named_with_the_embedder(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path))
    cells = small(data=("wine",), embedders=("chemvae_zinc", "maccs")).cells()
    found = missing(cells)
    assert list(found) == ["chemvae_zinc"]
    assert "chemvae_zinc.safetensors" in found["chemvae_zinc"]
