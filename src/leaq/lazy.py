"""Public names of a package that are found on first use, so that naming a room does not load what it computes with."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

__all__ = ["found_in"]


def found_in(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names live in other modules.

    Parameters
    ----------
    places : the module of each public name, in full.

    Examples
    --------
    >>> found_in("numbers", {"pi": "math"})("pi") > 3
    True
    """

    def find(name: str) -> Any:
        if name in places:
            return getattr(import_module(places[name]), name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find
