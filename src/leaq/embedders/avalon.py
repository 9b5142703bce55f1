"""The Avalon fingerprint: paths, rings and environments of a hand-made list of feature classes."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import Field

from leaq.embedders.base import EmbedderEntry, Encoded, MoleculeEmbedder, each_molecule
from leaq.types import Progress, silent


class Avalon(MoleculeEmbedder):
    """Avalon toolkit's fingerprint, bits or counts.

    Source: Gedeck, Rohde, Bartels, "QSAR - How Good Is It in Practice?", J. Chem. Inf. Model. 46 (2006) 1924.
    """

    cost: ClassVar[float] = 0.5
    size: int = Field(default=1024, ge=64, le=65536)
    counts: bool = False

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        from rdkit.Avalon import pyAvalonTools
        from rdkit.DataStructs import ConvertToNumpyArray

        failed: dict[int, str] = {}
        features = np.zeros((len(smiles), self.size), dtype=np.uint16)
        compute = pyAvalonTools.GetAvalonCountFP if self.counts else pyAvalonTools.GetAvalonFP
        for row, molecule in each_molecule(smiles, failed, progress=progress):
            if molecule is not None:
                ConvertToNumpyArray(compute(molecule, nBits=self.size), held := np.zeros(self.size, dtype=np.int64))
                features[row] = np.minimum(held, np.iinfo(np.uint16).max)
        return Encoded(features, failed)

    def describe(self) -> str:
        return f"Avalon fingerprint, {self.size} {'counts' if self.counts else 'bits'}"


ENTRIES = (
    EmbedderEntry(
        "avalon", Avalon, 1024, "smiles", "fingerprint", "paths, rings and environments", "RDKit", "BSD-3-Clause"
    ),
)
