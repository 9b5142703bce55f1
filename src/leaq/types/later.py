"""Tensors whose numbers are worked out when they are needed, told apart without torch; see `leaq.models.later`."""

from typing import Any


def is_later(tensor: Any) -> bool:
    """Whether a tensor's numbers are worked out each time they are needed."""
    return hasattr(tensor, "make")


def at_hand(tensor: Any) -> Any:
    """Return a tensor with its numbers, so that several operations on it work them out once.

    Examples
    --------
    >>> import torch
    >>> from leaq.models.later import Later
    >>> type(at_hand(Later((2,), lambda: torch.zeros(2)))).__name__
    'Tensor'
    """
    return tensor.make() if is_later(tensor) else tensor
