"""What is found on first use, so that naming a room does not load what it computes with: names, libraries."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = ["found_in", "special", "torch"]


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


class _Late:
    """A library that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


# For modules whose names, options and refusals must be had at once: those of every quantizer and every attack.
if TYPE_CHECKING:
    import torch
    from scipy import special
else:
    special, torch = _Late("scipy.special"), _Late("torch")
