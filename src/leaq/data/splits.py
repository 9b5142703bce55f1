"""Who is a member: halves of one pool, in complementary pairs; and which records must not be torn apart."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from leaq.data import chemistry
from leaq.data.columns import settle
from leaq.errors import InvalidInput
from leaq.seeds import stream
from leaq.types import Bools, Flag, Ints, Samples


def halves(samples: Samples, models: int, *, seed: int) -> Bools:
    """Draw each model's members: a random half of the pool, (s, n).

    Models ``2i`` and ``2i + 1`` get complementary halves, so that every record is a member of exactly half of an even
    number of models. Records of one group stay together, and the halves differ by no more than the largest group;
    classes are balanced. A pair depends on the seed and its own number alone: adding models changes no earlier one.

    Examples
    --------
    >>> from leaq.data.tables import from_arrays
    >>> members = halves(from_arrays(np.eye(20), np.arange(20) % 2), 4, seed=0)
    >>> members.sum(axis=0).tolist() == [2] * 20
    True
    """
    if models < 2:
        raise InvalidInput(f"halves: there must be at least 2 models. Found {models}.")
    _, first, code, sizes = np.unique(samples.groups, return_index=True, return_inverse=True, return_counts=True)
    labels = _strata(samples)[first]
    strata = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    uneven = bool(sizes.max() > 1)
    members = np.empty((models, len(samples)), dtype=bool)
    for pair in range(-(-models // 2)):
        rng = stream(seed, "split", pair)
        inside = np.zeros(len(first), dtype=bool)
        ahead = 0  # records inside minus outside so far, carried on so that the halves stay equal overall
        for stratum in strata:
            order = rng.permutation(stratum)
            if uneven:
                ahead = _drawn(inside, order, sizes, ahead=ahead, rng=rng)
            else:
                inside[order[ahead::2]] = True
                ahead = (ahead + len(order)) % 2
        members[2 * pair] = inside[code]
        if 2 * pair + 1 < models:
            members[2 * pair + 1] = ~inside[code]
    return members


def _strata(samples: Samples) -> "np.ndarray":
    """Return what is balanced between the halves, (n,): classes; of several targets the rarest class a record has.

    Source: the first step of iterative stratification (Sechidis et al., "On the Stratification of Multi-Label Data",
    ECML PKDD 2011).
    """
    found, fewest = np.zeros(len(samples)), np.full(len(samples), np.inf)
    classes = [(values, code) for values, task in samples.each_target for code in range(len(task.classes))]
    for stratum, (values, code) in enumerate(classes, start=1):
        mine = values == code
        rarer = mine & (mine.sum() < fewest)
        found[rarer], fewest[rarer] = stratum, mine.sum()
    return found


def _drawn(inside: Bools, order: Ints, sizes: Ints, *, ahead: int, rng: np.random.Generator) -> int:
    """Put each group on a side by a fair coin, large ones first; return by how many records the inside leads.

    While the groups still to come can make up for the lead, the coin is free; then the lighter side is due. So the
    largest groups fall on either side independently, and the small ones, in random order, even the halves out. The
    halves differ by no more than the largest group: a lead that the rest can make up for shrinks to nothing, and one it
    cannot is the size of the group that made it, at most, and is never passed by a smaller one.
    """
    left = int(sizes[order].sum())
    coins = rng.random(len(order)) < 0.5
    # A stable sort keeps equally large groups in their random order.
    for group, heads in zip(order[np.argsort(-sizes[order], kind="stable")], coins, strict=True):
        size = int(sizes[group])
        left -= size
        free = abs(ahead) + size <= left
        inside[group] = heads if free else ahead < 0 or (ahead == 0 and heads)
        ahead += size if inside[group] else -size
    return ahead


def group_codes(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return one number for each value of a column that says what belongs together, NaN where it says nothing.

    Values need no meaning beyond being equal: dates and integers of any size are as good as words. What is numbers but
    for some rows stays as it is, so that these rows are named.

    Examples
    --------
    >>> group_codes(pd.Series(["A", "B", "A ", ""], name="series")).tolist()
    [0.0, 1.0, 0.0, nan]
    """
    settled = settle(column.to_frame())
    if any(problem.rows is not None for problem in settled.problems):
        return column
    values = column.map(str) if settled.problems else settled.frame.iloc[:, 0]
    told = column.notna().to_numpy() & np.array([str(value).strip() != "" for value in column], dtype=bool)
    codes = pd.factorize(values.where(told))[0].astype(np.float64)
    return pd.Series(np.where(codes < 0, np.nan, codes), column.index, name=column.name)


def joined_groups(first: Ints, second: Ints) -> Ints:
    """Return groups (n,) that keep together whatever either of two groupings keeps together.

    Examples
    --------
    >>> joined_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components  # a tenth of a second that ungrouped records spare

    a, b = np.unique(first, return_inverse=True)[1], np.unique(second, return_inverse=True)[1]
    size = int(a.max()) + int(b.max()) + 2
    edges = coo_array((np.ones(len(a)), (a, b + int(a.max()) + 1)), shape=(size, size))
    _, labels = connected_components(edges, directed=False)
    return np.asarray(np.unique(labels[a], return_inverse=True)[1], dtype=np.int64)


def chemistry_split(samples: Samples, split: Literal["random", "scaffold", "cluster"]) -> Samples:
    """Keep scaffolds or clusters together, and mark loudly what that does to attack numbers.

    With a random split members and non-members come from one distribution. When whole scaffolds are members, a model
    is worse on all strangers, members or not: an attack may recognise the chemistry and not the record. The flag
    states how often a molecule's nearest neighbour is on its own side, which is what chemistry alone gives away.
    """
    if split == "random":
        return samples
    smiles = samples.inputs.tolist()
    codes = np.unique(chemistry.scaffolds(smiles), return_inverse=True)[1] if split == "scaffold" else None
    kept = joined_groups(samples.groups, chemistry.clusters(smiles) if codes is None else codes)
    sizes = np.bincount(kept)
    if len(sizes) < 4 or sizes.max() > len(kept) / 2:
        raise InvalidInput(
            f"{samples.name}: a {split} split needs several {split}s, none with more than half of the molecules. Found "
            f"{len(sizes)}, the largest with {sizes.max()} of {len(kept)}. Use a random split."
        )
    samples = replace(samples, groups=kept)
    agreement = neighbour_agreement(samples)
    text = (
        f"Members and non-members differ in {split} ({len(sizes)} {split}s): attacks may recognise the chemistry, not "
        f"the record. Knowing the membership of its most similar molecule tells a molecule's own in {agreement:.0%} of "
        "cases (50 % would be nothing). Do not compare these attack numbers with those of a random split."
    )
    return replace(samples, flags=(*samples.flags, Flag(f"{split}-split", text)))


def neighbour_agreement(samples: Samples) -> float:
    """Return how often a molecule and its most similar other one are on the same side of a split.

    What an attacker without the model gets from chemistry alone. Range: [0, 1]; 0.5 is nothing.
    """
    members = halves(samples, 16, seed=0)[::2]
    near = chemistry.similar_molecules(samples.inputs.tolist(), most=1, probes=chemistry.PROBES)
    return float((members[:, near.probes] == members[:, near.index[:, 0]]).mean())
