"""Embedders: frozen maps from records to float features. What is fitted on members belongs to the models."""

from leaq.embedders.fingerprints import Morgan
from leaq.embedders.identity import Identity
from leaq.embedders.registry import EMBEDDERS, embed, listing, locate
from leaq.embedders.wrapped import FromModule, FromSklearn

__all__ = ["EMBEDDERS", "FromModule", "FromSklearn", "Identity", "Morgan", "embed", "listing", "locate"]
