"""Keeps weights at equally spaced steps of a training run."""

from collections.abc import Mapping

import torch
from torch import Tensor

from leaq.types import Checkpoints, Role


class StackRecorder:
    """Copies stacked weights after chosen steps; the last recorded ones are the final weights.

    Parameters
    ----------
    roles : role of every parameter.
    total : number of training steps.
    keep : number of checkpoints, at equal spacing and ending with step `total`.

    Examples
    --------
    >>> recorder = StackRecorder({"w": "linear"}, total=10, keep=5)
    >>> recorder.steps
    (2, 4, 6, 8, 10)
    """

    def __init__(self, roles: Mapping[str, Role], *, total: int, keep: int) -> None:
        self.roles = roles
        keep = min(keep, total)
        self.steps = tuple(-(-total * (j + 1) // keep) for j in range(keep))
        self._slot = {step: slot for slot, step in enumerate(self.steps)}
        self._buffers: dict[str, Tensor] = {}

    def __contains__(self, step: object) -> bool:
        """Whether the weights after `step` are kept."""
        return step in self._slot

    def record(self, step: int, params: Mapping[str, Tensor]) -> None:
        """Copy the weights if `step` (counted from 1) is one of the chosen ones."""
        slot = self._slot.get(step)
        if slot is None:
            return
        for name in self.roles:
            tensor = params[name].detach()
            if name not in self._buffers:
                shape = (tensor.shape[0], len(self.steps), *tensor.shape[1:])
                self._buffers[name] = torch.empty(shape, dtype=tensor.dtype, device=tensor.device)
            self._buffers[name][:, slot] = tensor

    def checkpoints(self) -> Checkpoints:
        """Return everything recorded, batch (s, c)."""
        models = next(iter(self._buffers.values())).shape[0]
        return Checkpoints(self._buffers, self.roles, (models, len(self.steps)), self.steps)
