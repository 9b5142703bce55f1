"""Difficulty calibration: how much better a model fits a record than models that never saw it do.

Source: Watson, Guo, Cormode, Sablayrolles, "On the Importance of Difficulty Calibration in Membership Inference
Attacks" (arXiv 2111.08440v2), equation 1, with the shadows that did not train on the record as reference models. As
published (``normalise=False``) the score is the loss; otherwise the normalised margin or squared residual.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from leaq.attacks.base import Context, Ingredient, MembershipAttack, Sides
from leaq.attacks.shadows import Shadows
from leaq.types import Floats


class Calibrated(MembershipAttack):
    """Difficulty calibration: the record's fit, less the mean fit of models that did not train on it.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust when it is quiet: it knows a record's
    difficulty but not its spread, which LiRA does.

    normalise : take each model's common move out of its signals; False is the published attack on losses.

    Raises
    ------
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is out of none of a target's shadows.
    """

    name: ClassVar[str] = "calibrated"
    place: ClassVar[int] = 3
    source: ClassVar[str] = "arXiv 2111.08440v2"
    examples: ClassVar[tuple[str, ...]] = ("calibrated(normalise=False)", "calibrated")

    normalise: bool = True
    sides: ClassVar[Sides] = "out"
    """The references did not train on the record."""

    @property
    def needs(self) -> tuple[Ingredient, ...]:
        return ("shadows", "scores") if self.normalise else ("shadows",)

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return own fit minus the references' mean fit, (t, n)."""
        signals = context.signals.of("magnitude" if self.normalise else "loss", normalise=self.normalise)
        if self.normalise and context.table.task == "regression":
            signals = -(signals**2)
        shadows = Shadows(signals, context.table.members)
        known = shadows.of_all(targets, excluded, attack=self.spec(), sides=self.sides)
        return np.asarray(signals[list(targets)] - known.mean_out)

    def knows(self, context: Context) -> str:
        return (
            "sees the quantized model's losses; knows the pool, the training rule and the quantizer; "
            f"{context.shadows_of()} shadow models, those that did not train on a record as its references"
        )

    def title(self) -> str:
        return "difficulty-calibrated loss attack" + ("" if self.normalise else ", signals as published")

    def short(self) -> str:
        return "Calibrated loss" + ("" if self.normalise else ", as published")

    def explain(self) -> str:
        return "How much better the model fits a record than models that never saw it do."
