"""How a model that ships rounds what its layers are given, beside what was done to its weights."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Self

from leaq.lazy import Tensor

ZeroPoint = Literal["middle", "sign", "free"]
"""Which level stands for 0: the middle one; the lowest where nothing is negative, and else the middle one; or any, the
levels then go from the lowest to the highest number."""
Outputs = Literal["none", "last", "all"]
"""What is rounded beside the inputs of layers: nothing, the network's outputs, or what every layer gives."""
OUTPUTS = ""
"""In place of a weight's name: the range of the network's outputs."""
_RESULTS = "results of "


def results_of(weight: str) -> str:
    """Return in place of a weight's name that of what its layer gives, before any activation function."""
    return _RESULTS + weight


@dataclass(frozen=True)
class Activations:
    """How the input of each layer is rounded when a model runs.

    Attributes
    ----------
    bits : of the levels.
    zero_point : which of them is 0.
    ranges : by weight the lowest and the highest number its input is given levels for, (*batch, 2), observed
        beforehand; infinite where it is not rounded. Without any, each record has levels for its own numbers. Results
        of layers (`results_of`) and the network's outputs (`OUTPUTS`) are rounded where they have one.

    Examples
    --------
    >>> import torch
    >>> some = Activations(8, "free", {"weight": torch.tensor([[0.0, 1.0], [0.0, 2.0]])})
    >>> some.at(-1).ranges["weight"].tolist(), some.static
    ([0.0, 2.0], True)
    """

    bits: int
    zero_point: ZeroPoint = "middle"
    ranges: Mapping[str, "Tensor"] = field(default_factory=dict)

    @property
    def static(self) -> bool:
        """Whether ranges were observed beforehand, and are the same for all records."""
        return bool(self.ranges)

    @property
    def outputs(self) -> Outputs:
        """What is rounded beside the inputs of layers."""
        results = sum(name.startswith(_RESULTS) for name in self.ranges)
        layers = sum(bool(name) and not name.startswith(_RESULTS) for name in self.ranges)
        if results and results >= layers:
            return "all"
        return "last" if OUTPUTS in self.ranges else "none"

    def consistent(self) -> Self:
        """Return it without the results of layers, where not those of all are rounded."""
        if self.outputs == "all":
            return self
        return self.with_ranges({name: ends for name, ends in self.ranges.items() if not name.startswith(_RESULTS)})

    def at(self, index: Any) -> Self:
        """Index the batch axes of the ranges."""
        return self.with_ranges({name: tensor[index] for name, tensor in self.ranges.items()})

    def with_ranges(self, ranges: Mapping[str, "Tensor"]) -> Self:
        """Return the same rounding with other ranges."""
        return replace(self, ranges=ranges)

    def repeated(self, count: int) -> Self:
        """Return it for `count` candidates of each model: ranges (*batch, 2) become (*batch, count, 2)."""
        return self.with_ranges({
            name: tensor.unsqueeze(-2).expand(*tensor.shape[:-1], count, 2) for name, tensor in self.ranges.items()
        })  # fmt: skip
