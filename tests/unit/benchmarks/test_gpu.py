"""The table of a card, run on the CPU: nothing in it waits for a card to be seen to run."""

from benchmarks.speed import gpu


def test_all_of_the_cards_table_runs(monkeypatch):
    monkeypatch.setattr(gpu, "MODELS", 2)
    monkeypatch.setattr(gpu, "audited", lambda _: 1.0)  # an audit, tested everywhere else
    rows = gpu.table("cpu", rounds=1, widths=(8,), matrix=64)
    assert len(rows) == 3 + len(gpu.SCHEMES)
    text = gpu.body(rows)
    assert text.count("\n") == 1 + len(rows)
    assert "training step, width 8" in text


def test_a_machine_without_a_card_says_so():
    assert "no CUDA card" in gpu.body([])
