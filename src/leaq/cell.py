"""What one cell of a study is: one data set, one embedder, one head, several quantizers, one seed."""

from typing import Self

from pydantic import Field, PositiveInt, field_validator

from leaq.attacks.suite import attack_names
from leaq.data import Reading
from leaq.quantizers import parse_list
from leaq.training import TrainingConfig
from leaq.training.standardise import DEFAULT

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
    """Names of attacks, or the families "default" and "all"."""
    training: TrainingConfig = TrainingConfig()
    public: str = ""
    """Public records of the same kind as the source's, a catalogued name or a file: ``standardise="public"`` takes its
    statistics from them."""
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

    @field_validator("training")
    @classmethod
    def _recorded_standardisation(cls, training: TrainingConfig) -> TrainingConfig:
        if training.standardise != "auto":
            return training
        return TrainingConfig.from_dict({**training.to_dict(), "standardise": DEFAULT})

    @field_validator("attacks")
    @classmethod
    def _known_attacks(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not attack_names(names):
            raise ValueError("attacks must name at least one attack")
        return names

    @property
    def models(self) -> int:
        """Number of models trained."""
        return self.replicates + self.shadows

    @property
    def whitebox(self) -> bool:
        """Whether an attack asks for statistics of the released weights."""
        return "whitebox" in attack_names(self.attacks)

    @property
    def numbers(self) -> bool:
        """Whether an attack asks for what the released file holds beside codes."""
        return "file" in attack_names(self.attacks)

    def resolved(self, **choices: str) -> Self:
        """Return the configuration with what was "auto" replaced by what was chosen."""
        return type(self).from_dict({**self.to_dict(), **choices})
