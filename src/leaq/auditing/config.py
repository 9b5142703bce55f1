"""What an audit of a finished model depends on, beside the model and the records."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import Field, PositiveInt, field_validator
from torch import nn

from leaq.config import Config
from leaq.errors import InvalidInput
from leaq.quantizers import Calibration, parse_list
from leaq.types import Checkpoints

__all__ = ["Beside", "ModelAuditConfig"]


class ModelAuditConfig(Config):
    """How a finished model is audited.

    Examples
    --------
    >>> ModelAuditConfig(quantizers=("sign", "uniform(bits=4)")).level
    0.95
    """

    quantizers: tuple[str, ...] = ("study", "uniform(bits=8)")
    """Specifications or families; full precision is always measured too."""
    n_train: PositiveInt | None = None
    """Number of records the model was trained on; by default the number of members given."""
    overlap: Literal["refuse", "keep"] = "refuse"
    """What to do with records that are given both as members and as non-members."""
    columns: tuple[str, ...] = ()
    target: str | None = None
    """Input columns and target of data sets with named columns."""
    length: PositiveInt | None = None
    """Tokens of a text that are read, for language models; by default as many as the model takes."""
    neighbours: PositiveInt = Field(default=64, le=4096)
    """Candidates sampled around the quantized weights for r."""
    seed: int = Field(default=0, ge=0)
    level: float = Field(default=0.95, gt=0.5, lt=1)
    draws: PositiveInt = 200

    @field_validator("quantizers", mode="before")
    @classmethod
    def _spelled_out(cls, specs: Any) -> tuple[str, ...]:
        names = tuple(specs) if isinstance(specs, list | tuple | set | frozenset) else (specs,)
        odd = next(
            (item for item in names if not isinstance(item, str) and not callable(getattr(item, "spec", None))), ""
        )
        if odd != "":
            raise ValueError(f"each must be a specification or a quantizer, and one is a {type(odd).__name__}")
        texts = [item if isinstance(item, str) else item.spec() for item in names]
        return tuple(quantizer.spec() for quantizer in parse_list(",".join(texts))) if texts else ()


@dataclass(frozen=True)
class Beside:
    """Further ingredients an auditor may have; each one allows more measures.

    Attributes
    ----------
    checkpoints : weights along training (`leaq.Recorder`), batch (1, c): candidates for r.
    shipped : models quantized elsewhere, by name, as they run or as files: a module, a session, a function, an
        endpoint, a file or folder of weights or of a program; see `leaq.auditing.shipped.open_shipped`.
    calibration : records that calibrated quantizers look at where they are not the members; its `source` is named in
        the results.
    tokenizer : turns texts into tokens; makes this the audit of a language model.
    reference : a language model that has not seen the members; calibrates the attack.

    Raises
    ------
    InvalidInput
        If `shipped` is no mapping of names to models, or `checkpoints` are none.
    """

    checkpoints: Checkpoints | None = None
    shipped: Mapping[str, Any] = field(default_factory=dict)
    calibration: Calibration | None = None
    tokenizer: Any = None
    reference: nn.Module | None = None

    def __post_init__(self) -> None:
        for name, kind, wanted in (
            ("shipped", Mapping, "map names to models, such as {'q4': model}"),
            ("checkpoints", Checkpoints | None, "be those of a recorder (recorder.checkpoints)"),
        ):
            if not isinstance(getattr(self, name), kind):
                raise InvalidInput(f"{name} must {wanted}. Found a {type(getattr(self, name)).__name__}.")
