"""What a chemist sees in a set of molecules: scaffolds, near duplicates, neighbours, drawings.

Nothing here knows targets or membership.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from leaq.errors import agreeing, need
from leaq.seeds import stream
from leaq.types import Flag, Floats, Ints

MOST_ATOMS = 10_000
"""Atoms of a molecule, and characters of a SMILES. RDKit's canonical form takes a second for as many, four times as
long for twice as many, and ends the process at some ten thousands more."""
ANALOGUE = 0.7
"""Tanimoto similarity of ECFP4 bits from which two molecules are called close analogues here."""
PROBES = 500
"""Molecules whose neighbours are looked up to estimate a share in a larger set."""
ISOTOPES = 400
"""More than any isotope's mass number."""
CLUSTER = 0.4
"""Distance (1 - Tanimoto) within which molecules join a cluster's centre."""


def _rdkit() -> Any:
    need("rdkit", extra="molecules", purpose="Chemistry")
    from rdkit import Chem

    return Chem


class ParsedMolecule(NamedTuple):
    """A molecule as one reading of its SMILES shows it; everything leaq asks of it, so that it is parsed once."""

    canonical: str
    key: str
    """Equal for every drawing of one molecule: atoms, bonds, hydrogens and total charge, wherever electrons stand."""
    flat: str
    """Without stereo marks: equal for stereoisomers."""
    tautomer: str
    """RDKit's heteroatom-tautomer hash without stereo marks and charges: equal for most tautomers, and for an acid, its
    anion and its zwitterion."""
    bits: Any
    """ECFP4, 2048 bits."""


def parsed_molecules(smiles: list[str], *, strip_salts: bool = False) -> list[ParsedMolecule | None]:
    """Parse each molecule, None where the SMILES does not parse, has no atoms or has more than `MOST_ATOMS` letters.

    Parameters
    ----------
    strip_salts : keep the largest organic fragment only.
    """
    chem = _rdkit()
    from rdkit.Chem import rdFingerprintGenerator, rdMolHash
    from rdkit.Chem.MolStandardize import rdMolStandardize
    from rdkit.rdBase import BlockLogs

    neutral = rdMolStandardize.Uncharger()
    ecfp4 = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    found: list[ParsedMolecule | None] = []
    with BlockLogs():  # our own message names the rows
        for molecule in _bare(smiles, strip_salts=strip_salts):
            if molecule is None:
                found.append(None)
                continue
            canonical, bits = chem.MolToSmiles(molecule), ecfp4.GetFingerprint(molecule)
            key = _key(molecule, canonical)
            chem.RemoveStereochemistry(molecule)
            flat = chem.MolToSmiles(molecule)
            charged = any(atom.GetFormalCharge() for atom in molecule.GetAtoms())
            uncharged = neutral.uncharge(molecule) if charged else molecule
            tautomer = rdMolHash.MolHash(uncharged, rdMolHash.HashFunction.HetAtomTautomerv2)
            found.append(ParsedMolecule(canonical, key, flat, tautomer, bits))
    return found


def smiles_text(molecule: Any) -> str:
    """Return a molecule's SMILES as it is spelled, or RDKit's of a molecule of RDKit's; "" for none.

    Examples
    --------
    >>> smiles_text(" OCC "), smiles_text(None)
    ('OCC', '')
    """
    if hasattr(molecule, "GetNumAtoms"):
        return str(_rdkit().MolToSmiles(molecule))
    from pandas import isna  # embedders are found without it

    return "" if isna(molecule) else str(molecule).strip()


def molecule_keys(smiles: Iterable[Any], *, strip_salts: bool = False) -> list[str]:
    """Return what is equal for every drawing of one molecule (`ParsedMolecule.key`); texts that are none as they are.

    Examples
    --------
    >>> molecule_keys(["OCC", "CCO", "no molecule"])[1:] == [molecule_keys(["C[CH2:1]O"])[0], "no molecule"]
    True
    """
    chem = _rdkit()
    from rdkit.rdBase import BlockLogs

    texts = [smiles_text(one) for one in smiles]
    with BlockLogs():
        return [
            text if molecule is None else _key(molecule, chem.MolToSmiles(molecule))
            for text, molecule in zip(texts, _bare(texts, strip_salts=strip_salts), strict=True)
        ]


def _bare(smiles: Iterable[str], *, strip_salts: bool) -> Iterator[Any]:
    """Yield each molecule without a reaction's bookkeeping, None where there is none; see `parsed_molecules`."""
    chem = _rdkit()
    from rdkit.Chem.MolStandardize import rdMolStandardize

    largest = rdMolStandardize.LargestFragmentChooser(preferOrganic=True)
    for text in smiles:
        molecule = chem.MolFromSmiles(text) if len(text) <= MOST_ATOMS else None
        if molecule is None or molecule.GetNumAtoms() == 0:
            yield None
            continue
        if strip_salts and "." in text:
            molecule = largest.choose(molecule)
        for atom in molecule.GetAtoms():
            atom.SetAtomMapNum(0)
        yield molecule


