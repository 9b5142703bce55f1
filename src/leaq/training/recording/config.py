"""When weights are recorded, and what is kept of them."""

from typing import Literal

from pydantic import Field, PositiveInt

from leaq.config import Config


class RecorderConfig(Config):
    """When weights are recorded, and how many of them are kept.

    Examples
    --------
    >>> RecorderConfig(every=100).by
    'step'
    """

    every: PositiveInt = 1
    """Steps (or epochs) between two records; with by="log", records per factor of ten of steps."""
    by: Literal["step", "epoch", "log"] = "step"
    """Count calls of `step()`, calls of `epoch()`, or steps at equal ratios (dense at the start)."""
    keep: PositiveInt = Field(default=100, ge=2)
    """Most checkpoints kept."""
    max_bytes: PositiveInt = 2**30
    """Most bytes of weights kept; lowers `keep` where the model is large."""
    spacing: Literal["dense_end", "equal"] = "dense_end"
    """What goes when there are too many: keep the end dense (low k decides r), or keep the spacing equal."""
    parameters: Literal["all", "trainable"] = "all"
    """All weights, or those that require a gradient (adapters on a frozen model)."""
