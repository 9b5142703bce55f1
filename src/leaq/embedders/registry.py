"""Names of embedders, and the one function that applies them."""

from typing import Protocol

import numpy as np

from leaq.config import Registry
from leaq.embedders.fingerprints import Morgan
from leaq.embedders.identity import Identity
from leaq.errors import InvalidInput
from leaq.types import Floats, Samples

__all__ = ["EMBEDDERS", "Embedder", "embed"]


class Embedder(Protocol):
    """Anything that turns Samples into features without looking at targets or membership."""

    def transform(self, samples: Samples) -> Floats:
        """Return (n, d) features."""
        ...


EMBEDDERS: Registry[Embedder] = Registry("embedder")
EMBEDDERS.add("identity")(Identity)
EMBEDDERS.add("morgan")(Morgan)
EMBEDDERS.add("ecfp4")(lambda **options: Morgan(radius=2, **options))
EMBEDDERS.add("ecfp6")(lambda **options: Morgan(radius=3, **options))


def embed(samples: Samples, embedder: str | Embedder = "auto") -> Samples:
    """Return the same records with float32 inputs (n, d).

    Parameters
    ----------
    embedder : a specification such as ``ecfp4`` or ``morgan(radius=3, counts=true)``, any object with `transform`,
        or "auto": ecfp4 for molecules, the columns themselves for tables.

    Examples
    --------
    >>> from leaq.data import load
    >>> embed(load("wine")).inputs.shape
    (178, 13)
    """
    if embedder == "auto":
        embedder = "ecfp4" if samples.kind == "smiles" else "identity"
    built = EMBEDDERS.build(embedder) if isinstance(embedder, str) else embedder
    features = np.asarray(built.transform(samples), dtype=np.float32)
    if features.ndim != 2 or len(features) != len(samples):
        raise InvalidInput(f"An embedder must return ({len(samples)}, d) features. Found shape {features.shape}.")
    return samples.with_inputs(features)
