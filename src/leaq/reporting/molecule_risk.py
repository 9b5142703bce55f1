"""Which structures are exposed: the molecules an attacker identifies most surely, and what explains it.

For people who may see the data: everything here names single records.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from leaq.data import load
from leaq.data.chemistry import Neighbours, drawing, scaffolds, similar_molecules
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import drawn_members
from leaq.results import CellResult
from leaq.seeds import stream
from leaq.stats.intervals import percentile_interval
from leaq.stats.ranks import ranked
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, Samples

SIMILARITIES = (0.0, 0.3, 0.5, 0.7, 1.0 + 1e-9)
"""Edges of the strata of similarity to the nearest non-member."""
SCAFFOLDS = ((1, 1), (2, 4), (5, 19), (20, None))
"""Fewest and most molecules of a scaffold: the strata of its size."""
OUTWARD = (0.0, 0.5, 0.8, 0.9, 1.0 + 1e-9)
"""Edges of the strata of how far out a value lies: the share of values that lie nearer to the median in rank."""
MINORITY = 2 / 3
"""A class is called a minority when its share is below this part of an even share."""
EXTREME = 0.05
"""A regression target is called extreme in this outer share on either side."""
DRAWS = 500
OF_RECIPE = Flag(
    "of-recipe",
    "Risk is of training as the released model was trained, seen in it and its shadow models: molecules that did not "
    "train this file are counted, too.",
)

Risks = Mapping[str, tuple[Floats, Bools]]
"""By quantizer label, each molecule's effect size, and whether it is identified."""


@dataclass(frozen=True)
class RiskyMolecule:
    """One molecule, as the page of exposed structures shows it.

    Attributes
    ----------
    row : row number, as in `Samples.ids`.
    smiles, target : what it is and its label or value.
    risk : effect size of the attack on it, by quantizer label.
    nearest : similarity (Tanimoto, ECFP4) to its nearest non-member, averaged over the models it trained.
    reasons : what explains it, among minority class, extreme value, rare scaffold and lack of analogues.
    svg : its drawing, None unless asked for.
    """

    row: int
    smiles: str
    target: str
    risk: Mapping[str, float]
    nearest: float
    reasons: tuple[str, ...]
    svg: str | None = None


@dataclass(frozen=True)
class Stratum:
    """The molecules that share something: mean risk, and how many are identified (5 % false discoveries), by label."""

    name: str
    n: int
    risk: Mapping[str, Estimate]
    identified: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class MoleculeRisks:
    """The most exposed molecules, and how risk differs between kinds of molecules."""

    task: str
    attack: str
    records: tuple[RiskyMolecule, ...]
    strata: Mapping[str, tuple[Stratum, ...]]
    flags: tuple[Flag, ...]


