"""Programs in files, with what their graphs tell of their weights."""

from pathlib import Path

from torch import nn

from leaq.models.boxes import BlackBox, open_box, program_box
from leaq.models.formats.graphs import WeightGraph, graph_of
from leaq.models.formats.traced import TracedGraph, is_traced


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
