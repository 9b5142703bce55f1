"""Data: where labelled records come from, and who is a member of which model's training set."""

from leaq.data.loading import listing, load, locate
from leaq.data.reading import Reading
from leaq.data.tables import from_arrays
from leaq.data.tasks import fetch

__all__ = ["Reading", "fetch", "from_arrays", "listing", "load", "locate"]
