"""Graph networks for molecules, trained end to end on packed graphs (the embedder ``molgraph``)."""

from typing import TYPE_CHECKING

from leaq.lazy import found_in
from leaq.nets.registry import NETS, Dmpnn, Gcn, Gin, Net, dmpnn, gcn, gin

if TYPE_CHECKING:
    from leaq.nets.chemprop import read_chemprop

__all__ = ["NETS", "Dmpnn", "Gcn", "Gin", "Net", "dmpnn", "gcn", "gin", "read_chemprop"]

__getattr__ = found_in(__name__, {"read_chemprop": "leaq.nets.chemprop"})
