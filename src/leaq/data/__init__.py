"""Data: where labelled records come from, and who is a member of which model's training set."""

from leaq.data.loading import listing, load
from leaq.data.tables import from_arrays

__all__ = ["from_arrays", "listing", "load"]
