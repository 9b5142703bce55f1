"""Records drawn from a law that is known: Gaussian mixtures."""

import numpy as np

from leaq.config import parse_spec
from leaq.errors import InvalidInput
from leaq.seeds import stream
from leaq.types import Feature, Flag, Samples


def mixture(*, modes: int = 4, d: int = 128, n: int = 1000, spread: float = 1.0, seed: int = 0) -> Samples:
    """Draw `n` records in R^d from `modes` equally likely unit Gaussians, labelled alternately with two classes.

    The centres are themselves drawn, from N(0, spread^2 / sqrt(d) I), so that their distance grows slowly with the
    dimension. More modes at the same spread make the classes harder to tell apart: a class is then a union of clusters.

    Examples
    --------
    >>> samples = mixture(modes=2, d=16, n=60)
    >>> samples.inputs.shape, np.bincount(samples.targets).tolist()
    ((60, 16), [30, 30])
    """
    for name, value, least in (("modes", modes, 2), ("d", d, 1), ("n", n, 20)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InvalidInput(f"mixture: {name} must be a whole number of at least {least}. Found {value!r}.")
    if not 0 < spread < np.inf:
        raise InvalidInput(f"mixture: spread must be a positive number. Found {spread!r}.")
    rng = stream(seed, "mixture", modes, d)
    centres = rng.normal(size=(modes, d)) * spread / d**0.25
    mode = np.arange(n) % modes  # every mode equally often, so that no class is rare by bad luck
    inputs = centres[mode] + rng.normal(size=(n, d))
    return Samples(
        inputs=inputs.astype(np.float64),
        targets=(mode % 2).astype(np.int64),
        task="classification",
        name=f"mixture of {modes} in R^{d}",
        classes=("even", "odd"),
        features=tuple(Feature(f"x{i}") for i in range(d)),
        flags=(Flag("synthetic", f"Drawn from a mixture of {modes} Gaussians in R^{d}, {n} records, seed {seed}."),),
    )


def is_synthetic(source: str) -> bool:
    """Tell whether a source is a specification such as ``mixture(modes=4)`` and not a name or a file."""
    return source == "mixture" or source.startswith("mixture(")


def from_spec(source: str) -> Samples:
    """Draw the records of a specification.

    Examples
    --------
    >>> from_spec("mixture(modes=8, d=32, n=100)").name
    'mixture of 8 in R^32'
    """
    _, options = parse_spec(source)
    try:
        return mixture(**options)
    except TypeError as err:
        raise InvalidInput(f"{source!r}: {err}. Options: modes, d, n, spread, seed.") from None
