"""What attacks were called in version 0.1; accepted for a version wherever an attack is named."""

from typing import Any, TypeVar

__all__ = ["FORMER", "Renamed"]

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


class Renamed(dict[str, V]):
    """Values by specification, found by former names too.

    Examples
    --------
    >>> found = Renamed(lira=0.3)
    >>> found["lira-online"], found.get("lira-offline"), "lira-online" in found, list(found)
    (0.3, None, True, ['lira'])
    """

    def __missing__(self, key: str) -> V:
        if FORMER.get(key) in self:
            return self[FORMER[key]]
        raise KeyError(key)

    def __contains__(self, key: object) -> bool:
        return super().__contains__(key) or super().__contains__(FORMER.get(str(key)))

    def get(self, key: str, default: Any = None) -> Any:
        """Return what is stored under a name, `default` if nothing is."""
        try:
            return self[key]
        except KeyError:
            return default
