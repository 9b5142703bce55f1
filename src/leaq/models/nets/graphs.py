"""Batches of molecules as one graph each, and sums over its bonds and atoms that many models can share a program for.

Values may carry a model axis in front, and so do batches in training; under `torch.func.vmap` it is hidden. The gathers
and sums of message passing are done for all models at once, as rows of one tall matrix, and not by the generic rules
for indexing, which are several times slower. Each is linear, and written down with its transpose (`Sums`): that is all
their gradients need.
"""

import inspect
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from leaq.errors import InvalidInput
from leaq.models.nets.layout import CHEMPROP, COUNTS, SLOT, Vocabulary

ODD = -7046029254386353131
"""2^64 over the golden ratio, as a signed number: multiples of it are spread out."""


class Sums(NamedTuple):
    """A linear map of rows (r, d) to sums of some of them (s, d), and its transpose, by tables of whole numbers.

    Of all models' rows below each other, unless a model axis stands in front.

    Attributes
    ----------
    rows, starts : the rows of the first sum, then of the second, and so on, and where each begins; None: one row each.
    back, back_starts : the sums that each row is in, likewise.
    """

    rows: Tensor
    starts: Tensor | None
    back: Tensor
    back_starts: Tensor | None


class Graphs(NamedTuple):
    """b molecules of one batch as one graph without bonds between them; a model axis may stand in front of everything.

    The last atom, the last bond and the last molecule belong to no record: they hold what smaller batches are filled
    up with.

    Attributes
    ----------
    atoms : (a, ...) features.
    bonds : (e, ...) features of directed bonds, sorted by the atom they point to.
    source, target : (e,) the atoms a bond comes from and points to.
    reverse : (e,) the same bond in the other direction.
    bond_starts : (a,) the first of the bonds that point to each atom.
    molecule : (a,) which molecule each atom belongs to, ascending.
    atom_starts : (b + 1,) the first atom of each molecule.
    atom_kind, bond_kind : (a,) and (e,) whole numbers, the same ones for the same features. They are hashes of 64 bits.
    """

    atoms: Tensor
    bonds: Tensor
    source: Tensor
    target: Tensor
    reverse: Tensor
    bond_starts: Tensor
    molecule: Tensor
    atom_starts: Tensor
    atom_kind: Tensor
    bond_kind: Tensor

    @property
    def sizes(self) -> Tensor:
        """Atoms of each molecule, (b,)."""
        return torch.diff(self.atom_starts)

    def summed(self, values: Tensor) -> Tensor:
        """Add up rows (a, d) over the atoms of each molecule, (b, d)."""
        return pool(values, self.molecule, self.atom_starts)[..., :-1, :]

    def of(self, model: int) -> "Graphs":
        """Return one model's graphs, without the model axis."""
        return Graphs(*(table[model] for table in self))


def collate(inputs: Tensor, vocabulary: Vocabulary = CHEMPROP) -> Graphs:
    """Return the batches (m, b, w) of m models, rows as in `leaq.models.nets.layout`, as m graphs of one size.

    Raises
    ------
    InvalidInput
        If the rows are no packed graphs.
    """
    m, b, width = inputs.shape
    atoms, bonds = inputs[..., 0].long(), inputs[..., 1].long()  # (m, b) counts
    slots, rest = divmod(width - COUNTS, SLOT)
    total, counts = atoms + bonds, inputs[..., :COUNTS]
    _require(
        rest == 0
        and bool((counts == counts.round()).all() & (atoms > 0).all() & (bonds >= 0).all() & (total <= slots).all())
    )
    place = torch.arange(slots, device=inputs.device)
    content = inputs[..., COUNTS:].reshape(m, b, slots, SLOT)
    is_atom = place < atoms.unsqueeze(-1)
    is_bond = ~is_atom & (place < total.unsqueeze(-1))
    atom, bond = _Filling(atoms), _Filling(bonds)
    words = content[is_atom]  # (all atoms, 8)
    ties = content[is_bond]  # (all bonds, 8)
    ends, most = ties[:, :3], torch.stack([atoms, atoms, bonds], dim=-1).flatten(0, 1)[bond.molecule]
    _require(bool(((ends >= 0) & (ends < most)).all()))
    _require(vocabulary.mass or not bool(words[:, 7].any()))
    _require(_known(words[:, :7], vocabulary.atom) and _known(ties[:, 3:7], vocabulary.bond))
    features = _ones(atom.filled(words[:, :7], -1), vocabulary.atom)
    features[..., -1] = atom.filled(words[:, 7], 0)
    shift = atom.before.flatten()[bond.molecule]
    target = bond.filled(ties[:, 1].long() + shift, atom.size - 1)
    reverse = bond.filled(ties[:, 2].long() + bond.before.flatten()[bond.molecule], 0)
    itself = torch.arange(bond.size, device=inputs.device).expand_as(reverse)
    degrees = torch.zeros(m, atom.size, dtype=torch.int64, device=inputs.device)
    degrees.scatter_add_(1, target, torch.ones_like(target))
    return Graphs(
        atoms=features,
        bonds=_ones(bond.filled(ties[:, 3:7], -1), vocabulary.bond),
        source=bond.filled(ties[:, 0].long() + shift, atom.size - 1),
        target=target,
        reverse=torch.where(itself < bonds.sum(1, keepdim=True), reverse, itself),
        bond_starts=degrees.cumsum(1) - degrees,
        molecule=atom.filled(atom.molecule % b, b),
        atom_starts=torch.cat([atom.before, atoms.sum(1, keepdim=True)], dim=1),
        atom_kind=atom.filled(_kinds(words), 0),
        bond_kind=bond.filled(_kinds(ties[:, 3:]), 1),
    )


