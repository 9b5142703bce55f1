"""SMILES as whole numbers, one a symbol: what a SMILES transformer of the user's own is trained or fine-tuned on."""

import re
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from pydantic import PositiveInt

from leaq.embedders.base import UNREADABLE, EmbedderEntry, Encoded, MoleculeEmbedder, read_molecules
from leaq.types import Progress, silent

PADDING, START, END = 0, 1, 2
SYMBOLS = ("Cl", "Br", "@@", *"#%()+-./0123456789:=@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]abcdefghijklmnopqrstuvwxyz")
"""Symbols in the order of their numbers, the first of which is 3; 0 pads, 1 starts and 2 ends a molecule."""
VOCABULARY = len(SYMBOLS) + 3
_NUMBERS = {symbol: number for number, symbol in enumerate(SYMBOLS, start=3)}
_SYMBOL = re.compile(r"Cl|Br|@@|.")


class SmilesTokens(MoleculeEmbedder):
    """Canonical SMILES as rows of symbols' numbers, padded with 0; for networks that look their inputs up.

    Source: the symbols follow Schwaller et al., "Molecular Transformer" (arXiv 1811.02633v2), but for atoms in
    brackets, which are spelled out so that the vocabulary is closed.

    Examples
    --------
    >>> SmilesTokens(length=6).encode(["CCl"]).features.astype(int).tolist()
    [[1, 29, 3, 2, 0, 0]]
    """

    columns: ClassVar[bool] = False
    cost: ClassVar[float] = 0.1

    length: PositiveInt = 128
    """Numbers of a row, start and end included; longer molecules are refused."""

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, length) whole numbers as float32, and which molecules are too long or cannot be read."""
        features = np.full((len(smiles), self.length), PADDING, dtype=np.float32)
        molecules, failed = read_molecules(smiles)
        for row, (text, molecule) in enumerate(zip(smiles, molecules, strict=True)):
            numbers = [_NUMBERS.get(symbol) for symbol in _SYMBOL.findall(text)]
            if molecule is None:
                failed.setdefault(row, UNREADABLE)
            elif None in numbers:
                failed[row] = "it holds a symbol outside the vocabulary"
            elif len(numbers) + 2 > self.length:
                failed[row] = f"it has more than {self.length - 2} symbols"
            else:
                features[row, : len(numbers) + 2] = [START, *[number or 0 for number in numbers], END]
        progress("embedding", len(smiles), len(smiles))
        return Encoded(features, failed)

    def describe(self) -> str:
        return f"numbers of up to {self.length} SMILES symbols"


_WHAT = "numbered symbols, for transformers"
ENTRIES = (EmbedderEntry("smiles_tokens", SmilesTokens, None, "smiles", "symbols", _WHAT, "leaq", "Apache-2.0"),)
