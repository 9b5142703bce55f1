"""Several releases of one model: which quantizers its copies went through, as one text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from leaq.errors import InvalidInput
from leaq.quantizers.registry import build
from leaq.quantizers.scheme import Scheme
from leaq.quantizers.stochastic_rounding import Noisy

AGAIN = re.compile(r"\s+x\s*(\d+(?:\s*/\s*\d+)*)$")
"""How often a random rounding is released: ``x8``, or ``x2/4/8`` for three sets."""
MOST = 64
"""Releases in a set: far more than anybody publishes, few enough to hold."""


@dataclass(frozen=True)
class ReleaseSet:
    """Releases of one model that an attacker holds together.

    Attributes
    ----------
    text : specifications joined by ``+``; ``x8`` behind a random rounding stands for eight with noise of their own.
    label : short text for tables and figures.
    quantizers : one a release, all different.
    rows : those of them that an audit shows one by one; of a random rounding the first release stands for all.
    """

    text: str
    label: str
    quantizers: tuple[Scheme, ...]
    rows: tuple[Scheme, ...]

    def spec(self) -> str:
        """Return the text that names the set."""
        return self.text


def parse_together(texts: Sequence[str]) -> tuple[ReleaseSet, ...]:
    """Read sets of releases, each once.

    Examples
    --------
    >>> sets = parse_together(["sign+uniform(bits=2)", "stochastic(bits=4) x2/8"])
    >>> [(one.text, len(one.quantizers)) for one in sets]
    [('sign + uniform(bits=2)', 2), ('stochastic(bits=4) x2', 2), ('stochastic(bits=4) x8', 8)]

    Raises
    ------
    InvalidInput
        If a set holds fewer than two different releases, or more than 64, or repeats what is not random.
    """
    return tuple({one.text: one for text in texts for one in _sets(text)}.values())


def _sets(text: str) -> list[ReleaseSet]:
    """Return the sets one text stands for: several where a number of releases is a list."""
    found: list[list[tuple[Scheme, int]]] = [[]]
    for part in _parts(text):
        scheme, counts = _counted(part, text)
        found = [[*before, (scheme, count)] for before in found for count in counts]
    return [_set(parts, text) for parts in found]


def _parts(text: str) -> list[str]:
    """Split at plus signs outside parentheses."""
    items, depth = [""], 0
    for char in text:
        depth += (char == "(") - (char == ")")
        if char == "+" and depth == 0:
            items.append("")
        else:
            items[-1] += char
    return [item.strip() for item in items]


def _counted(part: str, text: str) -> tuple[Scheme, list[int]]:
    again = AGAIN.search(part)
    scheme = build(part[: again.start()] if again else part)
    counts = [int(count) for count in again[1].split("/")] if again else [1]
    if again and not isinstance(scheme, Noisy):
        raise InvalidInput(
            f"together: only a random rounding (stochastic, dithered) differs when it is released again. Found "
            f"{part!r} in {text!r}. Name quantizers that differ, e.g. 'sign + uniform(bits=2)'."
        )
    return scheme, counts


def _set(parts: Sequence[tuple[Scheme, int]], text: str) -> ReleaseSet:
    if not 2 <= sum(count for _, count in parts) <= MOST:
        raise _refused(text, sum(count for _, count in parts))
    quantizers: dict[Scheme, None] = {}
    for scheme, count in parts:
        quantizers |= dict.fromkeys(scheme.again(count) if isinstance(scheme, Noisy) else (scheme,))
    if len(quantizers) < sum(count for _, count in parts):
        raise _refused(text, len(quantizers))
    times = [f" x{count}" if count > 1 else "" for _, count in parts]
    return ReleaseSet(
        " + ".join(scheme.spec() + again for (scheme, _), again in zip(parts, times, strict=True)),
        " + ".join(scheme.label() + again for (scheme, _), again in zip(parts, times, strict=True)),
        tuple(quantizers),
        tuple(dict.fromkeys(scheme for scheme, _ in parts)),
    )


def _refused(text: str, found: int) -> InvalidInput:
    return InvalidInput(
        f"together: a set must hold 2 to {MOST} different releases. Found {found} in {text!r}. "
        "Write e.g. 'sign + uniform(bits=2)' or 'stochastic(bits=4) x8'."
    )
