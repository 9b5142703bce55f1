"""Fingerprints of molecules, by RDKit's own generators."""

from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from leaq.config import Config
from leaq.errors import InvalidInput, first_rows, need
from leaq.types import Floats, Samples

__all__ = ["Morgan"]


class Morgan(Config):
    """Extended-connectivity fingerprint: one bit (or count) a hashed circular neighbourhood.

    Source: Rogers and Hahn, "Extended-Connectivity Fingerprints", J. Chem. Inf. Model. 50 (2010) 742; ECFP4 = radius 2.
    """

    kind: ClassVar[str] = "smiles"
    radius: int = Field(default=2, ge=0, le=6)
    size: int = Field(default=2048, ge=64, le=65536)
    counts: bool = False

    def transform(self, samples: Samples) -> Floats:
        """Return (n, size) float32 features; refuses molecules RDKit cannot read, by row."""
        if samples.kind != "smiles":
            raise InvalidInput("A fingerprint needs molecules. Found a table of numbers; name its SMILES column.")
        need("rdkit", extra="molecules", purpose="Computing fingerprints")
        from rdkit import Chem
        from rdkit.Chem import rdFingerprintGenerator

        generator = rdFingerprintGenerator.GetMorganGenerator(radius=self.radius, fpSize=self.size)
        compute = generator.GetCountFingerprintAsNumPy if self.counts else generator.GetFingerprintAsNumPy
        features = np.empty((len(samples), self.size), dtype=np.float32)
        unread = []
        for row, text in enumerate(samples.inputs):
            molecule: Any = Chem.MolFromSmiles(str(text))
            if molecule is None:
                unread.append(int(samples.ids[row]))
                continue
            features[row] = compute(molecule)
        if unread:
            raise InvalidInput(f"Fingerprints need readable SMILES. Not readable: {first_rows(unread)}.")
        return features

    def describe(self) -> str:
        """Say what the features are."""
        kind = "counts" if self.counts else "bits"
        return f"Morgan fingerprint, radius {self.radius}, {self.size} {kind}"
