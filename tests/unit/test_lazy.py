from importlib import import_module

import pytest

from leaq.lazy import MODULES, found_in


def test_names_are_found_where_they_live_and_others_are_refused():
    find = found_in("somewhere", {"pi": "math"})
    assert find("pi") > 3
    with pytest.raises(AttributeError, match="module 'somewhere' has no attribute 'tau'"):
        find("tau")


def own_names(module):
    """What a module defines itself, or says that it shows."""
    plain = [name for name, thing in vars(module).items() if getattr(thing, "__module__", "") == module.__name__]
    return getattr(module, "__all__", [name for name in plain if not name.startswith("_")])


@pytest.mark.parametrize("former", MODULES)
def test_a_former_module_has_the_names_of_todays(former):
    today = import_module(MODULES[former])
    assert own_names(today)
    assert all(getattr(import_module(former), name) is getattr(today, name) for name in own_names(today))


def test_a_module_that_never_was_is_not_found():
    with pytest.raises(ModuleNotFoundError, match="leaq.cells"):
        import_module("leaq.cells")
    with pytest.raises(ImportError, match="nothing"):
        from leaq.cell import nothing  # noqa: F401
