"""What is found or built on first use: names, libraries, modules, values.

Naming a room does not load what it computes with, and a table of thousands of cells builds the few it looks at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

__all__ = ["MODULES", "FormerModules", "Lazy", "found_in", "special", "torch"]

T = TypeVar("T")


class Lazy(Mapping[str, T], Generic[T]):
    """A mapping whose values are built when they are first looked at: a table of thousands of cells looks at few.

    Parameters
    ----------
    build : makes a value of its name and of what `raw` holds under it.

    Examples
    --------
    >>> Lazy({"lira": "0.3"}, lambda name, raw: float(raw))["lira"]
    0.3
    """

    def __init__(self, raw: Mapping[str, Any], build: Callable[[str, Any], T]) -> None:
        self._raw, self._build = raw, build
        self._built: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        if key not in self._built:
            self._built[key] = self._build(key, self._raw[key])
        return self._built[key]

    def __contains__(self, key: object) -> bool:
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


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


MODULES = {"leaq.cell": "leaq.pipeline"}
"""By module of version 0.1 that its pages imported from, the one that has its names; accepted until 0.3."""


class FormerModules(MetaPathFinder, Loader):
    """Finds the names of former modules where they are now; asked last, for what is found nowhere else.

    Examples
    --------
    >>> from leaq.cell import AuditConfig
    >>> AuditConfig.__module__
    'leaq.pipeline.cell'
    """

    def find_spec(self, name: str, *_: Sequence[str] | ModuleType | None) -> ModuleSpec | None:
        """Return how a former module is loaded; None for every other."""
        return ModuleSpec(name, self) if name in MODULES else None

    def exec_module(self, module: ModuleType) -> None:
        """Let the module look its names up in the one that has them."""
        vars(module)["__getattr__"] = lambda name: getattr(import_module(MODULES[module.__name__]), name)


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
