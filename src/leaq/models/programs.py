"""Programs in files, with what their graphs tell of their weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule

from leaq.models.boxes import BlackBox, carry, open_box
from leaq.models.calling import output_tensor
from leaq.models.formats.graphs import WeightGraph, graph_of
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
        self._run = [module.eval()]  # in a list, so that it is no part: its tensors are packed, or under other names

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Run it."""
        return self._run[0](*args, **kwargs)

    def graft(self, module: nn.Module) -> "Running":
        """Carry the weights of another module under its names; they do not run."""
        carry(self, module)
        return self


def open_program(path: Path) -> tuple[nn.Module, WeightGraph | None] | None:
    """Open a file that holds a program, and the graph through which its weights can be followed if there is one.

    ONNX, OpenVINO, LiteRT and exported programs have one, TorchScript has none. None if the file holds weights alone.

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
    return None if program is None else (program, None)


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
