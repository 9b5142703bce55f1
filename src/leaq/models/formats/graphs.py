"""Programs whose weights can be followed through their graph: ONNX, OpenVINO and LiteRT files."""

from pathlib import Path
from typing import Protocol

from leaq.models.formats.levels import Levels
from leaq.models.formats.weight import Weight


class WeightGraph(Protocol):
    """A program in a file, as far as its weights go."""

    @property
    def bytes(self) -> int | None:
        """What its constants take, codes of less than a byte packed; None where that is its file's size."""

    @property
    def outputs(self) -> Levels | None:
        """How it rounds its (first) outputs; None where it does not."""

    def weights(self) -> list[Weight]:
        """Return every weight and bias that an operator multiplies with or adds, in torch's orientation.

        A weight says how what it is multiplied with is rounded.
        """


def graph_of(path: Path) -> WeightGraph:
    """Return the graph of a program in a file, by its ending.

    Raises
    ------
    StoreError
        If it cannot be read.
    """
    if path.suffix == ".onnx":
        from leaq.models.formats.onnx import Graph, load_onnx

        return Graph(load_onnx(path), path.parent)
    if path.suffix == ".xml":
        from leaq.models.formats.openvino import OpenVinoGraph

        return OpenVinoGraph(path)
    from leaq.models.formats.litert import LiteRtGraph

    return LiteRtGraph(path)
