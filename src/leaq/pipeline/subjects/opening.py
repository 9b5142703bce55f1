"""A released file, opened: its weights in the network they belong to, and how it rounds activations."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput
from leaq.models import ModuleModel, checkpoints_of, unwrap
from leaq.models.calling import output_tensor
from leaq.models.formats import filled_from
from leaq.models.formats.graphs import WeightGraph
from leaq.models.formats.levels import Levels, named_levels, rounding_of
from leaq.models.formats.placing import place_by_run
from leaq.models.nets.chemprop import chemprop_files, fill_chemprop
from leaq.models.programs import open_program
from leaq.models.sklearn import as_module, is_sklearn
from leaq.models.weights import check_match
from leaq.quantizers.files.opening import open_file
from leaq.types import Activations, Samples

COMPARED = 64
"""Records on which a program is compared with the network that gets its weights."""
Program = tuple[nn.Module, WeightGraph]


@dataclass(frozen=True)
class OpenedRelease:
    """A released model in the architecture of its shadow models.

    Attributes
    ----------
    stored : the form of each quantized weight, by name.
    activations : how the file rounds activations, with static ranges of its own, (2,) each; None where it does not, or
        where what its graph says of that leads away from its outputs.
    off : how far the network's outputs are from the program's, as a share of how much these vary: with activations
        rounded so, and without. 0 of a file of weights.
    """

    module: nn.Module
    stored: Mapping[str, str] = field(default_factory=dict)
    activations: Activations | None = None
    off: tuple[float, float] = (0.0, 0.0)


def open_released(
    released: Any, template: nn.Module, samples: Samples, program: Program | None = None
) -> OpenedRelease:
    """Return a released file or module in the template's architecture.

    Parameters
    ----------
    samples : a program is run on some of them, and so is the network with its weights.
    program : the file, where it was opened already.
    """
    if isinstance(released, str | Path) and (files := chemprop_files(released)):
        return OpenedRelease(fill_chemprop(files, template))
    if is_sklearn(released):
        released = as_module(released)
    if isinstance(released, nn.Module):
        module = unwrap(released)
        check_match(template, dict(checkpoints_of(module).at(0).params))
        return OpenedRelease(module)
    path = Path(released)
    if (program := program or open_program(path)) is None:
        return OpenedRelease(*filled_from(open_file(path, template), template, subject=path.name))
    return _from_program(program, template, torch.as_tensor(samples.inputs[:COMPARED]), path.name)


def _from_program(program: Program, template: nn.Module, inputs: Tensor, name: str) -> OpenedRelease:
    running, graph = program
    weights = graph.weights()
    dynamic = any(weight.given is not None and weight.given.scale is None for weight in weights)
    wanted = torch.cat([_outputs(running, one) for one in torch.split(inputs, 1 if dynamic else len(inputs))])

    def off(given: Tensor) -> float:
        if given.shape != wanted.shape:
            raise InvalidInput(
                f"{name}: it must give outputs of shape {tuple(given.shape)}, as the network does. Found "
                f"{tuple(wanted.shape)}. Check that it is this network's program."
            )
        return float((given - wanted).norm() / (wanted - wanted.mean(0)).norm().clamp_min(1e-12))

    outputs = named_levels({}, {}, graph.outputs)

    def rounded_off(module: nn.Module, levels: Mapping[str, Levels]) -> float:
        return off(_rounded_outputs(module, inputs, rounding_of({**levels, **outputs})))

    placed = place_by_run(weights, template, rounded_off, subject=name)
    assert placed.module is not None
    both = rounded_off(placed.module, placed.levels), off(_outputs(placed.module, inputs))
    rounding = rounding_of(placed.levels | outputs) if both[0] <= both[1] else None
    return OpenedRelease(placed.module, placed.stored, rounding, both)


def _rounded_outputs(module: nn.Module, inputs: Tensor, how: Activations | None) -> Tensor:
    if how is None:
        return _outputs(module, inputs)
    ranges = {key: ends.unsqueeze(0) for key, ends in how.ranges.items()}
    weights = checkpoints_of(module, copied=False).params
    return ModuleModel(module).forward(weights, inputs, activations=how.with_ranges(ranges))[0].double()


def _outputs(module: nn.Module, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return output_tensor(module(inputs)).double()
