"""One step down the gradient, by the rules of torch.optim without what it loads: its compiler costs a second to import.

Every rule here acts on each weight alone, which is what makes stacking exact. The same to the last digit as
torch.optim, whose own operators do the arithmetic (`tests/unit/training/test_steps.py`).

The recorder beside it keeps weights at equally spaced steps of a training run.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.training.config import TrainingConfig
from leaq.types import Checkpoints, Role

BETAS, TINY = (0.9, 0.999), 1e-8
"""Adam's, as in torch.optim."""


class Descent:
    """Steps of SGD with momentum, or of Adam, on tensors whose ``grad`` is filled before each step.

    Examples
    --------
    >>> weight = torch.ones(2)
    >>> weight.grad = torch.tensor([1.0, -1.0])
    >>> Descent([weight], TrainingConfig(optimizer="sgd", learning_rate=0.5, momentum=0.0, weight_decay=0.0)).step()
    >>> weight
    tensor([0.5000, 1.5000])
    """

    def __init__(self, params: Sequence[Tensor], config: TrainingConfig) -> None:
        self._params, self._config = list(params), config
        self._first = [torch.zeros_like(one) for one in self._params] if config.optimizer == "adam" else []
        self._second = [torch.zeros_like(one) for one in self._first]
        self._counts = [torch.zeros((), dtype=torch.float32, device=one.device) for one in self._first]

    @torch.no_grad()
    def step(self, rate: float | None = None) -> None:
        """Move the parameters, by steps of this size where it is not that of the configuration.

        Raises
        ------
        InvalidInput
            If one has no gradient.
        """
        # The fused kernel takes for granted that gradients lie as the weights do.
        gradients = [one.grad.contiguous() for one in self._params if one.grad is not None]
        if len(gradients) < len(self._params):
            raise InvalidInput(
                f"A step needs the gradient of all {len(self._params)} parameters. Found those of {len(gradients)}."
            )
        rate = self._config.learning_rate if rate is None else rate
        if self._config.optimizer == "adam":
            self._adam(gradients, rate)
        else:
            self._sgd(gradients, rate)

    def _adam(self, gradients: list[Tensor], rate: float) -> None:
        torch._foreach_add_(self._counts, 1)
        torch._fused_adam_(
            self._params,
            gradients,
            self._first,
            self._second,
            [],
            self._counts,
            lr=rate,
            beta1=BETAS[0],
            beta2=BETAS[1],
            weight_decay=self._config.weight_decay,
            eps=TINY,
            amsgrad=False,
            maximize=False,
        )

    def _sgd(self, gradients: list[Tensor], rate: float) -> None:
        decay, momentum = self._config.weight_decay, self._config.momentum
        fresh = not self._first
        for place, (param, gradient) in enumerate(zip(self._params, gradients, strict=True)):
            if decay:
                gradient = gradient.add(param, alpha=decay)  # noqa: PLW2901
            if momentum and fresh:
                self._first.append(gradient.clone())
            elif momentum:
                self._first[place].mul_(momentum).add_(gradient)
            param.add_(self._first[place] if momentum else gradient, alpha=-rate)


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
