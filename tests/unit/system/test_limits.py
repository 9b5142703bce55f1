import pytest

from leaq.errors import InvalidInput
from leaq.system.limits import memory_budget, refuse_larger


def test_some_memory_is_free_and_what_claims_more_is_refused_with_both_sizes(monkeypatch):
    assert memory_budget() > 1 << 20
    monkeypatch.setattr("leaq.system.limits.memory_budget", lambda: 1 << 30)
    refuse_larger(1 << 30, name="m")
    with pytest.raises(InvalidInput, match=r"m: its content must fit into 1.0 GiB, .* It claims 3.0 GiB"):
        refuse_larger(3 << 30, name="m")
