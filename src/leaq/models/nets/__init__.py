"""Graph networks for molecules, trained end to end on packed graphs (the embedder ``molgraph``)."""

from typing import TYPE_CHECKING

from leaq.lazy import found_in
from leaq.models.nets.registry import NETS, Chemprop, Dmpnn, Gcn, Gin, Net, dmpnn, gcn, gin

if TYPE_CHECKING:
    from leaq.models.nets.chemprop import read_chemprop

__all__ = ["NETS", "Chemprop", "Dmpnn", "Gcn", "Gin", "Net", "dmpnn", "gcn", "gin", "read_chemprop"]

__getattr__ = found_in(__name__, {"read_chemprop": "leaq.models.nets.chemprop"})
