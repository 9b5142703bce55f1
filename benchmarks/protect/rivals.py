"""Defences of others, as far as they can be had with public records that have no labels."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from leaq.quantizers import build
from leaq.types import Checkpoints, Samples

__all__ = ["RIVALS"]

STEPS, RATE = 300, 2e-3
"""Of the optimiser, on all public records at once."""


def student(model: Any, teacher: Checkpoints, public: Samples, *, seed: int) -> Checkpoints:
    """Return models of the same architecture that learnt the teachers' outputs on public records, from scratch.

    Distillation for membership privacy (Shejwalkar and Houmansadr, arXiv 1906.06589v3), with the public records there
    are; scalers are the teachers'.
    """
    fresh = model.init(seed + 1, range(teacher.batch[0]))
    start = {name: tensor for name, tensor in fresh.items() if teacher.roles[name] != "scaler"}
    return _imitating(model, teacher, start, public, masks={})


def tuned(model: Any, teacher: Checkpoints, public: Samples, *, seed: int) -> Checkpoints:
    """Return the teachers, 90 % pruned by magnitude, every surviving weight fine-tuned on their outputs there.

    What pruning defences do that fine-tune on other than members; the survivors are free, not one scale a channel.
    """
    del seed  # nothing is drawn
    pruned = build("pruned(sparsity=0.9)")(teacher)
    start = {name: tensor for name, tensor in pruned.params.items() if teacher.roles[name] != "scaler"}
    masks = {name: (tensor != 0).to(tensor) for name, tensor in start.items() if teacher.roles[name] == "linear"}
    return _imitating(model, teacher, start, public, masks=masks)


def _imitating(
    model: Any, teacher: Checkpoints, start: Mapping[str, Tensor], public: Samples, *, masks: Mapping[str, Tensor]
) -> Checkpoints:
    """Move weights until the models answer as the teachers do on public records; what a mask holds at 0 stays there."""
    x = torch.tensor(public.inputs, dtype=torch.float32)
    with torch.no_grad():
        goal = model.forward(teacher.params, x)
    unit = goal.std(1, keepdim=True).clamp_min(1e-6)
    free = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    optimizer = torch.optim.Adam(list(free.values()), lr=RATE)

    def now() -> dict[str, Tensor]:
        return {**teacher.params, **{name: tensor * masks.get(name, 1.0) for name, tensor in free.items()}}

    for _ in range(STEPS):
        loss = ((model.forward(now(), x) - goal) / unit).square().mean((1, 2)).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return teacher.replace({name: tensor.detach() for name, tensor in now().items()})


RIVALS: Mapping[str, Callable[..., Checkpoints]] = {"student": student, "tuned": tuned}
