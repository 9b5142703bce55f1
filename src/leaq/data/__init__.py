"""Data: where labelled records come from, and who is a member of which model's training set."""

from typing import TYPE_CHECKING

from leaq.data.reading import Reading
from leaq.lazy import found_in

if TYPE_CHECKING:
    from leaq.data.loading import entries, load, locate
    from leaq.data.sources import check_columns, check_source
    from leaq.data.tables import from_arrays
    from leaq.data.tasks import fetch

__all__ = ["Reading", "check_columns", "check_source", "fetch", "from_arrays", "entries", "load", "locate"]

# The options of reading must be had without pandas: the command line shows them.
__getattr__ = found_in(
    __name__,
    {
        **dict.fromkeys(("entries", "load", "locate"), "leaq.data.loading"),
        "listing": "leaq.data.loading:entries",  # the former name; goes in version 0.3
        "check_columns": "leaq.data.sources",
        "check_source": "leaq.data.sources",
        "from_arrays": "leaq.data.tables",
        "fetch": "leaq.data.tasks",
    },
)
