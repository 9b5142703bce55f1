"""Batches of molecules as one graph each, and sums over its bonds and atoms that many models can share a program for.

Values may carry a model axis in front, and so do batches in training; under `torch.func.vmap` it is hidden. The gathers
and sums of message passing are done for all models at once, as rows of one tall matrix, and not by the generic rules
for indexing, which are several times slower. Each is linear, and its transpose is one of them: that is all their
gradients need.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from leaq.errors import InvalidInput
from leaq.models.nets.layout import CHEMPROP, COUNTS, SLOT, Vocabulary


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
    """

    atoms: Tensor
    bonds: Tensor
    source: Tensor
    target: Tensor
    reverse: Tensor
    bond_starts: Tensor
    molecule: Tensor
    atom_starts: Tensor


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
    )


def _require(graphs: bool) -> None:
    if not graphs:
        raise InvalidInput(
            "A graph network reads packed molecular graphs. Found rows that are none. Embed the molecules with "
            "molgraph, in the network's own vocabulary, and standardise nothing."
        )


def _known(positions: Tensor, size: int) -> bool:
    return bool(((positions >= -1) & (positions < size)).all())


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


class Turns(NamedTuple):
    """Ways on from each directed bond of all models, and back: bonds u-v and v-w where w is not u.

    Attributes
    ----------
    before, before_starts : the bonds that lead into each bond, one bond's after the other's, and where each begins.
    after, after_starts : the bonds that each bond leads into.
    """

    before: Tensor
    before_starts: Tensor
    after: Tensor
    after_starts: Tensor


def turns(graphs: Graphs) -> Turns:
    """Return the ways on of graphs, of all models' below each other where there is a model axis."""
    (target, starts), (reverse,) = _flat(graphs.target, graphs.bond_starts), _flat(graphs.reverse)
    source, itself = target[reverse], torch.arange(len(target), device=target.device)
    degree = torch.diff(starts, append=starts.new_tensor([len(target)]))
    filling = reverse == itself

    def others(whole: Tensor, left_out: Tensor) -> tuple[Tensor, Tensor]:
        """Return for each bond the bonds that point to an atom, all but one."""
        counts = torch.where(filling, 0, degree[whole] - 1)
        before = counts.cumsum(0) - counts
        bond = torch.repeat_interleave(counts)
        found = torch.arange(len(bond), device=bond.device) + (starts[whole] - before)[bond]
        return found + (found >= left_out[bond]), before

    after, after_starts = others(target, itself)
    return Turns(*others(source, reverse), reverse[after], after_starts)


def onward(values: Tensor, ways: Turns) -> Tensor:
    """Give each directed bond the sum of the rows (e, d) of those that lead into it, never of its reverse."""
    return _run(_Onward, values.flatten(0, -2), *ways).view(values.shape)


def adjacent(values: Tensor, graphs: Graphs) -> Tensor:
    """Give each atom the sum of its neighbours' rows, (a, d) -> (a, d)."""
    return _of_all(_Neighbours, values, graphs.source, graphs.bond_starts)


def rows_at(values: Tensor, index: Tensor) -> Tensor:
    """Return rows of a table (rows, d) -> (parts, d), of each model's own; the table has no gradient."""
    if values.ndim == 2:
        return values[index]
    return values.flatten(0, 1).index_select(0, _below(index, values.shape[1])).view(*index.shape, -1)


