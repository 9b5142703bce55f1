"""What a chemist sees in a set of molecules: scaffolds, relatives, neighbours, drawings.

Nothing here knows targets or membership.
"""

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from leaq.errors import need
from leaq.seeds import stream
from leaq.types import Flag, Floats, Ints

__all__ = ["ANALOGUE", "Neighbours", "clusters", "drawing", "neighbours", "relatives", "scaffolds"]

ANALOGUE = 0.7
"""Tanimoto similarity of ECFP4 bits from which two molecules are called close analogues here."""
PROBES = 1000
"""Molecules whose neighbours are looked up to estimate a share in a larger set."""
CLUSTER = 0.4
"""Distance (1 - Tanimoto) within which molecules join a cluster's centre."""


def _rdkit() -> Any:
    need("rdkit", extra="molecules", purpose="Chemistry")
    from rdkit import Chem

    return Chem


def scaffolds(smiles: list[str]) -> list[str]:
    """Return the Bemis-Murcko scaffold of each molecule; one without rings is its own.

    Source: Bemis and Murcko, "The Properties of Known Drugs. 1.", J. Med. Chem. 39 (1996) 2887.

    Examples
    --------
    >>> scaffolds(["CCc1ccccc1", "OCc1ccccc1", "CCO"])
    ['c1ccccc1', 'c1ccccc1', 'CCO']
    """
    chem = _rdkit()
    from rdkit.Chem.Scaffolds import MurckoScaffold

    scaffold_of: Any = MurckoScaffold.MurckoScaffoldSmiles

    # Chemists group stereoisomers of a scaffold together.
    found = (scaffold_of(mol=chem.MolFromSmiles(text)) for text in smiles)
    return [scaffold or text for scaffold, text in zip(found, smiles, strict=True)]


def fingerprints(smiles: list[str]) -> list[Any]:
    """Return RDKit bit vectors (ECFP4, 2048 bits) of the molecules."""
    chem = _rdkit()
    from rdkit.Chem import rdFingerprintGenerator

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    return [generator.GetFingerprint(chem.MolFromSmiles(text)) for text in smiles]


@dataclass(frozen=True)
class Neighbours:
    """The most similar other molecules of some: positions `probes` (m,), their neighbours (m, k), similarities (m, k).

    Neighbours are ordered, most similar first.
    """

    probes: Ints
    index: Ints
    similarity: Floats


def neighbours(smiles: list[str], *, most: int = 16, probes: int | None = None, seed: int = 0) -> Neighbours:
    """Look up the `most` similar other molecules (Tanimoto, ECFP4) of all molecules, or of a random sample.

    Examples
    --------
    >>> found = neighbours(["CCO", "CCCO", "c1ccccc1"], most=1)
    >>> found.index[:, 0].tolist()[:2]
    [1, 0]
    """
    from rdkit import DataStructs

    n = len(smiles)
    which = np.arange(n)
    if probes is not None and probes < n:
        which = np.sort(stream(seed, "probes").choice(n, probes, replace=False))
    bits = fingerprints(smiles)
    most = min(most, n - 1)
    index = np.empty((len(which), most), dtype=np.int64)
    similarity = np.empty((len(which), most))
    for row, probe in enumerate(which):
        found = np.asarray(DataStructs.BulkTanimotoSimilarity(bits[probe], bits))
        found[probe] = -1.0
        best = np.argsort(-found, kind="stable")[:most]
        index[row], similarity[row] = best, found[best]
    return Neighbours(which.astype(np.int64), index, similarity)


def clusters(smiles: list[str]) -> Ints:
    """Group similar molecules around centres (sphere exclusion): each joins the first centre within `CLUSTER`.

    Source: Taylor, "Simulation analysis of experimental design strategies", J. Chem. Inf. Comput. Sci. 35 (1995) 59
    (the leader variant: centres in the order of the records).
    """
    from rdkit import DataStructs
    from rdkit.SimDivFilters import rdSimDivPickers

    bits = fingerprints(smiles)
    centres = list(rdSimDivPickers.LeaderPicker().LazyBitVectorPick(bits, len(bits), CLUSTER))
    spheres = [bits[centre] for centre in centres]
    return np.array([int(np.argmax(DataStructs.BulkTanimotoSimilarity(b, spheres))) for b in bits], dtype=np.int64)


def relatives(smiles: list[str]) -> tuple[Flag, ...]:
    """Flag molecules whose near-doubles are also in the pool: a random split puts half of them on opposite sides.

    Stereoisomers are equal without stereo marks; tautomers have an equal heteroatom-tautomer hash (RDKit's
    HetAtomTautomerv2, which misses some); close analogues reach a Tanimoto similarity of `ANALOGUE`, counted on a
    sample of at most `PROBES` molecules.
    """
    chem = _rdkit()
    from rdkit.Chem import rdMolHash
    from rdkit.rdBase import BlockLogs

    with BlockLogs():
        molecules = [chem.MolFromSmiles(text) for text in smiles]
        flat = [chem.MolToSmiles(molecule, isomericSmiles=False) for molecule in molecules]
        first = {}
        for molecule, text in zip(molecules, flat, strict=True):
            if text not in first:
                chem.RemoveStereochemistry(molecule)
                first[text] = rdMolHash.MolHash(molecule, rdMolHash.HashFunction.HetAtomTautomerv2)
    flags = []
    stereo = sum(count for count in Counter(flat).values() if count > 1)
    if stereo:
        flags.append(_relation("stereoisomers", f"{stereo} of {len(smiles)} molecules have a stereoisomer"))
    forms = Counter(first.values())
    tautomers = sum(forms[first[text]] > 1 for text in flat)
    if tautomers:
        flags.append(_relation("tautomers", f"{tautomers} of {len(smiles)} molecules have a tautomer"))
    near = neighbours(smiles, most=1, probes=PROBES)
    close = int((near.similarity[:, 0] >= ANALOGUE).sum())
    if close:
        sample = "" if len(near.probes) == len(smiles) else " sampled"
        text = f"{close} of {len(near.probes)}{sample} molecules have a close analogue (Tanimoto >= {ANALOGUE})"
        flags.append(_relation("close-analogues", text))
    return tuple(flags)


def _relation(code: str, found: str) -> Flag:
    return Flag(
        code,
        f"{found} in the pool; a random split often puts them on opposite sides, which blurs who was a member.",
    )


@lru_cache(maxsize=4096)
def drawing(smiles: str) -> str:
    """Return a molecule as an SVG element, 240 x 180, without XML header, to be put into a page.

    Examples
    --------
    >>> drawing("CCO").startswith("<svg")
    True
    """
    chem = _rdkit()
    from rdkit.Chem.Draw import rdMolDraw2D

    canvas: Any = rdMolDraw2D.MolDraw2DSVG(240, 180)
    canvas.drawOptions().clearBackground = False
    rdMolDraw2D.PrepareAndDrawMolecule(canvas, chem.MolFromSmiles(smiles))
    canvas.FinishDrawing()
    text = canvas.GetDrawingText()
    return str(text[text.index("<svg") :]).strip()
