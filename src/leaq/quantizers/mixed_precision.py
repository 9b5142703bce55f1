"""Weights that go another way than the rest of their model: other codes, or none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from leaq.errors import InvalidInput, some
from leaq.quantizers.registry import build
from leaq.types import Checkpoints

if TYPE_CHECKING:
    from leaq.quantizers.scheme import Scheme

FULL = "full"


def others_of(text: str) -> tuple[tuple[str, Scheme | None], ...]:
    """Read ``NAME=QUANTIZER; NAME=full``: patterns of names with their quantizers, None for full precision.

    Examples
    --------
    >>> [(name, scheme and scheme.spec()) for name, scheme in others_of("head.*=full; *.weight=uniform(bits=8)")]
    [('head.*', None), ('*.weight', 'uniform(bits=8)')]
    """
    found = []
    for item in filter(None, (part.strip() for part in text.split(";"))):
        pattern, _, spec = (part.strip() for part in item.partition("="))
        if not pattern or not spec:
            raise InvalidInput(
                f"others must read NAME=QUANTIZER; NAME=full; ..., for example lm_head.weight=full. Found {item!r}."
            )
        found.append((pattern, None if spec == FULL else build(spec)))
    return tuple(found)


def spelled(ways: Mapping[str, str]) -> str:
    """Return the text that `others_of` reads, from names of weights and what each goes through."""
    return "; ".join(f"{name}={spec}" for name, spec in ways.items())


def apart(
    text: str, chosen: Mapping[str, Scheme], checkpoints: Checkpoints, weights: Sequence[str]
) -> dict[str, Scheme]:
    """Return what each weight goes through, those that `text` names by their own quantizer.

    Raises
    ------
    InvalidInput
        If a name fits no weight: another network was meant.
    """
    ways, after = others_of(text), dict(chosen)
    for pattern, _ in ways:
        if not any(fnmatchcase(name, pattern) for name in weights):
            raise InvalidInput(f"others: {pattern!r} must be a weight of the model. Found {some(weights, 6)}.")
    for name in weights:
        scheme = next(((way,) for pattern, way in ways if fnmatchcase(name, pattern)), None)
        if scheme is None:
            continue
        after.pop(name, None)
        if scheme[0] is not None:
            one = Checkpoints({name: checkpoints.params[name]}, {name: checkpoints.roles[name]}, checkpoints.batch)
            after |= scheme[0].plan(one)
    return after
