"""What one cell of a study is: one data set, one embedder, one head, several quantizers, one seed."""

from typing import Self

from pydantic import Field, PositiveInt, field_validator

from leaq.attacks.registry import parse_attacks
from leaq.data import Reading
from leaq.quantizers import parse_list
from leaq.training import TrainingConfig

__all__ = ["AuditConfig"]


class AuditConfig(Reading):
    """Everything an audit depends on; the same configuration gives the same numbers.

    How the records are read is inherited from `Reading`. Folders are no part of it: results carry a digest of the data.

    Examples
    --------
    >>> AuditConfig(source="breast_cancer", quantizers=("sign", "uniform(bits=4)")).replicates
    16
    """

    source: str
    """Name of a catalogued data set, or a file."""
    embedder: str = "auto"
    quantizers: tuple[str, ...] = ("study", "uniform(bits=8)")
    """Specifications; family names are replaced by what they stand for. Full precision is always measured too."""
    replicates: PositiveInt = Field(default=16, ge=2, le=4096)
    """Models trained and attacked; each also serves as a shadow model for the others."""
    shadows: int = Field(default=0, ge=0, le=4096)
    """Further models trained that are not attacked: more shadow models for every attacked one."""
    attacks: tuple[str, ...] = ("default",)
    """Specifications; the families "default" and "all" are replaced by what they stand for."""
    training: TrainingConfig = TrainingConfig()
    seed: int = Field(default=0, ge=0)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of all intervals."""
    draws: PositiveInt = 200
    """Bootstrap draws of all intervals."""
    threads: PositiveInt | None = None
    """Threads of one audit; None leaves the choice to torch. Decides rounding: set it where engines must agree."""

    @field_validator("quantizers")
    @classmethod
    def _spelled_out(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(quantizer.spec() for quantizer in parse_list(",".join(specs)))

    @field_validator("attacks")
    @classmethod
    def _attacks_spelled_out(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        specs = tuple(attack.spec() for attack in parse_attacks(names))
        if not specs:
            raise ValueError("attacks must name at least one attack")
        return specs

    @property
    def models(self) -> int:
        """Number of models trained."""
        return self.replicates + self.shadows

    @property
    def whitebox(self) -> bool:
        """Whether an attack asks for statistics of the released weights."""
        return any(attack.access == "file" for attack in parse_attacks(self.attacks))

    def resolved(self, **choices: str) -> Self:
        """Return the configuration with what was "auto" replaced by what was chosen."""
        return type(self).from_dict({**self.to_dict(), **choices})
