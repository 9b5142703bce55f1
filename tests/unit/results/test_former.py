import pytest

from leaq.results.former import FORMER, Renamed


def test_every_former_name_finds_what_it_stands_for():
    found = Renamed({spec: i for i, spec in enumerate(FORMER.values())})
    assert [found[name] for name in FORMER] == list(range(len(FORMER)))
    assert all(name in found and found.get(name) == found[name] for name in FORMER)
    assert set(found) == set(FORMER.values())


def test_what_is_not_there_is_not_found():
    empty = Renamed({})
    assert "lira-online" not in empty
    assert empty.get("lira-online", 3) == 3
    with pytest.raises(KeyError, match="lira-online"):
        empty["lira-online"]
