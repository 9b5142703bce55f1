"""What every embedder of molecules shares: what it says of itself, and what becomes of molecules it cannot encode."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import numpy.typing as npt

from leaq.config import Config
from leaq.data.chemistry import MOST_ATOMS
from leaq.errors import InvalidInput, first_rows, need
from leaq.types import Flag, Floats, Progress, Samples, silent

UNREADABLE = "RDKit cannot read it"
LONG = f"more than {MOST_ATOMS:,} characters"
STEP = 500
"""Molecules between two reports of progress."""


class Embedder(Protocol):
    """Anything that turns Samples into features without looking at targets or membership."""

    def transform(self, samples: Samples) -> Floats:
        """Return (n, d) features."""
        ...


@dataclass(frozen=True)
class EmbedderEntry:
    """What a listing says about an embedder.

    Attributes
    ----------
    dimension : number of features, None where it depends on options.
    make : builds it from options; calling the entry does the same.
    kind : what it takes: "table" or "smiles".
    family : fingerprint, descriptors, graph network, ...: rows of a comparison should differ in it.
    source, licence : of the method or the weights.
    pretrained : what the weights were trained on, empty if there are none.
    place : entries of a higher one are listed later.
    """

    name: str
    make: Callable[..., "Embedder"] = field(repr=False, metadata={"stored": False})
    dimension: int | None
    kind: Literal["table", "smiles"]
    family: str
    what: str
    source: str
    licence: str
    pretrained: str = ""
    place: int = field(default=1, repr=False, metadata={"stored": False})

    def __call__(self, **options: Any) -> "Embedder":
        """Build the embedder."""
        return self.make(**options)


@dataclass(frozen=True)
class Encoded:
    """Features of molecules, and the reason for each one that has none (its row of `features` means nothing)."""

    features: npt.NDArray[Any]
    failed: Mapping[int, str] = field(default_factory=dict)


class MoleculeEmbedder(Config):
    """A frozen map from SMILES to numbers. Subclasses write `encode`; a molecule gets features or a reason."""

    kind: ClassVar[str] = "smiles"
    cost: ClassVar[float] = 0.3
    """Milliseconds a molecule, roughly: decides what is worth several processes or a place in the cache."""
    separable: ClassVar[bool] = True
    """Whether chunks may be encoded in other processes."""
    columns: ClassVar[bool] = True
    """Whether each feature is a column of its own, which may be compared between molecules, limited and scaled."""
    learned: ClassVar[bool] = False
    """Whether a network made the columns: a molecule that lies far from all others is then clipped as a whole."""

    def encode(self, smiles: Sequence[str], *, progress: Progress = silent) -> Encoded:
        """Return (n, d) features of the molecules, and which could not be encoded, why."""
        raise NotImplementedError

    def transform(self, samples: Samples) -> Floats:
        """Return (n, d) float32 features; refuses molecules it cannot encode, by row and reason."""
        found = self.encode(molecules_of(samples, self.describe()))
        if found.failed:
            raise refusal(self.describe(), found.failed, samples)
        return found.features.astype(np.float32)

    def locate(self, *, progress: Progress = silent) -> None:
        """Make sure that files the embedder needs are there; most need none."""

    def describe(self) -> str:
        """Say what the features are."""
        raise NotImplementedError

    def fingerprint_of_code(self) -> str:
        """Return what, beside the options, the features depend on: part of their place in the cache."""
        from importlib.metadata import version

        return f"rdkit {version('rdkit')}"

    def flags(self) -> tuple[Flag, ...]:
        """Return doubts that come with this embedder."""
        return ()


def molecules_of(samples: Samples, what: str) -> list[str]:
    """Return the SMILES of samples that are molecules."""
    if samples.kind != "smiles":
        raise InvalidInput(f"{what} needs molecules. Found a table of numbers; name its SMILES column.")
    return [str(text) for text in samples.inputs]


def read_molecules(smiles: Sequence[str]) -> tuple[list[Any], dict[int, str]]:
    """Return RDKit molecules, None where there is none, and the reasons by position."""
    need("rdkit", extra="molecules", purpose="Embedding molecules")
    from rdkit import Chem
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecules: list[Any] = [Chem.MolFromSmiles(text) if len(text) <= MOST_ATOMS else None for text in smiles]
    empty = [i for i, molecule in enumerate(molecules) if molecule is None or molecule.GetNumAtoms() == 0]
    for i in empty:
        molecules[i] = None
    return molecules, {i: LONG if len(smiles[i]) > MOST_ATOMS else UNREADABLE for i in empty}


def each_molecule(smiles: Sequence[str], failed: dict[int, str], *, progress: Progress) -> Iterator[tuple[int, Any]]:
    """Yield every row with its molecule, None where there is none: `failed` is then told why."""
    for start in range(0, len(smiles), STEP):
        molecules, unread = read_molecules(smiles[start : start + STEP])
        failed |= {start + position: reason for position, reason in unread.items()}
        yield from enumerate(molecules, start)
        progress("embedding", min(start + STEP, len(smiles)), len(smiles))


def reasons(failed: Mapping[int, str], samples: Samples) -> str:
    """Say which rows failed, by reason."""
    by_reason: dict[str, list[int]] = {}
    for position, reason in sorted(failed.items()):
        by_reason.setdefault(reason, []).append(int(samples.ids[position]))
    return "; ".join(f"{reason}: {first_rows(rows)}" for reason, rows in by_reason.items())


def refusal(what: str, failed: Mapping[int, str], samples: Samples) -> InvalidInput:
    """Build the error for molecules an embedder cannot encode."""
    return InvalidInput(
        f"{what}: every molecule must be encodable. Found {len(failed)} of {len(samples)} that are not ("
        f"{reasons(failed, samples)}). Choose another embedder, or drop them with --skip-invalid."
    )
