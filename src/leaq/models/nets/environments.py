"""Bonds and atoms with the same surroundings, which get the same messages: what a batch computes once.

Of the directed bonds of 64 drug-like molecules about one in seven differs from the others within one bond's reach, and
two in five within two. Surroundings are told apart by hashes of 64 bits, refined once a round as Weisfeiler and Leman
do: two of a batch's 10,000 that are not alike are taken for alike with a chance of 3e-12. Among the molecules of a
data set they are told apart once; a batch then takes what its molecules hold (`MoleculeBatches`).
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from leaq.models.nets.graphs import ODD, Graphs, Sums, scrambled, stable_order, sums_of, transposed


class Environments(NamedTuple):
    """What a batch's molecules are computed from: u0, u1, ... bonds and v atoms that stand for all that are alike.

    A model axis may stand in front of features and sizes. Sums are of all models' rows below each other.

    Attributes
    ----------
    first : (u0, f) features of directed bonds, behind those of the atom that each comes from.
    rounds : a round's sums: u0 -> u, which of the first each bond of the round begins as; and u before -> u, the states
        of the bonds that lead into it, never of its reverse.
    atoms : (v, f) features of atoms.
    inward : u of the last round -> v, the states of the bonds that point to each.
    molecules : v -> b, the atoms of each molecule.
    sizes : (b,) how many these are.
    """

    first: Tensor
    rounds: tuple[tuple[Sums, Sums], ...]
    atoms: Tensor
    inward: Sums
    molecules: Sums
    sizes: Tensor

    def summed(self, values: Tensor) -> Tensor:
        """Add up rows (v, d) over the atoms of each molecule, (b, d)."""
        return sums_of(values, self.molecules)


def environments(graphs: Graphs, depth: int, *, shared: bool) -> Environments:
    """Return what to compute for `depth` - 1 rounds of messages along directed bonds, and a sum into each atom.

    Parameters
    ----------
    graphs : of one model.
    shared : compute what is alike once; False has every bond and atom stand for itself, in order.
    """
    bonds, group = _Bonds(graphs), _grouped if shared else _alone
    key = bonds.key
    first = groups = group(key)
    rounds = []
    for _ in range(1, depth):
        key = bonds.refined(key)
        found = group(key)
        rounds.append((first.at(found.chosen), bonds.sums_before(found.chosen, groups)))
        groups = found
    atoms = group(scrambled(graphs.atom_kind * ODD + scrambled(bonds.into(key))))
    sizes = graphs.sizes
    return Environments(
        first=torch.cat([graphs.atoms[graphs.source[first.chosen]], graphs.bonds[first.chosen]], dim=-1),
        rounds=tuple(rounds),
        atoms=graphs.atoms[atoms.chosen],
        inward=bonds.sums_into(atoms.chosen, groups),
        molecules=_sums(graphs.atom_starts[:-1], sizes, atoms),
        sizes=sizes,
    )


class MoleculeBatches:
    """Batches of the molecules of a data set, for many models at once.

    Parameters
    ----------
    graphs : all molecules, of one model.
    depth : as in `environments`.
    """

    def __init__(self, graphs: Graphs, depth: int) -> None:
        self._all = environments(graphs, depth, shared=True)

    def __call__(self, positions: Tensor) -> Environments:
        """Return what the molecules at positions (m, b) hold: each model's own, with a model axis."""
        every = self._all
        atoms, (molecules,) = _renumbered([_taken(every.molecules, positions)], len(every.atoms), positions)
        wanted, begun = _taken(every.inward, atoms), list[_Lists]()
        into = list[Sums]()  # the last sums first: into the atoms, then into the bonds of each round
        for first, before in reversed(every.rounds):
            bonds, (sums,) = _renumbered([wanted], len(first.rows), positions)
            into.append(sums)
            begun.append(_taken(first, bonds))
            wanted = _taken(before, bonds)
        bonds, (sums, *firsts) = _renumbered([wanted, *begun], len(every.first), positions)
        inward, *before_each = [*into, sums]
        each = zip(reversed(firsts), reversed(before_each), strict=True)
        return Environments(
            first=every.first[bonds],
            rounds=tuple((first._replace(starts=None), before) for first, before in each),
            atoms=every.atoms[atoms],
            inward=inward,
            molecules=molecules,
            sizes=every.sizes[positions],
        )


class _Lists(NamedTuple):
    """Lists of some things' numbers, of all models below each other: `rows` of the first, then of the second."""

    rows: Tensor
    starts: Tensor
    owner: Tensor
    """The list that each number is in."""
    per_model: int
    """Lists of one model."""


def _taken(sums: Sums, chosen: Tensor) -> _Lists:
    """Return the lists of what each chosen one (m, u) is the sum of."""
    which, per_model = chosen.flatten(), chosen.shape[1]
    if sums.starts is None:  # one each
        every = torch.arange(len(which), device=which.device)
        return _Lists(sums.rows.index_select(0, which), every, every, per_model)
    counts = torch.diff(sums.starts, append=sums.starts.new_full((1,), len(sums.rows))).index_select(0, which)
    found, starts, owner = _spans(sums.starts.index_select(0, which), counts)
    return _Lists(sums.rows.index_select(0, found), starts, owner, per_model)


