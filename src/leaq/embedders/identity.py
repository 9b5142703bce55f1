"""Table columns as they are, categories one-hot. Standardisation is each model's own, fitted on its members."""

from typing import ClassVar

import numpy as np

from leaq.config import Config
from leaq.embedders.base import EmbedderEntry
from leaq.errors import InvalidInput
from leaq.types import Floats, Samples


class Identity(Config):
    """Numeric columns unchanged, one column a level of every categorical one."""

    kind: ClassVar[str] = "table"

    def transform(self, samples: Samples) -> Floats:
        """Return (n, d) float32 features.

        The levels are those of the whole table: the list of categories is taken for public, who has which is not.
        """
        if samples.kind != "table":
            raise InvalidInput("The identity embedder needs numbers. Found SMILES; use ecfp4, for example.")
        values = np.asarray(samples.inputs, dtype=np.float64)
        if not any(feature.levels for feature in samples.features):
            return values.astype(np.float32)
        columns = []
        for i in range(values.shape[1]):
            levels = samples.features[i].levels if samples.features else ()
            column = values[:, i]
            columns.append(column[:, None] == np.arange(len(levels)) if levels else column[:, None])
        return np.concatenate(columns, axis=1).astype(np.float32)

    def describe(self) -> str:
        """Say what the features are."""
        return "table columns as they are, categories one-hot"


_WHAT = "columns as they are, categories one-hot"
ENTRIES = (EmbedderEntry("identity", Identity, None, "table", "columns", _WHAT, "leaq", "Apache-2.0", place=0),)
