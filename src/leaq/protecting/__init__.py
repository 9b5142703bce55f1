"""Protection: choose the release that leaks least within an accuracy budget, prove it, write it."""

from leaq.protecting.choosing import Tried
from leaq.protecting.verb import DROP, Protected, protect

__all__ = ["DROP", "Protected", "Tried", "protect"]