def _require(graphs: bool) -> None:
    if not graphs:
        raise InvalidInput(
            "A graph network reads packed molecular graphs. Found rows that are none. Embed the molecules with "
            "molgraph, in the network's own vocabulary, and standardise nothing."
        )


def _known(positions: Tensor, size: int) -> bool:
    return bool(((positions >= -1) & (positions < size)).all())


def _kinds(features: Tensor) -> Tensor:
    """Return a hash (n,) of each row (n, k) of float32 numbers, by their bits."""
    factors = torch.arange(1, 1 + features.shape[1], device=features.device) * ODD
    return scrambled((features.float().view(torch.int32).long() * scrambled(factors)).sum(1))


def scrambled(numbers: Tensor) -> Tensor:
    """Map whole numbers of 64 bits one to one, so that sums of them tell multisets apart.

    Source: the finaliser of Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators" (OOPSLA 2014).
    """
    found = (numbers ^ (numbers >> 30 & 2**34 - 1)) * -4658895280553007687
    found = (found ^ (found >> 27 & 2**37 - 1)) * -7723592293110705685
    return found ^ (found >> 31 & 2**33 - 1)


class _Filling:
    """Where the parts (atoms or bonds) of all models' molecules go: each model's behind each other, then filling."""

    def __init__(self, counts: Tensor) -> None:
        m, b = counts.shape
        per_model = counts.sum(1)
        self.size = int(per_model.max()) + 1
        self.before = counts.cumsum(1) - counts  # (m, b) parts of a model's earlier molecules
        self.molecule = torch.repeat_interleave(counts.flatten())  # (all parts,) molecule of all models
        start = per_model.cumsum(0) - per_model
        model = self.molecule // b
        within = torch.arange(len(self.molecule), device=counts.device) - start[model]
        self._shape, self._at = (m, self.size), model * self.size + within

    def filled(self, values: Tensor, rest: int) -> Tensor:
        """Return values (all parts, ...) as (m, size, ...), `rest` where there is no part."""
        m, size = self._shape
        found = values.new_full((m * size, *values.shape[1:]), rest)
        found[self._at] = values
        return found.view(m, size, *values.shape[1:])


def _ones(positions: Tensor, size: int) -> Tensor:
    """Return rows (..., size) with ones at the positions (..., k); -1 stands for none."""
    found = positions.new_zeros(*positions.shape[:-1], size)
    return found.scatter_add_(-1, positions.clamp_min(0).long(), (positions >= 0).to(found))


def sums_of(values: Tensor, sums: Sums) -> Tensor:
    """Return the sums (s, d) of rows (r, d), or (m, s, d) of (m, r, d)."""
    if values.ndim == 2:
        return _run(values, *sums)
    tables = sums if sums.rows.ndim == 1 else _flat(*sums)
    return _run(values.flatten(0, 1), *tables).view(len(values), -1, values.shape[-1])


