from leaq.study.sources import missing
from tests.unit.study.small import small


def test_missing_weights_are_named_with_the_embedder(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path))
    cells = small(data=("wine",), embedders=("chemvae_zinc", "maccs")).cells()
    found = missing(cells)
    assert list(found) == ["chemvae_zinc"]
    assert "chemvae_zinc.safetensors" in found["chemvae_zinc"]
