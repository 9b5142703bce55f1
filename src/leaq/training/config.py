"""The recipe a head is trained with; targets, replicates and shadows all use the same one."""

from typing import ClassVar, Literal

from pydantic import ConfigDict, Field, PositiveInt

from leaq.config import Config

Standardise = Literal["auto", "none", "public", "pool", "rounded", "private", "members"]
"""Whose statistics a model's inputs (and regression targets) are centred and scaled by; see `TrainingConfig`."""

Device = Literal["cpu", "cuda"]
"""Where models run."""

STANDARDISE: Standardise = "pool"
"""What "auto" stands for in the built-in perceptron; chosen by measurement (docs/standardisation.md)."""


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
    schedule: Literal["constant", "warmup"] = "constant"
    """How the step size moves: constant; or warmup, from a tenth of it up in two epochs, then down to a tenth by the
    end, as chemprop does (DP-SGD keeps it constant)."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Rule of the steps."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Used by sgd only."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Factor of the weights that is added to the gradient (an L2 penalty)."""
    checkpoints: PositiveInt = 20
    """Weights recorded along training at equal spacing; the last ones are the released model's."""
    standardise: Standardise = "auto"
    """What inputs and regression targets are centred and scaled by; it is released with the model.

    none : nothing, they are taken as they are.
    public : statistics of public records, columns of zeros and ones centred and scaled by 1/2;
        without public records the same as none.
    pool : the same of all records of the pool, members and non-members alike. Says nothing about who is a member, but
        takes for granted that there are records beside the members.
    rounded : the members' statistics kept to few bits: scales to powers of two, means to `standardise_bits`.
    private : the members' statistics with the noise of differential privacy.
    members : the members' own statistics in full precision; they give the members away.
    auto : pool for the built-in perceptron; none for a module, whose scaling is its own business.
    """
    standardise_bits: PositiveInt = Field(default=2, le=24)
    """Used by rounded: means are multiples of the scale over 2 ** (bits - 1)."""
    standardise_epsilon: float = Field(default=1.0, gt=0, le=100)
    """Used by private: one record more or less, delta = 1 / (10 n), all statistics of one model together."""
    dtype: Literal["float32", "float64"] = "float32"
    """Precision of training and evaluation."""
    device: Device = "cpu"
    """Where training and evaluation run; initial weights and batches are drawn on the CPU, so that devices agree."""
    chunk: PositiveInt | None = None
    """Models trained in one tensor program; by default memory decides. Part of the numbers' rounding in float32."""

    def rate(self, step: int, total: int) -> float:
        """Return the step size of a step, counted from 1, of `total`.

        warmup: linear for two epochs (half of the steps where there are fewer than four), then exponential. Source:
        chemprop's Noam-like schedule, after Vaswani et al., "Attention Is All You Need" (arXiv 1706.03762v7).

        Examples
        --------
        >>> config = TrainingConfig(schedule="warmup", learning_rate=1.0, epochs=4)
        >>> [round(config.rate(step, 8), 2) for step in range(1, 9)]
        [0.1, 0.33, 0.55, 0.78, 1.0, 0.56, 0.32, 0.18]
        """
        if self.schedule == "constant":
            return self.learning_rate
        done, warm = step - 1, total * min(2 / self.epochs, 0.5)
        if done < warm:
            return self.learning_rate * (0.1 + 0.9 * done / warm)
        return self.learning_rate * float(0.1 ** ((done - warm) / (total - warm)))

    def steps(self, n_train: int) -> int:
        """Return the number of optimiser steps over `n_train` records."""
        return self.epochs * -(-n_train // min(self.batch_size, n_train))
