"""Candidates one code away from the released model: what an empirical minimiser would compare it with."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.lazy import torch
from leaq.quantizers.coded import Coded, flat_models, levels_of, weights_at
from leaq.seeds import stream
from leaq.types import Bools, Checkpoints, Floats, Ints

STRETCH = 2**16
"""Weights in which one move is looked for at a time."""


@dataclass(frozen=True)
class Moves:
    """Single weights of one model and the adjacent levels they move to.

    Attributes
    ----------
    name : the parameter each move is in.
    position : (m,) index into the flattened parameter.
    value : (m,) the weight after the move.
    """

    name: tuple[str, ...]
    position: Ints
    value: Floats

    def __len__(self) -> int:
        return len(self.name)

    def some(self, which: Ints) -> "Moves":
        """Return some of the moves, by their places."""
        return Moves(tuple(self.name[i] for i in which), self.position[which], self.value[which])

    def by_parameter(self) -> Iterator[tuple[str, Ints]]:
        """Yield each parameter and the moves in it."""
        names = np.array(self.name)
        for name in dict.fromkeys(self.name):
            yield name, np.flatnonzero(names == name)


def draw_moves(
    quantizer: Coded, released: Checkpoints, *, moves: int = 200, seed: int = 0, first: int = 0
) -> list[Moves]:
    """Return for each released model distinct single-code moves drawn evenly over all weights.

    One parameter's codes are held at a time, so that a large model needs no second copy of itself.

    Parameters
    ----------
    quantizer : a calibrated one fitted, ``quantizer.fitted_to(released, calibration)``.
    released : batch (s,), in full precision.
    moves : number of moves a model; all there are if there are fewer.
    first : index of the first model, so that its moves are the same in whatever stack it comes.
    """
    s = flat_models(released, "neighbours")
    if moves < 1:
        raise InvalidInput(f"neighbours: moves must be at least 1. Found {moves}.")
    shifts = _Shifts(quantizer, quantizer.fitted_to(released), released)
    counts: dict[str, list[Ints]] = {}
    for name, _, possible, values in shifts():
        counts.setdefault(name, []).append(possible.sum(1))
        del possible, values  # before the next ones are made: one layer may be a large part of a model
    if not counts:
        raise NotEnoughEvidence("neighbours: the model must have quantized weights. Found none.")
    picked = [
        _drawn({name: np.array([side[i] for side in sides]) for name, sides in counts.items()}, moves,
               stream(seed, "neighbours", first + i))
        for i in range(s)
    ]  # fmt: skip
    found: list[dict[str, list[tuple[Ints, Floats]]]] = [{} for _ in range(s)]
    for name, down, possible, values in shifts({name for one in picked for name in one}):
        for i, one in enumerate(picked):
            if name in one:
                ups = int(counts[name][0][i])
                ranks = one[name][one[name] >= ups] - ups if down else one[name][one[name] < ups]
                places = _places(possible[i], ranks)
                weights = values[i][torch.from_numpy(places)].double().numpy()
                found[i].setdefault(name, []).append((places, weights))
        del possible, values
    return [_moves(one, list(counts)) for one in found]


@dataclass
class _Shifts:
    """Every parameter with its codes one up, then one down, and where that changes a weight."""

    quantizer: Coded
    fitted: Any
    released: Checkpoints

    def __call__(self, names: Collection[str] | None = None) -> Iterator[tuple[str, bool, Bools, Any]]:
        """Yield name, whether codes go down, where that changes something, and the weights then, each (s, p)."""
        s = self.released.batch[0]
        for name, codes, scales in self.fitted.coded(self.released, names):
            scheme, levels = levels_of(self.quantizer, name, self.released)
            now = scheme.dequantize(codes, scales).reshape(s, -1)
            for shift in (1, -1):
                value = weights_at(scheme, codes, scales, shift=shift, levels=levels).reshape(s, -1)
                # Beside the largest number of a floating-point format stands no number.
                yield name, shift < 0, (value.isfinite() & (value != now)).numpy(), value
                del value  # of a large model no two of these are held


def _drawn(counts: Mapping[str, Ints], moves: int, rng: np.random.Generator) -> dict[str, Ints]:
    """Return which of each parameter's possible moves are drawn, in order: those up come before those down."""
    total = int(sum(count.sum() for count in counts.values()))
    if total == 0:
        raise NotEnoughEvidence("neighbours: no code can be moved to another weight value.")
    picked = np.sort(rng.choice(total, size=min(moves, total), replace=False))
    found, start = {}, 0
    for name, count in counts.items():
        stop = start + int(count.sum())
        mine = picked[(picked >= start) & (picked < stop)] - start
        if len(mine):
            found[name] = mine
        start = stop
    return found


def _places(mask: Bools, ranks: Ints) -> Ints:
    """Return where the true ones of some ranks stand, a stretch of the mask at a time.

    Examples
    --------
    >>> _places(np.array([False, True, False, True, True]), np.array([0, 2])).tolist()
    [1, 4]
    """
    starts = np.arange(0, len(mask), STRETCH)
    before = np.r_[0, np.cumsum(np.add.reduceat(mask, starts, dtype=np.int64))]
    stretch = np.searchsorted(before, ranks, side="right") - 1
    found = [
        starts[at] + np.flatnonzero(mask[starts[at] : starts[at] + STRETCH])[rank - before[at]]
        for at, rank in zip(stretch, ranks, strict=True)
    ]
    return np.array(found, dtype=np.int64)


def _moves(found: Mapping[str, list[tuple[Ints, Floats]]], order: Sequence[str]) -> Moves:
    parts = [(name, *part) for name in order for part in found.get(name, ())]
    return Moves(
        tuple(name for name, places, _ in parts for _ in places),
        np.concatenate([places for _, places, _ in parts]),
        np.concatenate([weights for _, _, weights in parts]),
    )


def moved(quantized: Checkpoints, moves: Sequence[Moves]) -> Checkpoints:
    """Return the moved models, the unmoved one last: batch (s, m + 1).

    Only parameters in which something moves are held m + 1 times; the others are views of one tensor.
    """
    s = flat_models(quantized, "moved")
    counts = {len(one) for one in moves}
    if len(moves) != s or len(counts) != 1:
        raise InvalidInput(f"moved: needs as many moves for each of {s} models. Found {[len(one) for one in moves]}.")
    m = counts.pop()
    touched = {name for one in moves for name in one.name}
    params = {
        name: tensor.unsqueeze(1).expand(s, m + 1, *tensor.shape[1:]) for name, tensor in quantized.params.items()
    }
    params |= {name: params[name].contiguous() for name in params if name in touched}
    for i, one in enumerate(moves):
        for j in range(m):
            params[one.name[j]][i, j].view(-1)[int(one.position[j])] = float(one.value[j])
    return Checkpoints(params, quantized.roles, (s, m + 1), activation_bits=quantized.activation_bits)


def neighbours(
    quantizer: Coded, released: Checkpoints, *, moves: int = 200, seed: int = 0, first: int = 0, calibration: Any = None
) -> Checkpoints:
    """Return candidates with one code moved to an adjacent level: batch (s, m + 1), the last one unmoved.

    For stacks of linear layers the benchmark of fidelity gives the same losses without these copies.
    """
    fitted = quantizer.fitted_to(released, calibration)
    drawn = draw_moves(fitted, released, moves=moves, seed=seed, first=first)
    return moved(fitted(released), drawn)
