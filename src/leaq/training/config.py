"""The recipe a head is trained with; targets, replicates and shadows all use the same one."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, PositiveInt

from leaq.config import Config

__all__ = ["TrainingConfig"]


class TrainingConfig(Config):
    """How each head is trained.

    Examples
    --------
    >>> TrainingConfig(hidden=(64,), epochs=10).steps(n_train=100)
    40
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(title="How each model is trained")

    hidden: tuple[PositiveInt, ...] = (128, 64)
    """Widths of the hidden layers, ReLU between them; none for a linear head."""
    epochs: PositiveInt = 60
    """Passes over the training records."""
    batch_size: PositiveInt = 32
    """Records of one step."""
    learning_rate: float = Field(default=1e-3, gt=0)
    """Step size of the optimizer."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Rule of the steps."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Used by sgd only."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Factor of the weights that is added to the gradient (an L2 penalty)."""
    checkpoints: PositiveInt = 20
    """Weights recorded along training at equal spacing; the last ones are the released model's."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of training and evaluation."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where training and evaluation run; initial weights and batches are drawn on the CPU, so that devices agree."""
    chunk: PositiveInt | None = None
    """Models trained in one tensor program; by default memory decides. Part of the numbers' rounding in float32."""

    def steps(self, n_train: int) -> int:
        """Return the number of optimiser steps over `n_train` records."""
        return self.epochs * -(-n_train // min(self.batch_size, n_train))
