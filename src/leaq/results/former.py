"""What attacks were called in version 0.1; accepted until 0.3 wherever an attack is named."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from leaq.lazy import Lazy

V = TypeVar("V")

FORMER = {
    "threshold-classwise": "threshold(per=label)",
    "rmia-offline": "rmia(mode=offline)",
    "lira-online": "lira",
    "lira-offline": "lira(mode=offline)",
    "lira-nonadaptive": "lira(shadows=full_precision)",
    "lira-online-per-record": "lira(variance=per_record)",
}
"""By former name, the specification it stands for."""


class Renamed(Mapping[str, V]):
    """Values by specification, found by former names too; looks values up in `held` when they are asked for.

    Examples
    --------
    >>> found = Renamed({"lira": 0.3})
    >>> found["lira-online"], found.get("lira-offline"), "lira-online" in found, list(found)
    (0.3, None, True, ['lira'])
    """

    def __init__(self, held: Mapping[str, V]) -> None:
        held = held._held if isinstance(held, Renamed) else held
        self._held: Mapping[str, V] = dict(held) if isinstance(held, dict) else held

    def __getitem__(self, key: str) -> V:
        for name in (key, FORMER.get(key, key)):
            if name in self._held:
                return self._held[name]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return key in self._held or FORMER.get(str(key)) in self._held

    def __iter__(self) -> Iterator[str]:
        return iter(self._held)

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return repr(dict(self))

    def changed(self, change: "Callable[[V], V]") -> "Renamed[V]":
        """Return every value after `change`; those that are built when they are looked at are changed then."""
        if isinstance(self._held, dict):
            return Renamed({name: change(value) for name, value in self._held.items()})
        return Renamed(Lazy(self._held, lambda _, value: change(value)))
