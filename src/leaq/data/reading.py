"""How records are read: the options every source of data shares."""

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

from pydantic import ConfigDict, field_validator

from leaq.config import Config

TaskChoice = Literal["auto", "classification", "regression"]


class Reading(Config):
    """Which columns are what, what may be dropped, and which records stay together.

    Examples
    --------
    >>> Reading(target="y", skipinvalid=True)
    Traceback (most recent call last):
    leaq.config.ConfigError: Reading: unknown option 'skipinvalid'. Did you mean 'skip_invalid'?
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title="What to audit")

    target: str | None = None
    """Column to predict, or several with commas between them, predicted together (a record may lack some of them);
    needed for files."""
    smiles: str | None = None
    """Column of SMILES strings; makes the records molecules."""
    group: str | None = None
    """Column whose equal values (a patient, a series) stay on one side of every split."""
    task: TaskChoice = "auto"
    """What is predicted; auto: classes where the target holds few different values."""
    ignore: tuple[str, ...] = ()
    """Columns that are no features, such as an identifier."""
    skip_invalid: bool = False
    """Drop and count records that cannot be used (missing values, unreadable SMILES), instead of refusing them."""
    strip_salts: bool = False
    """Keep the largest organic fragment of each molecule."""
    log_target: bool = False
    """Predict log10 of a positive regression target."""
    split: Literal["random", "scaffold", "cluster"] = "random"
    """What stays on one side of a split: a molecule, a scaffold, or a cluster of similar molecules. Anything but random
    changes what attack numbers mean, and is marked."""

    @field_validator("target", mode="before")
    @classmethod
    def _one_text(cls, target: Any) -> Any:
        if isinstance(target, list | tuple):
            return ",".join(map(str, target))
        return str(target) if isinstance(target, int) else target  # pandas' own names of columns

    def targets(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Return the columns to predict: the one of that name, or those that its parts name.

        Examples
        --------
        >>> Reading(target=["NR-AR", "logS"]).target, Reading(target="a, b").targets(["a", "b"])
        ('NR-AR,logS', ('a', 'b'))
        """
        if self.target is None or self.target in columns:
            return () if self.target is None else (self.target,)
        return tuple(dict.fromkeys(part for one in self.target.split(",") if (part := one.strip())))
