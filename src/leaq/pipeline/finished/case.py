"""A finished model with everything that is brought to its audit."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from torch import nn

from leaq.evaluation.losses import LossFunction
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration
from leaq.types import AttackResult, Checkpoints, Flag, LossTable, NotComputed

if TYPE_CHECKING:
    from leaq.pipeline.finished.evaluating import ModelEvaluator

ExtraAttacks = Callable[["ModelEvaluator", LossTable], Mapping[str, AttackResult | NotComputed]]
"""Further attacks on a released model, computed right after it was evaluated."""


@dataclass(frozen=True)
class Case:
    """What is asked about a finished model, and with what.

    Attributes
    ----------
    members, nonmembers : as `leaq.pipeline.finished.records.read_records` reads them; of a language model texts.
    loss : "auto", a named loss, or a function of (outputs, targets) that returns one value per record.
    shipped, checkpoints, calibration, tokenizer, reference : see `leaq.pipeline.subjects.Given`.
    flags : what is doubted about the model itself.
    lent : whether the model was read from a file for this audit alone, so that no copy of it has to be kept.
    """

    config: AuditConfig
    model: nn.Module
    members: Any
    nonmembers: Any
    loss: str | LossFunction = "auto"
    shipped: Mapping[str, Any] = field(default_factory=dict)
    checkpoints: Checkpoints | None = None
    calibration: Calibration | None = None
    tokenizer: Any = None
    reference: nn.Module | None = None
    flags: tuple[Flag, ...] = ()
    extra: ExtraAttacks | None = None
    lent: bool = False
