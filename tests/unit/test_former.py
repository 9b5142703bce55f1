from importlib import import_module

import pytest

from leaq.former import FORMER, MODULES, Renamed


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


@pytest.mark.parametrize("former", MODULES)
def test_a_former_module_has_the_names_of_todays(former):
    today = import_module(MODULES[former])
    assert all(getattr(import_module(former), name) is getattr(today, name) for name in today.__all__)


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="leaq.cells"):
        import_module("leaq.cells")
    with pytest.raises(ImportError, match="nothing"):
        from leaq.cell import nothing  # noqa: F401
