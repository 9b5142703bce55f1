"""Protection: choose the release that leaks least within an accuracy budget, prove it, write it."""

from leaq.api.protecting.choosing import Tried
from leaq.api.protecting.verb import DROP, Protected, protect

__all__ = ["DROP", "Protected", "Tried", "protect"]
