"""Embedders: frozen maps from records to float features. What is fitted on members belongs to the models."""

from leaq.embedders.fingerprints import Morgan
from leaq.embedders.identity import Identity
from leaq.embedders.registry import EMBEDDERS, embed, entries, locate
from leaq.embedders.wrapped import FromModule, FromSklearn
from leaq.lazy import found_in

__all__ = ["EMBEDDERS", "FromModule", "FromSklearn", "Identity", "Morgan", "embed", "entries", "locate"]

__getattr__ = found_in(__name__, {"listing": "leaq.embedders.registry:entries"})  # the former name; goes in version 0.3
