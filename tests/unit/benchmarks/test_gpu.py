"""The table of a card, run on the CPU: nothing in it waits for a card to be seen to run."""

from benchmarks.speed import gpu


def test_all_of_the_cards_table_runs(monkeypatch):
    monkeypatch.setattr(gpu, "MODELS", 2)
    monkeypatch.setattr(gpu, "EPOCHS", 1)
    for name, toy in {"IMAGES": 8, "SIDE": 8, "CHANNELS": 4}.items():
        monkeypatch.setattr(gpu, name, toy)
    monkeypatch.setattr(gpu, "audited", lambda _: 1.0)  # an audit, tested everywhere else
    rows = gpu.table("cpu", rounds=1, widths=(8,), matrix=64)
    assert len(rows) == 6 + len(gpu.SCHEMES)
    text = gpu.body(rows)
    assert text.count("\n") == 1 + len(rows)
    assert "training step, width 8" in text
    assert "2 shadows of the digits" in text


def test_the_residual_network_is_of_the_size_of_resnet_18():
    assert 11e6 < sum(tensor.numel() for tensor in gpu.residual().parameters()) < 11.4e6


def test_a_machine_without_a_card_says_so():
    assert "no CUDA card" in gpu.body([])
