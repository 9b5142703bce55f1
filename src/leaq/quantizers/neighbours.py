"""Candidates one code away from the released model: what an empirical minimiser would compare it with."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.quantizers.coded import Coded, flat_models, levels_of, weights_at
from leaq.seeds import stream
from leaq.types import Checkpoints, Floats, Ints

__all__ = ["Moves", "draw_moves", "moved", "neighbours"]


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

    def by_parameter(self) -> Iterator[tuple[str, Ints]]:
        """Yield each parameter and the moves in it."""
        names = np.array(self.name)
        for name in dict.fromkeys(self.name):
            yield name, np.flatnonzero(names == name)


def draw_moves(
    quantizer: Coded, released: Checkpoints, *, moves: int = 200, seed: int = 0, first: int = 0, calibration: Any = None
) -> tuple[Checkpoints, list[Moves]]:
    """Return the released quantized models and, for each, distinct single-code moves drawn evenly over all weights.

    Parameters
    ----------
    released : batch (s,), in full precision.
    moves : number of moves a model; all there are if there are fewer.
    first : index of the first model, so that its moves are the same in whatever stack it comes.
    calibration : what calibrated quantizers ask for, a `leaq.quantizers.Calibration` of the s models.
    """
    s = flat_models(released, "neighbours")
    if moves < 1:
        raise InvalidInput(f"neighbours: moves must be at least 1. Found {moves}.")
    fitted = quantizer.fitted_to(released, calibration)
    coded = fitted.codes(released)
    if not coded:
        raise NotEnoughEvidence("neighbours: the model must have quantized weights. Found none.")
    quantized: Checkpoints = fitted(released)
    up_down, possible = {}, {}
    for name, (codes, scales) in coded.items():
        scheme, levels = levels_of(quantizer, name, released)
        shifted = [weights_at(scheme, codes, scales, shift=shift, levels=levels) for shift in (1, -1)]
        up_down[name] = np.stack([value.double().numpy().reshape(s, -1) for value in shifted], 1)  # (s, 2, p)
        changes = up_down[name] != quantized.params[name].double().numpy().reshape(s, 1, -1)
        # Beside the largest number of a floating-point format stands no number.
        possible[name] = changes & np.isfinite(up_down[name])
    found = [
        _draw({name: values[i] for name, values in up_down.items()}, {n: p[i] for n, p in possible.items()},
              moves=moves, rng=stream(seed, "neighbours", first + i))
        for i in range(s)
    ]  # fmt: skip
    return quantized, found


def _draw(values: dict[str, Floats], possible: dict[str, np.ndarray], *, moves: int, rng: np.random.Generator) -> Moves:
    """Draw distinct moves among all (weight, direction) pairs that change the weight."""
    where = [(name, index) for name, mask in possible.items() for index in (np.flatnonzero(mask.ravel()),)]
    counts = np.array([len(index) for _, index in where])
    total = int(counts.sum())
    if total == 0:
        raise NotEnoughEvidence("neighbours: no code can be moved to another weight value.")
    picked = np.sort(rng.choice(total, size=min(moves, total), replace=False))
    names, positions, after = [], [], []
    starts = np.r_[0, np.cumsum(counts)]
    for (name, index), start, stop in zip(where, starts[:-1], starts[1:], strict=True):
        flat = index[picked[(picked >= start) & (picked < stop)] - start]
        names += [name] * len(flat)
        positions.append(flat % possible[name].shape[1])
        after.append(values[name].ravel()[flat])
    return Moves(tuple(names), np.concatenate(positions).astype(np.int64), np.concatenate(after))


def moved(quantized: Checkpoints, moves: list[Moves]) -> Checkpoints:
    """Return the moved models, the unmoved one last: batch (s, m + 1). Holds m + 1 copies of every parameter."""
    s = flat_models(quantized, "moved")
    counts = {len(one) for one in moves}
    if len(moves) != s or len(counts) != 1:
        raise InvalidInput(f"moved: needs as many moves for each of {s} models. Found {[len(one) for one in moves]}.")
    m = counts.pop()
    params = {
        name: tensor.unsqueeze(1).repeat(1, m + 1, *[1] * (tensor.ndim - 1))
        for name, tensor in quantized.params.items()
    }
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
    drawn = draw_moves(quantizer, released, moves=moves, seed=seed, first=first, calibration=calibration)
    return moved(*drawn)