def molecule_risks(result: CellResult, *, most: int = 20, draw: bool = False) -> MoleculeRisks:
    """Tell which molecules an audit's strongest attack identifies most surely, and what they have in common.

    Direction: a larger risk is worse. Range: effect sizes, 0 and above; without any leak the mean is not 0 but the
    value given in the flags. Interval of the strata: bootstrap over molecules, the models held fixed. Do not trust the
    order of single molecules closely: the highest of many noisy numbers are partly the luckiest.

    Parameters
    ----------
    result : an audit of molecules, with its private part.
    most : how many molecules to list, by their highest risk under any quantizer.
    draw : add an SVG drawing of each.

    Raises
    ------
    InvalidInput
        If the result holds no per-record risk, or its records are no molecules.
    """
    config = AuditConfig.from_dict(dict(result.config))
    risks = _risks(result)
    samples = _molecules(config, result)
    members = drawn_members(config, samples)
    near = similar_molecules(samples.inputs.tolist())
    similarity = nearest_nonmember(near, members)
    traits = _traits(samples, similarity)
    highest = np.max(np.stack([risk for risk, _ in risks.values()]), axis=0)
    order = np.argsort(-highest, kind="stable")[:most]
    records = tuple(
        RiskyMolecule(
            row=int(samples.ids[i]),
            smiles=str(samples.inputs[i]),
            target=_target(samples, i),
            risk={label: float(risk[i]) for label, (risk, _) in risks.items()},
            nearest=float(similarity[i]),
            reasons=tuple(name for name, has in traits.items() if has[i]) or ("none of those checked",),
            svg=drawing(str(samples.inputs[i])) if draw else None,
        )
        for i in order
    )
    kinds = {
        "similarity to the nearest non-member": _between(similarity, SIMILARITIES),
        "similarity to the nearest other molecule": _between(near.similarity[:, 0], SIMILARITIES),
        "molecules of the same scaffold": _by_scaffold(samples),
        **_by_label(samples),
        "explanations": {
            said: which for name, has in traits.items() for said, which in ((name, has), (f"not: {name}", ~has))
        },
    }
    # |mean_in - mean_out| / sd of two groups of s/2 Gaussians has mean sqrt(8 / (pi s)) when nothing leaks.
    null = float(np.sqrt(8 / (np.pi * config.models)))
    text = (
        f"Effect sizes from {config.models} models: about {null:.2f} on average where nothing leaks. The first of "
        f"{len(samples)} molecules are partly the luckiest; more --replicates tell better."
    )
    return MoleculeRisks(
        task=samples.name,
        attack=str(result.risk_attack),
        records=records,
        strata={
            by: tuple(_stratum(name, has, risks, config) for name, has in named.items() if has.any())
            for by, named in kinds.items()
        },
        flags=(Flag("noisy-order", text), *([OF_RECIPE] if config.released else [])),
    )


def nearest_nonmember(near: Neighbours, members: Bools) -> Floats:
    """Return each molecule's similarity to the nearest molecule that did not train the model it trained, (n,).

    Averaged over the models it is a member of. Where all neighbours looked up are members too, the farthest of them
    stands in, an upper limit.

    Parameters
    ----------
    near : neighbours of all n molecules.
    members : (s, n).
    """
    found = np.zeros(members.shape[1])
    for inside in members:
        outside = ~inside[near.index]  # (n, k)
        first = np.where(outside.any(1), outside.argmax(1), near.index.shape[1] - 1)
        found += inside * near.similarity[np.arange(len(first)), first]
    return np.asarray(found / members.sum(0).clip(1))


def _risks(result: CellResult) -> dict[str, tuple[Floats, Bools]]:
    """Return per-record risk by quantizer label, and who is identified."""
    found: dict[str, tuple[Floats, Bools]] = {}
    known, ids = result.private.get("identified", {}), result.private.get("ids", ())
    for row in result.rows:
        attack = row.attacks.get(result.risk_attack or "")
        if isinstance(attack, AttackResult) and attack.risk is not None:
            risk = np.nan_to_num(np.asarray(attack.risk, dtype=np.float64))
            found[row.label] = risk, np.isin(ids, known.get(row.quantizer, ()))
    if not found and result.primary_attack == "threshold":
        raise NotEnoughEvidence(
            "Exposed molecules are found by LiRA, which needs at least 8 models. Raise --replicates."
        )
    if not found or "ids" not in result.private:
        raise InvalidInput(
            "Exposed molecules need an audit's per-record risk. This result holds none: it is a shareable edition, or "
            "was read back from a run folder. Run the audit with --show-records into a new --out folder."
        )
    return found


def _molecules(config: AuditConfig, result: CellResult) -> Samples:
    """Read the audited molecules again, those the embedder could encode, in the audited order."""
    samples = load(config.source, config, members=config.members or None)
    if samples.kind != "smiles":
        raise InvalidInput(f"{samples.name}: only molecules can be drawn. Found a table; leave --show-records out.")
    ids = np.asarray(result.private["ids"], dtype=np.int64)
    kept = samples.take(np.isin(samples.ids, ids))
    if not np.array_equal(kept.ids, ids):
        raise InvalidInput(
            f"{samples.name}: the records must be those that were audited. {len(kept)} of {len(ids)} were found again; "
            "the source has changed. Run the audit again."
        )
    return kept


