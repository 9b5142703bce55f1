"""What one cell of a study is: one data set, one embedder, one head, several quantizers, one seed."""

from typing import ClassVar, Literal, Self

from pydantic import ConfigDict, Field, PositiveInt, field_validator

from leaq.data import Reading
from leaq.training import TrainingConfig
from leaq.training.config import STANDARDISE

__all__ = ["AuditConfig"]


class AuditConfig(Reading):
    """Everything an audit depends on; the same configuration gives the same numbers.

    How the records are read is inherited from `Reading`. Folders are no part of it: results carry a digest of the data.

    Examples
    --------
    >>> AuditConfig(source="breast_cancer", quantizers=("sign", "uniform(bits=4)")).replicates
    16
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title="What is done to it")

    source: str
    """A data set known by name (breast_cancer, freesolv, bbb_martins, ...: see leaq datasets), or a CSV, TSV, Parquet,
    NPZ or SD file."""
    embedder: str = "auto"
    """How records become numbers: auto, identity, ecfp4, descriptors, ...: see leaq embedders."""
    quantizers: tuple[str, ...] = ("study", "uniform(bits=8)")
    """Ways to quantize, e.g. sign,uniform(bits=4) (see leaq quantizers), or the families study, shipped, all. Full
    precision is always measured too."""
    replicates: PositiveInt = Field(default=16, ge=2, le=4096)
    """Models trained, each on its own half of the records; each is attacked with all others as its shadow models."""
    shadows: int = Field(default=0, ge=0, le=4096)
    """Further models trained that are not attacked: more shadow models for every attacked one."""
    attacks: tuple[str, ...] = ("default",)
    """Attacks, e.g. threshold,lira(mode=offline), or the families default (they cost little) and all."""
    together: tuple[str, ...] = ()
    """Releases of one model that are attacked together, a plus between them, e.g. 'sign + uniform(bits=2)'; of a random
    rounding several, e.g. 'stochastic(bits=2) x8', or a set of each size with 'stochastic(bits=2) x2/4/8'."""
    game: Literal["pool", "calibration"] = "pool"
    """What is asked about a record: pool, did it train the model; calibration, did it calibrate the quantizer (of a
    model that it did not train; replicates and shadows then count calibrations)."""
    training: TrainingConfig = TrainingConfig()
    public: str = ""
    """Public records of the same kind as the source's, a catalogued name or a file: ``standardise="public"`` takes its
    statistics from them, quantizers that are calibrated elsewhere look at them. Those in the source are left out."""
    seed: int = Field(default=0, ge=0)
    """Root of every random draw; the same seed gives the same numbers."""
    level: float = Field(default=0.95, gt=0.5, lt=1)
    """Confidence level of all intervals."""
    draws: PositiveInt = 200
    """Bootstrap draws of all intervals."""
    threads: PositiveInt | None = None
    """Threads of one audit; by default torch decides. Part of the numbers' rounding: set it where runs must agree."""

    @field_validator("quantizers")
    @classmethod
    def _spelled_out(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        from leaq.quantizers import parse_list  # a configuration must be had without torch, see `leaq.options`

        return tuple(quantizer.spec() for quantizer in parse_list(",".join(specs)))

    @field_validator("training")
    @classmethod
    def _recorded_standardisation(cls, training: TrainingConfig) -> TrainingConfig:
        if training.standardise != "auto":
            return training
        return TrainingConfig.from_dict({**training.to_dict(), "standardise": STANDARDISE})

    @field_validator("attacks")
    @classmethod
    def _attacks_spelled_out(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        from leaq.attacks.registry import parse_attacks

        specs = tuple(attack.spec() for attack in parse_attacks(names))
        if not specs:
            raise ValueError("attacks must name at least one attack")
        return specs

    @field_validator("together")
    @classmethod
    def _together_spelled_out(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        from leaq.quantizers import parse_together

        return tuple(one.text for one in parse_together(texts)) if texts else ()

    @property
    def models(self) -> int:
        """Number of models trained."""
        return self.replicates + self.shadows

    @property
    def whitebox(self) -> bool:
        """Whether an attack asks for statistics of the released weights."""
        from leaq.attacks.registry import parse_attacks

        return any("whitebox" in attack.uses for attack in parse_attacks(self.attacks))

    @property
    def numbers(self) -> bool:
        """Whether an attack asks for what the released file holds beside codes."""
        from leaq.attacks.registry import parse_attacks

        return any("numbers" in attack.uses for attack in parse_attacks(self.attacks))

    def resolved(self, **choices: str) -> Self:
        """Return the configuration with what was "auto" replaced by what was chosen."""
        return type(self).from_dict({**self.to_dict(), **choices})
