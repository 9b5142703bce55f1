"""The gap attack: a record whose class the model predicts is called a member.

Source: Yeom, Giacomelli, Fredrikson, Jha, "Privacy Risk in Machine Learning" (arXiv 1709.01604v5), Adversary 1 with the
0-1 loss.
"""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from leaq.attacks.base import Context, Ingredient, MembershipAttack, Tells
from leaq.types import Floats


class Correctness(MembershipAttack):
    """Call a member what is classified rightly: the floor of all attacks, its advantage is the gap in accuracy.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Do not trust when it is quiet: stronger attacks exist.

    Examples
    --------
    >>> from leaq.types import LossTable
    >>> margins = np.r_[np.tile([2.0, 1.0, 1.0, -1.0], 50), np.tile([2.0, 1.0, -1.0, -1.0], 50)]  # 3 in 4, 2 in 4 right
    >>> table = LossTable(-margins[None, None], np.arange(400)[None] < 200, "classification", "iid", n_train=200,
    ...     scores=margins[None], targets=np.arange(400) % 2)
    >>> round(Correctness()(table).advantage.value, 2)
    0.25
    """

    name: ClassVar[str] = "correctness"
    place: ClassVar[int] = 0
    source: ClassVar[str] = "arXiv 1709.01604v5"
    examples: ClassVar[tuple[str, ...]] = ("correctness",)
    needs: ClassVar[tuple[Ingredient, ...]] = ("classes", "scores")
    tells: ClassVar[Tells] = "threshold"
    """One threshold, as the framework asks for one; between right and wrong there is only one."""

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return 1 where the margin is positive, else 0, (t, n)."""
        assert context.table.scores is not None
        return np.asarray(context.table.scores[list(targets)] > 0, dtype=np.float64)

    def knows(self, context: Context) -> str:
        return (
            "sees the class that the quantized model predicts; is told which of its other records are members, and "
            "takes the threshold from them; no shadow models"
        )

    def title(self) -> str:
        return "gap attack"

    def short(self) -> str:
        return "Gap"

    def explain(self) -> str:
        return "Whether the model predicts the record's class: its advantage is the gap in accuracy."
