"""Defences of others, as far as they can be had with public records that have no labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from leaq.pipeline.subjects import subject_of
from leaq.quantizers import build
from leaq.seeds import stream
from leaq.types import Bools, Checkpoints, silent

if TYPE_CHECKING:
    from benchmarks.protect.collect import Made

__all__ = ["RIVALS"]

STEPS, RATE = 300, 2e-3
"""Of the optimiser, on all public records at once."""
PARTS, LEFT_OUT = 10, 3
"""Models of Split-AI, and how many of them never see a member."""


def tuned(made: Made) -> Checkpoints:
    """Return the teachers, 90 % pruned by magnitude, every surviving weight fine-tuned on their outputs there.

    What pruning defences do that fine-tune on other than members; the survivors are free, not one scale a channel.
    """
    teacher = made.checkpoints.last()
    pruned = build("pruned(sparsity=0.9)")(teacher)
    start = {name: tensor for name, tensor in pruned.params.items() if teacher.roles[name] != "scaler"}
    masks = {name: (tensor != 0).to(tensor) for name, tensor in start.items() if teacher.roles[name] == "linear"}
    return _imitating(made, start, _goal(made), masks=masks)


def selena(made: Made) -> Checkpoints:
    """Return models that learnt, from scratch, what models trained without a record say of it.

    SELENA (Tang et al., arXiv 2110.08324v1): several models are trained on parts of the members, each member outside of
    `LEFT_OUT` of them; the student learns the mean output of these on the member, and of all on public records.
    """
    members, pool = made.todo.members, made.todo.pool
    count, n = members.shape
    out = _left_out(members, seed=made.config.seed)
    several = (members[:, None] & ~out).reshape(count * PARTS, n)
    config = made.config.model_copy(update={"replicates": len(several)})
    split = subject_of(config).train(pool, several, which=slice(0, len(several)), progress=silent)
    with torch.no_grad():
        said = [
            split.model.forward(split.checkpoints.last().params, torch.tensor(x, dtype=torch.float32))
            for x in (pool.inputs, made.public.inputs)
        ]
    own, public = (outputs.reshape(count, PARTS, *outputs.shape[1:]) for outputs in said)
    without = torch.tensor(out, dtype=own.dtype).unsqueeze(-1)
    goal = torch.cat([(own * without).sum(1) / without.sum(1).clamp_min(1.0), public.mean(1)], dim=1)
    asked = torch.cat([torch.tensor(members, dtype=goal.dtype), torch.ones(count, len(made.public))], dim=1)
    records = np.concatenate([pool.inputs, made.public.inputs])
    return _imitating(made, _fresh(made), (records, goal, asked), masks={})


def _left_out(members: Bools, *, seed: int) -> Bools:
    """Draw which members each model of Split-AI never sees, (models, parts, n)."""
    out = np.zeros((len(members), PARTS, members.shape[1]), dtype=bool)
    for i, row in enumerate(members):
        draws = stream(seed, "selena", i)
        for j in np.flatnonzero(row):
            out[i, draws.choice(PARTS, LEFT_OUT, replace=False), j] = True
    return out


Lesson = tuple[np.ndarray, Tensor, Tensor]
"""Records, what is to be answered on them (s, n, k), and which of them teach which model, (s, n)."""


def _goal(made: Made) -> Lesson:
    """Return what the teachers say of the public records."""
    x = torch.tensor(made.public.inputs, dtype=torch.float32)
    with torch.no_grad():
        goal = made.model.forward(made.checkpoints.last().params, x)
    return made.public.inputs, goal, torch.ones(goal.shape[:2])


def _fresh(made: Made) -> dict[str, Tensor]:
    """Draw initial weights of students; scalers stay the teachers'."""
    roles = made.checkpoints.roles
    drawn = made.model.init(made.config.seed + 1, range(made.checkpoints.batch[0]))
    return {name: tensor for name, tensor in drawn.items() if roles[name] != "scaler"}


def _imitating(made: Made, start: Mapping[str, Tensor], lesson: Lesson, *, masks: Mapping[str, Tensor]) -> Checkpoints:
    """Move weights until the models answer as the lesson says; what a mask holds at 0 stays there."""
    records, goal, asked = lesson
    x, shares = torch.tensor(records, dtype=torch.float32), (asked / asked.sum(1, keepdim=True)).unsqueeze(-1)
    centre = (goal * shares).sum(1, keepdim=True)
    unit = ((goal - centre).square() * shares).sum(1, keepdim=True).sqrt().clamp_min(1e-6)
    teacher = made.checkpoints.last()
    free = {name: tensor.clone().requires_grad_() for name, tensor in start.items()}
    optimizer = torch.optim.Adam(list(free.values()), lr=RATE)

    def now() -> dict[str, Tensor]:
        return {**teacher.params, **{name: tensor * masks.get(name, 1.0) for name, tensor in free.items()}}

    for _ in range(STEPS):
        apart = (made.model.forward(now(), x) - goal) / unit
        loss = (apart.square().mean(2, keepdim=True) * shares).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return teacher.replace({name: tensor.detach() for name, tensor in now().items()})


RIVALS: Mapping[str, Callable[[Made], Checkpoints]] = {"tuned": tuned, "selena": selena}
