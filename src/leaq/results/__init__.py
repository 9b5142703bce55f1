"""What an audit found, as plain data: stored, shown, handed on without what gives members away, as one tidy table."""

from typing import TYPE_CHECKING

from leaq.lazy import found_in

if TYPE_CHECKING:
    from leaq.results.cells import SCHEMA, CellResult, Comparison, Curve, QuantizerRow, as_plain
    from leaq.results.sizes import Size

__all__ = ["SCHEMA", "CellResult", "Comparison", "Curve", "QuantizerRow", "Size", "as_plain"]

# Names of metrics must be had without numpy: the command line shows them.
__getattr__ = found_in(__name__, dict.fromkeys(__all__, "leaq.results.cells"))