def _key(molecule: Any, canonical: str) -> str:
    """Return what resonance forms share: S=O and [S+][O-] are one molecule, drawn twice.

    They have the same atoms, connections, hydrogens at every atom and total charge; bond orders and formal charges
    differ. Stereo marks need the drawn bonds, so molecules with any are compared after RDKit's normalisation of
    functional groups.
    """
    chem = _rdkit()
    from rdkit.Chem.MolStandardize import rdMolStandardize

    if any(mark in canonical for mark in "/\\@"):
        return str(chem.MolToSmiles(_normalizer(rdMolStandardize).normalize(molecule)))
    charge, unpaired = chem.GetFormalCharge(molecule), 0
    bare = chem.RWMol(molecule)
    for atom in bare.GetAtoms():
        # The writer drops hydrogens it could add itself; a mark on the atom stays.
        atom.SetIsotope(atom.GetIsotope() + ISOTOPES * (1 + atom.GetTotalNumHs()))
        unpaired += atom.GetNumRadicalElectrons()
        atom.SetNoImplicit(True)
        atom.SetNumExplicitHs(0)
        atom.SetFormalCharge(0)
        atom.SetNumRadicalElectrons(0)
        atom.SetIsAromatic(False)
    for bond in bare.GetBonds():
        bond.SetBondType(chem.BondType.SINGLE)
        bond.SetIsAromatic(False)
    bare.UpdatePropertyCache(strict=False)
    return f"{chem.MolToSmiles(bare)} {charge:+d} {unpaired}"


@lru_cache(maxsize=1)
def _normalizer(standardize: Any) -> Any:
    return standardize.Normalizer()


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
    from rdkit.rdBase import BlockLogs

    scaffold_of: Any = MurckoScaffold.MurckoScaffoldSmiles

    with BlockLogs():
        found = [scaffold_of(mol=chem.MolFromSmiles(text)) for text in smiles]
    return [scaffold or text for scaffold, text in zip(found, smiles, strict=True)]


def fingerprints(smiles: list[str]) -> list[Any]:
    """Return RDKit bit vectors (ECFP4, 2048 bits) of readable molecules."""
    chem = _rdkit()
    from rdkit.Chem import rdFingerprintGenerator
    from rdkit.rdBase import BlockLogs

    generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=2048)
    with BlockLogs():
        return [generator.GetFingerprint(chem.MolFromSmiles(text)) for text in smiles]


@dataclass(frozen=True)
class Neighbours:
    """The most similar other molecules of some: positions `probes` (m,), their neighbours (m, k), similarities (m, k).

    Neighbours are ordered, most similar first.
    """

    probes: Ints
    index: Ints
    similarity: Floats


def similar_molecules(
    smiles: list[str], *, most: int = 16, probes: int | None = None, bits: list[Any] | None = None, seed: int = 0
) -> Neighbours:
    """Look up the `most` similar other molecules (Tanimoto, ECFP4) of all molecules, or of a random sample.

    Parameters
    ----------
    probes : size of the sample, None for all.
    bits : the fingerprints, if they are there already.

    Examples
    --------
    >>> found = similar_molecules(["CCO", "CCCO", "c1ccccc1"], most=1)
    >>> found.index[:, 0].tolist()[:2]
    [1, 0]
    """
    from rdkit import DataStructs

    n = len(smiles)
    which = np.arange(n)
    if probes is not None and probes < n:
        which = np.sort(stream(seed, "probes").choice(n, probes, replace=False))
    bits = fingerprints(smiles) if bits is None else bits
    most = min(most, n - 1)
    index = np.empty((len(which), most), dtype=np.int64)
    similarity = np.empty((len(which), most))
    for row, probe in enumerate(which):
        found = np.asarray(DataStructs.BulkTanimotoSimilarity(bits[probe], bits))
        found[probe] = -1.0
        nearest = np.argpartition(-found, most - 1)[:most]
        best = nearest[np.lexsort((nearest, -found[nearest]))]
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


def near_duplicates(seen: list[ParsedMolecule]) -> tuple[Flag, ...]:
    """Flag molecules whose near-doubles are also in the pool: a random split puts half of them on opposite sides.

    Stereoisomers are equal without stereo marks; tautomers and states of charge have an equal heteroatom-tautomer hash
    when neutral (RDKit's HetAtomTautomerv2, which misses some); close analogues reach a Tanimoto similarity of
    `ANALOGUE`, counted on a sample of at most `PROBES` molecules.
    """
    n, flags = len(seen), []
    forms = Counter(look.flat for look in seen)
    stereo = sum(count for count in forms.values() if count > 1)
    if stereo:
        flags.append(_relation("stereoisomers", f"{stereo} of {n} molecules {agreeing(stereo, 'have')} a stereoisomer"))
    hashes = Counter(tautomer for _, tautomer in {(look.flat, look.tautomer) for look in seen})
    tautomers = sum(hashes[look.tautomer] > 1 for look in seen)
    if tautomers:
        text = f"{tautomers} of {n} molecules {agreeing(tautomers, 'have')} a tautomer or another state of charge"
        flags.append(_relation("tautomers", text))
    smiles = [look.canonical for look in seen]
    near = similar_molecules(smiles, most=1, probes=PROBES, bits=[look.bits for look in seen])
    close = int((near.similarity[:, 0] >= ANALOGUE).sum())
    if close:
        sample = "" if len(near.probes) == n else " sampled"
        have = agreeing(close, "have")
        text = f"{close} of {len(near.probes)}{sample} molecules {have} a close analogue (Tanimoto >= {ANALOGUE})"
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
    from rdkit.rdBase import BlockLogs

    canvas: Any = rdMolDraw2D.MolDraw2DSVG(240, 180)
    canvas.drawOptions().clearBackground = False
    with BlockLogs():
        rdMolDraw2D.PrepareAndDrawMolecule(canvas, chem.MolFromSmiles(smiles))
    canvas.FinishDrawing()
    text = canvas.GetDrawingText()
    return str(text[text.index("<svg") :]).strip()
