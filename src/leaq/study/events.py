"""What a running study tells whoever watches: values, never text on a screen."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

Kind = Literal[
    "plan", "found", "started", "stage", "done", "failed", "skipped", "elsewhere", "damaged", "replaced", "estimate"
]


@dataclass(frozen=True)
class Event:
    """One thing that happened.

    Attributes
    ----------
    kind : "plan" before anything starts; "found" a cell finished earlier; "started", "stage" (`text` of it, `done` of
        `total`), "done", "failed" (`text` says why); "skipped" it failed earlier; "elsewhere" another process has
        it; "damaged" a file was set aside and is computed again; "replaced" a result of other records or code is there,
        which the new one will take the place of; "estimate" of what remains.
    cell : which cell, for display.
    done, total : of the stage, or for "plan" finished and all cells.
    seconds : how long the cell took, or for "estimate" what remains.
    share : part of the whole work that is done, 0 to 1.
    """

    kind: Kind
    cell: str = ""
    text: str = ""
    done: int = 0
    total: int = 0
    seconds: float = 0.0
    share: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return what is not empty, for a log."""
        return {key: value for key, value in asdict(self).items() if value not in ("", 0, 0.0)}


Watch = Callable[[Event], None]


def unwatched(event: Event) -> None:
    """Watch nothing."""
