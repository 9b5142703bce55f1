"""How records are read: the options every source of data shares."""

from typing import Any, Literal, Self

from leaq.config import Config

__all__ = ["Reading", "TaskChoice"]

TaskChoice = Literal["auto", "classification", "regression"]


class Reading(Config):
    """Which columns are what, what may be dropped, and which records stay together.

    Examples
    --------
    >>> Reading(target="y", skipinvalid=True)
    Traceback (most recent call last):
    leaq.errors.InvalidInput: Reading: unknown option 'skipinvalid'. Did you mean 'skip_invalid'?
    """

    target: str | None = None
    """Column to predict."""
    smiles: str | None = None
    """Column of SMILES strings; makes the records molecules."""
    group: str | None = None
    """Column whose equal values (a patient, a series) stay on one side of every split."""
    task: TaskChoice = "auto"
    ignore: tuple[str, ...] = ()
    """Columns that are no features."""
    skip_invalid: bool = False
    """Drop and count what cannot be used, instead of refusing."""
    strip_salts: bool = False
    """Keep the largest organic fragment of each molecule."""
    log_target: bool = False
    """Predict log10 of a positive regression target."""
    split: Literal["random", "scaffold", "cluster"] = "random"
    """What stays on one side of a split: a molecule, a scaffold, or a cluster of similar molecules."""

    def but(self, **changes: Any) -> Self:
        """Return the same options with some changed."""
        return type(self).from_dict({**self.to_dict(), **changes})
