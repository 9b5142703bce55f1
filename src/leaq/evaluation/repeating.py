"""What a model must be before its losses say anything of a record: the same twice, and the record's own."""

from collections.abc import Callable

import torch
from torch import Tensor

from leaq.errors import UnsupportedModel
from leaq.seeds import drawn, shared_generators_kept
from leaq.types import Flag

REPEATS = 32
"""Runs on the first batch of a model that draws random numbers, before its outputs count as fixed."""


def refuse_random(run: Callable[[], Tensor], once: Tensor, *, what: str = "The model") -> tuple[Flag, ...]:
    """Refuse a model that gives other outputs for the same inputs in evaluation mode.

    Parameters
    ----------
    run : runs it on some records again.
    once : its outputs on them.

    Returns
    -------
    A doubt, where it draws random numbers and all runs agree.

    Raises
    ------
    UnsupportedModel
        If two runs differ. Where a run draws random numbers, it is repeated, so that equal ones are no luck.
    """
    with shared_generators_kept() as before:
        repeats, done = 1, 0
        while done < repeats:
            again = run()
            if not torch.allclose(once, again, rtol=1e-4, atol=1e-5 * float(once.abs().max()), equal_nan=True):
                raise UnsupportedModel(
                    f"{what} must give the same outputs for the same inputs in evaluation mode. This one is random "
                    f"in evaluation mode: two runs on the same {len(once)} records differ by up to "
                    f"{float((once - again).abs().max()):.3g}. Give functional dropout training=self.training, and "
                    "draw no noise in forward outside of training."
                )
            done += 1
            if drawn(before):
                repeats = REPEATS
    if repeats == 1:
        return ()
    text = (
        f"{what} draws random numbers in evaluation mode. {done + 1} runs on the first records gave the same outputs; "
        "draws that seldom matter (in fewer than 9 of 100 runs) may still change numbers."
    )
    return (Flag("draws", text),)
