"""Which quantized weights r compares for a finished model: recorded checkpoints, or neighbours of the final codes."""

import torch
from torch import nn

from leaq.auditing.config import ModelAuditConfig
from leaq.auditing.evaluating import Bench
from leaq.auditing.rows import NO_CANDIDATES
from leaq.errors import InvalidInput
from leaq.models import checkpoints_of
from leaq.quantizers import Scheme
from leaq.types import Checkpoints, LossTable, NotComputed

__all__ = ["candidates_of", "released_of", "with_released"]


def released_of(model: nn.Module, recorded: Checkpoints | None) -> Checkpoints:
    """Return the model's weights as batch (1,); with recorded checkpoints, those of them that were recorded.

    Raises
    ------
    InvalidInput
        If the checkpoints are of another architecture.
    """
    released = checkpoints_of(model)
    if recorded is None:
        return released
    if recorded.batch[:1] != (1,) or len(recorded.batch) != 2:
        raise InvalidInput(f"checkpoints must be of one model, batch (1, c). Found batch {recorded.batch}.")
    odd = [
        name
        for name, tensor in recorded.params.items()
        if name not in released.params or tensor.shape[2:] != released.params[name].shape[1:]
    ]
    if odd:
        raise InvalidInput(
            f"checkpoints must be of the model's own architecture. Not in the model, or of another shape: "
            f"{', '.join(odd[:3])}{', ...' * (len(odd) > 3)}."
        )
    names = [name for name in released.params if name in recorded.params]
    return Checkpoints({n: released.params[n] for n in names}, {n: released.roles[n] for n in names}, (1,))


def with_released(recorded: Checkpoints, released: Checkpoints) -> Checkpoints:
    """Append the released weights to the recorded ones, unless they already are the last."""
    last = recorded.last()
    widened = {name: tensor.to(released.params[name]) for name, tensor in recorded.params.items()}
    if all(torch.equal(last.params[name].to(t), t) for name, t in released.params.items()):
        return recorded.replace(widened)
    joined = {name: torch.cat([widened[name], released.params[name].unsqueeze(1)], dim=1) for name in widened}
    return Checkpoints(joined, released.roles, (1, recorded.batch[1] + 1))


def candidates_of(
    bench: Bench, scheme: Scheme, released: Checkpoints, recorded: Checkpoints | None, *, config: ModelAuditConfig
) -> LossTable | NotComputed:
    """Return the losses of the candidates that r compares under one quantizer, or why there are none."""
    if recorded is None:
        return NO_CANDIDATES
    trail = with_released(recorded, released)
    candidates = scheme.frozen_to(released)(trail)
    return bench.table(candidates, quantizer=scheme.spec(), strategy="trajectory")
