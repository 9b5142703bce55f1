"""What input may take of memory."""

import pytest

from leaq.errors import InvalidInput
from leaq.system.memory import free_memory, memory_budget, refuse_beyond_memory, refuse_larger


def test_some_memory_is_free_and_what_claims_more_is_refused_with_both_sizes(monkeypatch):
    assert memory_budget() > 1 << 20
    monkeypatch.setattr("leaq.system.memory.memory_budget", lambda: 1 << 30)
    refuse_larger(1 << 30, name="m")
    with pytest.raises(InvalidInput, match=r"m: its content must fit into 1.0 GiB, .* It claims 3.0 GiB"):
        refuse_larger(3 << 30, name="m")


def test_a_container_has_less_free_than_its_machine(monkeypatch, tmp_path):
    monkeypatch.setattr("leaq.system.memory.CONTAINER", tmp_path)
    machine = free_memory()
    for name, text in (("memory.max", "3000000"), ("memory.current", "2500000")):
        (tmp_path / name).write_text(text)
    (tmp_path / "memory.stat").write_text("anon 1\nactive_file 100000\ninactive_file 200000\n")
    assert machine > free_memory() == 800_000
    (tmp_path / "memory.max").write_text("max")
    assert free_memory() > 3_000_000


def test_a_file_that_memory_does_not_hold_is_named_with_both_sizes(monkeypatch, tmp_path):
    monkeypatch.setattr("leaq.system.memory.free_memory", lambda: 1 << 30)
    refuse_beyond_memory(tmp_path / "m.bin", 1 << 30, "is read whole")
    with pytest.raises(
        InvalidInput, match=r"m.bin: this file is read whole, which takes 2.0 GiB of memory. 1.0 GiB are fr"
    ):
        refuse_beyond_memory(tmp_path / "m.bin", 2 << 30, "is read whole")