def _spans(begins: Tensor, counts: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the rows of spans of so many from so many on, behind each other; where each begins; whose each row is."""
    starts, owner = counts.cumsum(0) - counts, torch.repeat_interleave(counts)
    rows = torch.arange(len(owner), device=owner.device) + (begins - starts).index_select(0, owner)
    return rows, starts, owner


def _renumbered(lists: Sequence[_Lists], size: int, models: Tensor) -> tuple[Tensor, list[Sums]]:
    """Give what lists hold new numbers for each of the m `models`, from 0 on; return what has each, and the sums.

    Numbers (m, u) are in the order of the old ones, of `size` things. Models that hold fewer repeat their last one.
    """
    m, device = len(models), models.device
    old = torch.cat([part.rows + part.owner // part.per_model * size for part in lists])
    order = stable_order(old)
    ordered = old.index_select(0, order)
    new = torch.ones_like(order, dtype=torch.bool)
    torch.ne(ordered[1:], ordered[:-1], out=new[1:])
    held = ordered.masked_select(new)
    model = held // size
    counts = torch.bincount(model, minlength=m)
    before, most = counts.cumsum(0) - counts, max(int(counts.max()), 1)
    shift = most * torch.arange(m, device=device) - before
    row = torch.arange(len(held), device=device) + shift.index_select(0, model)
    places = before.unsqueeze(1) + torch.minimum(torch.arange(most, device=device), counts.unsqueeze(1) - 1)
    chosen = (held - model * size)[places.clamp_min(0)] if len(held) else torch.zeros_like(places)
    rows = torch.empty_like(old).scatter_(0, order, row.index_select(0, new.cumsum(0) - 1))
    found, begin = list[Sums](), 0
    for part in lists:
        end = begin + len(part.rows)
        own = order if len(lists) == 1 else order.masked_select((order >= begin) & (order < end)) - begin
        counts = torch.bincount(rows[begin:end], minlength=m * most)
        found.append(Sums(rows[begin:end], part.starts, part.owner.index_select(0, own), counts.cumsum(0) - counts))
        begin = end
    return chosen, found


class _Groups(NamedTuple):
    """Rows in groups: the group of each row (n,), and the row that stands for each group (u,)."""

    of: Tensor
    chosen: Tensor

    def at(self, rows: Tensor) -> Sums:
        """Return the map from groups to rows (k,): each its group's."""
        index = self.of[rows]
        return Sums(index, None, *transposed(index, torch.arange(len(index), device=index.device), len(self.chosen)))


def _alone(keys: Tensor) -> _Groups:
    every = torch.arange(len(keys), device=keys.device)
    return _Groups(every, every)


def _grouped(keys: Tensor) -> _Groups:
    """Group equal keys (n,)."""
    ordered, order = keys.sort(stable=True)
    new = torch.ones_like(keys, dtype=torch.bool)
    new[1:] = ordered[1:] != ordered[:-1]
    return _Groups(torch.empty_like(order).scatter_(0, order, new.cumsum(0) - 1), order[new])


class _Bonds:
    """The directed bonds of all graphs, sorted by the atom they point to."""

    def __init__(self, graphs: Graphs) -> None:
        self.source, self.target, self.reverse = graphs.source, graphs.target, graphs.reverse
        self.starts = graphs.bond_starts
        self.degree = torch.diff(self.starts, append=self.starts.new_full((1,), len(self.target)))
        self.key = scrambled(graphs.atom_kind[self.source] * ODD + graphs.bond_kind)

    def into(self, key: Tensor) -> Tensor:
        """Add up the keys of the bonds that point to each atom, (a,)."""
        return torch.zeros_like(self.starts).scatter_add_(0, self.target, key)

    def refined(self, key: Tensor) -> Tensor:
        """Return keys that also tell apart what leads into each bond: its own key, and the others' sum."""
        before = self.into(key)[self.source] - key[self.reverse]
        return scrambled(self.key * ODD + scrambled(before))

    def sums_before(self, chosen: Tensor, groups: _Groups) -> Sums:
        """Return the sums over the bonds that lead into the chosen ones (u,), by their groups."""
        whole, left_out = self.source[chosen], self.reverse[chosen]
        counts = torch.where(left_out == chosen, 0, self.degree[whole] - 1)
        return _sums(self.starts[whole], counts, groups, left_out)

    def sums_into(self, chosen: Tensor, groups: _Groups) -> Sums:
        """Return the sums over the bonds that point to the chosen atoms (v,), by their groups."""
        return _sums(self.starts[chosen], self.degree[chosen], groups)


def _sums(begins: Tensor, counts: Tensor, groups: _Groups, left_out: Tensor | None = None) -> Sums:
    """Return sums of so many rows from so many on, but for one each, by their groups."""
    found, starts, owner = _spans(begins, counts)
    if left_out is not None:
        found += found >= left_out[owner]
    index = groups.of[found]
    return Sums(index, starts, *transposed(index, owner, len(groups.chosen)))
