"""Programs in files, with what their graphs tell of their weights."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from leaq.models.boxes import BlackBox, carry, open_box, program_bytes
from leaq.models.calling import output_tensor
from leaq.models.formats.graphs import WeightGraph, graph_of
from leaq.models.formats.packed import PackedLayers
from leaq.models.formats.traced import TracedGraph, is_traced


class Running(nn.Module):
    """A module that runs as it is, beside which weights that were read out of it may be carried.

    Parameters
    ----------
    module : a copy, which is put into evaluation mode.
    bytes : what it weighs, where that is known.
    """

    def __init__(self, module: nn.Module, *, bytes: int | None) -> None:  # noqa: A002 - the noun of `Size`
        super().__init__()
        self.bytes = bytes
        with suppress(NotImplementedError, AttributeError):  # programs may have no modes
            module.eval()
        self._run = [module]  # in a list, so that it is no part: its tensors are packed, or under other names

    @property
    def running(self) -> nn.Module:
        """What runs."""
        return self._run[0]

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self._run[0](*args, **kwargs)

    def graft(self, module: nn.Module) -> "Running":
        """Carry the weights of another module under its names; they do not run."""
        carry(self, module)
        return self


def open_program(path: Path) -> tuple[BlackBox | Running, WeightGraph] | None:
    """Open a file that holds a program, and what its weights can be followed through; None if it holds weights alone.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    program = open_box(path)
    if isinstance(program, BlackBox):
        return program, graph_of(path)
    if program is not None and is_traced(program):
        return program_box(program, path.stat().st_size), TracedGraph(program)
    return None if program is None else (Running(program, bytes=program_bytes(path)), PackedLayers(program))


def program_box(program: GraphModule, size: int | None) -> BlackBox:
    """Return an exported program as a black box, which takes as many records at once as it was exported for.

    Examples
    --------
    >>> program = torch.export.export(nn.ReLU(), (torch.zeros(2, 3),)).module()
    >>> program_box(program, None)(torch.tensor([[-1.0, 2.0, 0.0]] * 5)).shape
    torch.Size([5, 3])
    """
    given = (node.meta.get("val") for node in program.graph.nodes if node.op == "placeholder")
    sizes = [value.shape[0] for value in given if isinstance(value, Tensor) and value.ndim]
    batch = sizes[0] if sizes and isinstance(sizes[0], int) else None

    def run(*args: Any, **kwargs: Any) -> Any:
        return output_tensor(
            program(*map(torch.from_numpy, args), **{k: torch.from_numpy(v) for k, v in kwargs.items()})
        )

    return BlackBox(run, bytes=size, batch=batch, kind="an exported program")
