"""Files of quantized models: read as their producers write them, and compared with the original beside them.

`read_file` tells by content what a file is; each module here knows one family of layouts. Codes become weights by the
file's own scales; where a layout has two conventions, the one that is nearer to the original is taken, and what is
not near it by any is refused.
"""

from leaq.models.formats.filling import filled_from
from leaq.models.formats.matching import fill, fitting
from leaq.models.formats.reading import FileWeights, bytes_in_memory, describe_file, read_file
from leaq.models.formats.weight import LazyWeight, Weight

__all__ = [
    "FileWeights",
    "LazyWeight",
    "Weight",
    "bytes_in_memory",
    "describe_file",
    "fill",
    "filled_from",
    "fitting",
    "read_file",
]