def _traits(samples: Samples, similarity: Floats) -> dict[str, Bools]:
    """Return what may explain a molecule's exposure, each (n,)."""
    frames = scaffolds(samples.inputs.tolist())
    count = Counter(frames)
    traits: dict[str, Bools] = {}
    for values, task in samples.each_target:
        name = "minority class" if task.classes else "extreme value"
        has = _minority(values, task.classes) if task.classes else _extreme(values)
        traits[name] = traits.get(name, False) | has  # of several targets in any of a molecule's labels
    traits["rare scaffold"] = np.array([count[frame] == 1 for frame in frames])
    traits["no close analogue"] = similarity < SIMILARITIES[1]
    return traits


def _minority(values: Floats, classes: Sequence[str]) -> Bools:
    """Return which records are of a class with less than two thirds of an even share."""
    known = values[~np.isnan(values)].astype(np.int64)
    share = np.bincount(known, minlength=len(classes)) / len(known)
    rare = np.flatnonzero(share < MINORITY / len(classes))
    return np.isin(values, rare)


def _extreme(values: Floats) -> Bools:
    """Return which records lie in the outer shares of the values."""
    low, high = np.nanquantile(values, [EXTREME, 1 - EXTREME])
    return np.asarray((values < low) | (values > high))


Kinds = dict[str, Bools]
"""Which molecules are of each kind, (n,)."""


def _between(values: Floats, edges: Sequence[float]) -> Kinds:
    return {f"{low:g} to {min(high, 1.0):g}": (values >= low) & (values < high) for low, high in pairwise(edges)}


def _by_scaffold(samples: Samples) -> Kinds:
    frames = scaffolds(samples.inputs.tolist())
    count = Counter(frames)
    sizes = np.array([count[frame] for frame in frames])
    found = {}
    for fewest, most in SCAFFOLDS:
        name = f"{fewest} or more" if most is None else (f"{fewest} to {most}" if most > fewest else str(fewest))
        found[name] = (sizes >= fewest) & (sizes <= (sizes.max() if most is None else most))
    return found


def _by_label(samples: Samples) -> dict[str, Kinds]:
    """Return kinds of a value's rarity: class, or distance from the middle; of several targets how many are known."""
    if samples.tasks:
        labels = (~np.isnan(samples.targets)).sum(1)
        return {"labels of a molecule": {str(count): labels == count for count in np.unique(labels)}}
    if samples.task == "classification":
        counts = np.bincount(samples.targets, minlength=len(samples.classes))
        rarest = np.argsort(counts, kind="stable")
        said = {code: f"{samples.classes[code]} ({counts[code] / len(samples):.0%})" for code in rarest}
        return {"class, rarest first": {name: samples.targets == code for code, name in said.items()}}
    ranks = ranked(samples.targets) / (len(samples) + 1)
    return {"distance of the value from the middle": _between(2 * np.abs(ranks - 0.5), OUTWARD)}


def _stratum(name: str, inside: Bools, risks: Risks, config: AuditConfig) -> Stratum:
    n = int(inside.sum())
    found = {}
    for label, (risk, _) in risks.items():
        draws = stream(config.seed, "exposure", name, label).integers(0, n, (DRAWS, n))
        low, high = percentile_interval(risk[inside][draws].mean(1), level=config.level)
        value = float(risk[inside].mean())
        method = "bootstrap over molecules, models fixed"
        found[label] = Estimate.spanning(value, low, high, n, config.level, "molecules", method)
    return Stratum(name, n, found, {label: int((inside & named).sum()) for label, (_, named) in risks.items()})


def _target(samples: Samples, i: int) -> str:
    """Say what a molecule's labels are, of several targets each with its name."""
    return ", ".join(
        f"{task.name}: " * bool(samples.tasks)
        + (task.classes[int(values[i])] if task.classes else f"{values[i]:.3g} {task.unit}".strip())
        for values, task in samples.each_target
        if not np.isnan(values[i])
    )
