"""Other people's objects as embedders: transformers of scikit-learn's kind, and frozen torch modules."""

from typing import Any, ClassVar

import numpy as np

from leaq.errors import InvalidInput
from leaq.types import Floats, Samples


class FromSklearn:
    """Wrap an object with ``transform``, for example a fingerprint of scikit-fingerprints.

    It must need no fitting, or be fitted on records that are no part of the audit: what is fitted on members leaks.

    Examples
    --------
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from leaq.data import load
    >>> FromSklearn(FunctionTransformer(np.log1p)).transform(load("wine")).shape
    (178, 13)
    """

    kind: ClassVar[str] = "any"

    def __init__(self, transformer: Any) -> None:
        if not hasattr(transformer, "transform"):
            raise InvalidInput(f"FromSklearn needs an object with transform(). Found {type(transformer).__name__}.")
        self._transformer = transformer

    def transform(self, samples: Samples) -> Floats:
        """Return what the wrapped object makes of the inputs: a list of SMILES, or an array."""
        inputs: Any = samples.inputs.tolist() if samples.kind == "smiles" else samples.inputs
        found = self._transformer.transform(inputs)
        return np.asarray(found.toarray() if hasattr(found, "toarray") else found, dtype=np.float32)

    def describe(self) -> str:
        """Say what the features are."""
        return f"{type(self._transformer).__name__} (the user's own)"


class FromModule:
    """Wrap a torch module that maps inputs (n, d) to features (n, e). It is used as it is and never trained."""

    kind: ClassVar[str] = "table"

    def __init__(self, module: Any, *, batch: int = 1024) -> None:
        self._module, self._batch = module, batch

    def transform(self, samples: Samples) -> Floats:
        """Return the module's outputs in evaluation mode; its mode is restored."""
        import torch

        if samples.kind != "table":
            raise InvalidInput("FromModule needs numbers. Found SMILES; embed them first.")
        x = torch.as_tensor(np.asarray(samples.inputs, dtype=np.float32))
        was_training = self._module.training
        self._module.eval()
        try:
            with torch.no_grad():
                found = torch.cat([self._module(part) for part in torch.split(x, self._batch)])
        finally:
            self._module.train(was_training)
        return np.asarray(found.flatten(1).float().numpy())

    def describe(self) -> str:
        """Say what the features are."""
        return f"{type(self._module).__name__} (the user's own, frozen)"