def transposed(index: Tensor, owner: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Return which sums each of `rows` rows is in, and where each row's begin; `owner` names the sum of each index."""
    counts = torch.bincount(index, minlength=rows)
    return owner[stable_order(index)], counts.cumsum(0) - counts


def stable_order(numbers: Tensor) -> Tensor:
    """Return the order (n,) that sorts whole numbers from 0 on, equal ones as they come.

    On a CPU by NumPy, whose sorting of plain numbers takes a quarter of the time of torch's of an order.
    """
    n = max(len(numbers), 1)
    both = numbers * n + torch.arange(len(numbers), device=numbers.device)
    try:
        ordered = torch.from_numpy(np.sort(both.numpy()))
    except (TypeError, RuntimeError):  # on a GPU; under a transform of torch.func
        ordered = both.sort().values
    return ordered % n


def adjacent(values: Tensor, graphs: Graphs) -> Tensor:
    """Give each atom the sum of its neighbours' rows, (a, d) -> (a, d)."""
    tables = (graphs.source, graphs.bond_starts)  # its own transpose: every bond has its reverse
    return sums_of(values, Sums(*tables, *tables))


def spread(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
    """Give each part its whole's row: values (wholes, d) -> (parts, d); `index` (parts,) ascends."""
    return sums_of(values, Sums(index, None, _all(index), starts))


def pool(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
    """Add up the rows of each whole's parts: values (parts, d) -> (wholes, d); `starts` (wholes,) its first part."""
    return sums_of(values, Sums(_all(index), starts, index, None))


def flip(values: Tensor, reverse: Tensor) -> Tensor:
    """Give each directed bond the row (e, d) of its reverse."""
    return sums_of(values, Sums(reverse, None, reverse, None))


def sources(values: Tensor, graphs: Graphs) -> Tensor:
    """Give each bond the row of the atom it comes from, (a, d) -> (e, d): the target of its reverse.

    By maps whose transposes are fast.
    """
    return flip(spread(values, graphs.target, graphs.bond_starts), graphs.reverse)


def highest(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
    """Return the highest of each whole's parts: values (parts, d) -> (wholes, d); -inf where there are none.

    It passes no gradient back.
    """
    found: Tensor = _Highest.apply(values, index, starts)  # type: ignore[no-untyped-call]
    return found


def _all(index: Tensor) -> Tensor:
    return torch.arange(index.shape[-1], device=index.device).expand_as(index)


def _run(*arguments: Tensor | None) -> Tensor:
    found: Tensor = _Sums.apply(*arguments)  # type: ignore[no-untyped-call]
    return found


def _below_each_other(info: Any, dims: tuple[int | None, ...], arguments: tuple[Tensor | None, ...]) -> Any:
    """Return a map's arguments with the model axis in front, repeated where they had none."""
    return [
        tensor
        if tensor is None
        else (tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0))
        for tensor, dim in zip(arguments, dims, strict=True)
    ]


class _Sums(torch.autograd.Function):
    """`sums_of` of rows (r, d); under vmap all models' rows stand below each other."""

    @staticmethod
    def forward(values: Tensor, *tables: Tensor | None) -> Tensor:
        index, starts, *_ = tables
        if starts is None:
            return values.index_select(0, index)  # type: ignore[arg-type]
        return embedding_bag(index, values.contiguous(), starts, mode="sum")  # type: ignore[arg-type]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor | None, ...], _output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        index, starts, back, back_starts = ctx.saved_tensors
        return _run(gradient, back, back_starts, index, starts), None, None, None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *arguments: Tensor | None) -> tuple[Tensor, int]:
        values, *tables = _below_each_other(info, dims, arguments)
        return sums_of(values, Sums(*tables)), 0


# Said once: torch asks for it at every call, which took as long as the sums of small batches.
_Sums.forward.__signature__ = inspect.signature(_Sums.forward)  # type: ignore[attr-defined]


class _Highest(torch.autograd.Function):
    @staticmethod
    def forward(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
        found = values.new_full((len(starts), values.shape[1]), -torch.inf)
        return found.scatter_reduce(0, index.unsqueeze(1).expand_as(values), values, "amax")

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(_ctx: Any, _gradient: Tensor) -> Any:
        return None, None, None

    @staticmethod
    def vmap(info: Any, dims: tuple[int | None, ...], *arguments: Tensor) -> tuple[Tensor, int]:
        values, index, starts = _below_each_other(info, dims, arguments)
        found = highest(values.flatten(0, 1), below(index, starts.shape[1]), below(starts, index.shape[1]))
        return found.view(len(values), -1, values.shape[-1]), 0


def _flat(index: Tensor, starts: Tensor | None, back: Tensor, back_starts: Tensor | None) -> Sums:
    """Return tables of all models (m, ...) as tables into their rows and sums below each other."""
    rows, sums = (back if back_starts is None else back_starts), (index if starts is None else starts)
    return Sums(
        below(index, rows.shape[1]),
        None if starts is None else below(starts, index.shape[1]),
        below(back, sums.shape[1]),
        None if back_starts is None else below(back_starts, back.shape[1]),
    )


def below(table: Tensor, rows: int) -> Tensor:
    """Return a table (m, n) as one (m n,) into all models' rows, `rows` of them a model."""
    return (table + rows * torch.arange(len(table), device=table.device).unsqueeze(1)).reshape(-1)