def spread(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
    """Give each part its whole's row: values (wholes, d) -> (parts, d); `index` (parts,) ascends."""
    return _of_all(_Spread, values, index, starts)


def pool(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
    """Add up the rows of each whole's parts: values (parts, d) -> (wholes, d); `starts` (wholes,) its first part."""
    return _of_all(_Pool, values, index, starts)


def flip(values: Tensor, reverse: Tensor) -> Tensor:
    """Give each directed bond the row (e, d) of its reverse."""
    return _of_all(_Flip, values, reverse)


def sources(values: Tensor, graphs: Graphs) -> Tensor:
    """Give each bond the row of the atom it comes from, (a, d) -> (e, d): the target of its reverse.

    By maps whose transposes are fast.
    """
    return flip(spread(values, graphs.target, graphs.bond_starts), graphs.reverse)


def highest(values: Tensor, index: Tensor, starts: Tensor) -> Tensor:
    """Return the highest of each whole's parts: values (parts, d) -> (wholes, d); -inf where there are none.

    It passes no gradient back.
    """
    return _of_all(_Highest, values, index, starts)


def _run(kind: type[torch.autograd.Function], *arguments: Tensor) -> Tensor:
    found: Tensor = kind.apply(*arguments)  # type: ignore[no-untyped-call]
    return found


def _of_all(kind: type[torch.autograd.Function], values: Tensor, *tables: Tensor) -> Tensor:
    """Apply a map to rows (rows, d), or to all models' (m, rows, d) below each other."""
    if values.ndim == 2:
        return _run(kind, values, *tables)
    return _run(kind, values.flatten(0, 1), *_flat(*tables)).view(len(values), -1, values.shape[-1])


def _vmapped(
    kind: type[torch.autograd.Function], info: Any, dims: tuple[int | None, ...], *arguments: Tensor
) -> tuple[Tensor, int]:
    """Apply a map to tensors with the model axis in front, repeated where they had none."""
    values, *tables = [
        tensor.expand(info.batch_size, *tensor.shape) if dim is None else tensor.movedim(dim, 0)
        for tensor, dim in zip(arguments, dims, strict=True)
    ]
    return _of_all(kind, values, *tables), 0


class _Map(torch.autograd.Function):
    """A linear map by tables of whole numbers; under vmap all models' rows stand below each other."""

    def __init_subclass__(cls) -> None:
        cls.vmap = staticmethod(partial(_vmapped, cls))  # type: ignore[method-assign]

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, ...], _output: Tensor) -> None:
        ctx.save_for_backward(*inputs[1:])


class _Spread(_Map):
    @staticmethod
    def forward(values: Tensor, *tables: Tensor) -> Tensor:
        return values.index_select(0, tables[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _run(_Pool, gradient, *ctx.saved_tensors), None, None


class _Pool(_Map):
    @staticmethod
    def forward(values: Tensor, *tables: Tensor) -> Tensor:
        every = torch.arange(len(values), device=values.device)
        return embedding_bag(every, values.contiguous(), tables[1], mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _run(_Spread, gradient, *ctx.saved_tensors), None, None


class _Flip(_Map):
    @staticmethod
    def forward(values: Tensor, *tables: Tensor) -> Tensor:
        return values.index_select(0, tables[0])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _run(_Flip, gradient, *ctx.saved_tensors), None


class _Neighbours(_Map):
    """Its own transpose: every bond has its reverse."""

    @staticmethod
    def forward(values: Tensor, *tables: Tensor) -> Tensor:
        return embedding_bag(tables[0], values.contiguous(), tables[1], mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        return _run(_Neighbours, gradient, *ctx.saved_tensors), None, None


class _Onward(_Map):
    @staticmethod
    def forward(values: Tensor, *tables: Tensor) -> Tensor:
        return embedding_bag(tables[0], values.contiguous(), tables[1], mode="sum")

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        before, before_starts, after, after_starts = ctx.saved_tensors
        return _run(_Onward, gradient, after, after_starts, before, before_starts), None, None, None, None


class _Highest(_Map):
    @staticmethod
    def forward(values: Tensor, *tables: Tensor) -> Tensor:
        index, starts = tables
        found = values.new_full((len(starts), values.shape[1]), -torch.inf)
        return found.scatter_reduce(0, index.unsqueeze(1).expand_as(values), values, "amax")

    @staticmethod
    def setup_context(ctx: Any, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        ctx.mark_non_differentiable(output)

    @staticmethod
    def backward(_ctx: Any, _gradient: Tensor) -> Any:
        return None, None, None


def _flat(*tables: Tensor) -> Sequence[Tensor]:
    """Return tables of all models (m, parts) as tables into their rows below each other; those of one as they are.

    A table by itself points to its own parts; of two, the first points to wholes and the second to their first parts.
    """
    if tables[0].ndim == 1:
        return tables
    if len(tables) == 1:
        return (_below(tables[0], tables[0].shape[1]),)
    found = []
    for index, starts in zip(tables[::2], tables[1::2], strict=True):
        found += [_below(index, starts.shape[1]), _below(starts, index.shape[1])]
    return found


def _below(table: Tensor, rows: int) -> Tensor:
    """Return a table (m, n) as one (m n,) into all models' rows, `rows` of them a model."""
    return (table + rows * torch.arange(len(table), device=table.device).unsqueeze(1)).reshape(-1)
