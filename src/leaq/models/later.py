"""Weights that are worked out each time something computes with them, and dropped again: layer by layer, never whole.

A network whose weights stay in their file, or are held as the codes of a quantizer, runs as any other does: what a
layer reads is a tensor of the right shape whose numbers come into being for that one operation.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from leaq.errors import UnsupportedModel
from leaq.types.later import at_hand


class Later(Tensor):
    """A tensor of 32-bit numbers on the CPU that `make` works out for every operation that needs them.

    Views of it (a row, a transpose, another axis) are worked out later, too; nothing can be written into it.

    Parameters
    ----------
    shape : what `make` returns has it.
    make : returns the numbers; called again each time.

    Examples
    --------
    >>> weight = Later((2, 3), lambda: torch.ones(2, 3))
    >>> torch.nn.functional.linear(torch.ones(1, 3), weight).tolist()
    [[3.0, 3.0]]
    >>> type(weight[0]).__name__, weight.T.shape
    ('Later', torch.Size([3, 2]))
    """

    make: Callable[[], Tensor]

    @staticmethod
    def __new__(cls, shape: tuple[int, ...], make: Callable[[], Tensor]) -> "Later":
        """Return a tensor without memory of its own."""
        return _shaped(torch.empty(shape, dtype=torch.float32, device="meta"), make)

    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        """Work out what an operation reads; put off what only looks at it another way."""
        kwargs = dict(kwargs or {})
        schema = func._schema
        if schema.is_mutable and any(
            isinstance(value, cls) for value, told in zip(args, schema.arguments, strict=False)
            if told.alias_info is not None and told.alias_info.is_write
        ):  # fmt: skip
            raise UnsupportedModel(
                "The model must not change its own weights when it runs. Its forward method writes some that stay in "
                "their file, or are held as a quantizer's codes. Do that in training alone."
            )
        if len(schema.returns) == 1 and (told := schema.returns[0].alias_info) is not None and not told.is_write:
            looked = func(*(_empty(value) if isinstance(value, cls) else value for value in args), **kwargs)
            whole = args[0]
            if isinstance(looked, Tensor) and isinstance(whole, cls):
                return _shaped(looked, lambda: func(whole.make(), *args[1:], **kwargs))
        return func(*tree_map_only(cls, at_hand, args), **tree_map_only(cls, at_hand, kwargs))

    def numpy(self, *, force: bool = False) -> Any:
        """Return the numbers as an array."""
        return self.make().numpy(force=force)

    def tolist(self) -> Any:
        """Return the numbers as nested lists."""
        return self.make().tolist()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Later":
        """Return itself: nothing can be written into it."""
        return self

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        """Say what it is, without working it out."""
        return f"Later(shape={tuple(self.shape)})"


def _shaped(like: Tensor, make: Callable[[], Tensor]) -> Later:
    found: Later = torch.Tensor._make_wrapper_subclass(
        Later,
        like.shape,
        strides=like.stride(),
        storage_offset=like.storage_offset(),
        dtype=like.dtype,
        device=torch.device("cpu"),
    )
    found.make = make
    return found


def _empty(tensor: Tensor) -> Tensor:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
