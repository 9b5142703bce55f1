"""Rounding what layers are given, as programs of integers do when they run."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from leaq.types import Activations
from leaq.types.activations import OUTPUTS, ZeroPoint, results_of


def rounded(x: Tensor, how: Activations, extremes: Tensor | None = None) -> Tensor:
    """Round numbers to the levels of a range, those beyond it to its ends; without one each record by its own numbers.

    Parameters
    ----------
    x : (n, ...), one model's inputs of a layer.
    extremes : (2,) lowest and highest; infinite ones leave the numbers as they are.

    Examples
    --------
    >>> x = torch.tensor([[-1.0, 0.2, 3.0]])
    >>> (rounded(x, Activations(2)) + 0).tolist()  # plus 0: -0.0 is 0.0
    [[0.0, 0.0, 3.0]]
    >>> rounded(x, Activations(2, "free"), torch.tensor([-1.0, 2.0])).tolist()
    [[-1.0, 0.0, 2.0]]
    """
    if extremes is None:
        axes = tuple(range(1, x.ndim))
        return at_levels(x, *own_extremes(x, how.zero_point, axes), how, static=False)
    return at_levels(x, extremes[..., 0], extremes[..., 1], how, static=True)


def own_extremes(x: Tensor, zero_point: ZeroPoint, axes: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the lowest and highest numbers along some axes, which are kept; around 0 the largest size twice."""
    if zero_point == "middle":
        size = x.abs().amax(dim=axes, keepdim=True)
        return -size, size
    return x.amin(dim=axes, keepdim=True), x.amax(dim=axes, keepdim=True)


def at_levels(x: Tensor, low: Tensor, high: Tensor, how: Activations, *, static: bool) -> Tensor:
    """Return the numbers at the nearest levels of ranges that broadcast against them.

    0 always is a level, and so is in the range. Source: ONNX QuantizeLinear and DynamicQuantizeLinear, and NNCF's
    ranges of symmetric activations, which have one level more below 0 than above.
    """
    top, most = 2 ** (how.bits - 1) - 1, 2**how.bits - 1
    middle = torch.maximum(-low, high) / top
    if how.zero_point == "middle":
        step, zero, last = middle, torch.full_like(middle, top + 1.0), most
        if not static:  # the largest number is a level: nothing lies beyond
            step = torch.where(step > 0, step, torch.ones_like(step))
            return torch.round(x / step) * step
    else:
        low, high = low.clamp(max=0), high.clamp(min=0)
        step, last = (high - low) / most, most
        zero = torch.round(-low / torch.where(step > 0, step, torch.ones_like(step)))
        if how.zero_point == "sign":
            step = torch.where(low < 0, middle, step)
            zero = torch.where(low < 0, torch.full_like(zero, top + 1.0), zero)
    usable = torch.isfinite(step) & (step > 0)
    safe, zero = torch.where(usable, step, torch.ones_like(step)), torch.where(usable, zero, torch.zeros_like(zero))
    codes = (torch.round(x / safe) + zero).clamp(0, last)
    return torch.where(torch.isfinite(step), (codes - zero) * safe, x)


@dataclass
class RoundedInputs:
    """What rounds the inputs of a module's layers, and its outputs, while it runs.

    Attributes
    ----------
    how : None rounds nothing.
    ranges : those of the model that runs, (2,) by weight.
    """

    how: Activations | None
    ranges: Mapping[str, Tensor] = field(default_factory=dict)

    def outputs(self, outputs: Tensor) -> Tensor:
        """Return the outputs, rounded where they have a range."""
        if self.how is None or OUTPUTS not in self.ranges:
            return outputs
        return rounded(outputs, self.how, self.ranges[OUTPUTS])


@contextmanager
def rounded_inputs(module: nn.Module, how: Activations | None) -> Iterator[RoundedInputs]:
    """Round the inputs of linear and convolution layers while the context lasts; of static ranges those that have one.

    A layer that is called several times has one range, and where a weight is tied that of its first name counts.
    """
    held, hooks = RoundedInputs(how), list[Any]()
    for name, layer in module.named_modules() if how is not None else ():
        if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            continue
        weight = f"{name}.weight" if name else "weight"

        def round_first(_layer: nn.Module, args: tuple[Any, ...], weight: str = weight) -> tuple[Any, ...]:
            assert how is not None
            if how.static and weight not in held.ranges:
                return args
            return (rounded(args[0], how, held.ranges.get(weight)), *args[1:])

        def round_results(_layer: nn.Module, _args: Any, found: Any, key: str = results_of(weight)) -> Any:
            return rounded(found, how, held.ranges[key]) if how is not None and key in held.ranges else found

        hooks.append(layer.register_forward_pre_hook(round_first))
        hooks += [layer.register_forward_hook(round_results)] if how is not None and how.outputs == "all" else []
    try:
        yield held
    finally:
        for hook in hooks:
            hook.remove()
