"""What hangs on the attributes of a module and can be written in place, remembered by value and put back."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from types import FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

MOST = 10_000
"""Things that are looked at; whatever hangs on a module beyond them is no state of it."""
LARGE = 2**20
"""Numbers beyond which an array is locked while the module runs, and not copied: writing it is then an error."""
ATOMS = (str, bytes, int, float, complex, bool, type(None), type, FunctionType, MethodType, ModuleType, nn.Module)


def contents_of(values: Iterable[Any], seen: set[int]) -> Iterator[Callable[[], None]]:
    """Yield what puts each thing back that values hold, containers and objects in one another included.

    Parameters
    ----------
    seen : identities of what is remembered already; added to.

    Examples
    --------
    >>> held = {"counts": [1]}
    >>> back = list(contents_of([held], set()))
    >>> held["counts"].append(2)
    >>> for one in back:
    ...     one()
    >>> held
    {'counts': [1]}
    """
    pending = list(values)
    while pending and len(seen) < MOST:
        value = pending.pop()
        if isinstance(value, ATOMS) or id(value) in seen:
            continue
        seen.add(id(value))
        back, inner = _content(value)
        pending += inner
        if back is not None:
            yield back


Back = Callable[[], None] | None


def _content(value: Any) -> tuple[Back, Iterable[Any]]:
    """Return what puts a thing back, if it can be written, and what it holds."""
    if isinstance(value, Tensor | np.ndarray):
        return _numbers(value), ()
    if isinstance(value, list | deque):
        return _sequence(value, list(value)), list(value)
    if isinstance(value, dict):
        return _mapping(value, dict(value)), value.values()
    if isinstance(value, set):
        return _set(value, set(value)), ()
    if isinstance(value, tuple):
        return None, value
    own = getattr(value, "__dict__", None)
    if isinstance(own, dict) and not type(value).__module__.startswith("torch"):
        return _mapping(own, dict(own)), own.values()
    return None, ()


def _numbers(value: Any) -> Back:
    if isinstance(value, Tensor) and type(value) is not Tensor:  # packed weights move what hangs on them at first use
        own = getattr(value, "__dict__", None)
        return _mapping(own, dict(own)) if isinstance(own, dict) else None
    if isinstance(value, Tensor):
        return None if value.is_meta else _tensor(value)
    return _array(value) if value.flags.writeable and not value.dtype.hasobject else None


def _tensor(tensor: Tensor) -> Callable[[], None]:
    before = tensor.detach().clone()

    def back() -> None:  # by value: what is written through .data or an array counts as no new version
        if tensor.shape != before.shape or tensor.dtype != before.dtype:
            tensor.data = before
        elif not torch.equal(tensor, before):
            with torch.no_grad():
                tensor.copy_(before)

    return back


def _array(array: Any) -> Callable[[], None]:
    if array.size > LARGE:
        array.flags.writeable = False

        def unlock() -> None:
            array.flags.writeable = True

        return unlock
    before = array.copy()

    def back() -> None:
        array[...] = before

    return back


def _sequence(values: Any, before: list[Any]) -> Callable[[], None]:
    def back() -> None:
        if len(values) != len(before) or any(one is not other for one, other in zip(values, before, strict=True)):
            values.clear()
            values.extend(before)

    return back


def _mapping(values: Any, before: dict[Any, Any]) -> Callable[[], None]:
    def back() -> None:
        if list(values) != list(before) or any(values[key] is not before[key] for key in before):
            for key in list(values):
                del values[key]
            for key, value in before.items():
                values[key] = value

    return back


def _set(values: set[Any], before: set[Any]) -> Callable[[], None]:
    def back() -> None:
        if values != before:
            values.clear()
            values.update(before)

    return back
