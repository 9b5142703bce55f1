"""A file's weights in the network they belong to, where no original stands beside it."""

from collections.abc import Mapping

from torch import nn

from leaq.models.formats.matching import fill
from leaq.models.formats.reading import FileWeights


def filled_from(
    reading: FileWeights, network: nn.Module, *, subject: str, fresh: bool = False, mapped: bool = False
) -> tuple[nn.Module, Mapping[str, str]]:
    """Return the network with a file's weights, and in which form each quantized one is stored.

    With no original to compare with, the file's conventions are taken as it names them. A `fresh` network, built for
    this file alone, is filled itself; any other is copied. `mapped` leaves what can be in the file; see `fill`.
    """
    filled = fill(reading, network, subject=subject, compare=False, copied=not fresh, mapped=mapped)
    return filled.module, filled.stored
