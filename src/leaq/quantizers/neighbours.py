"""Candidates one code away from the released model: what an empirical minimiser would compare it with."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.lazy import Tensor, torch
from leaq.quantizers.applying import row_runs
from leaq.seeds import stream
from leaq.types import Bools, Checkpoints, Floats, Ints

if TYPE_CHECKING:
    from leaq.quantizers.scheme import Fitted, Scheme

MOST_LEVELS = 2**16


def levels_of(quantizer: "Scheme | Fitted", name: str, released: Checkpoints) -> tuple["Scheme", int]:
    """Return the scheme that quantizes parameter `name` and its number of levels; refuses continuous weights."""
    scheme = quantizer.plan(released)[name]
    if not 2 <= scheme.levels <= MOST_LEVELS:
        raise InvalidInput(
            f"{quantizer.spec()}: candidates are made from codes, of which there must be 2 to {MOST_LEVELS:,}. "
            f"Found {scheme.levels:,} for {name!r}. Use trajectory candidates instead."
        )
    return scheme, scheme.levels


def weights_at(scheme: "Scheme", codes: "Tensor", scales: Any, *, shift: int, levels: int) -> "Tensor":
    """Return the weights with every code moved by `shift` levels, staying within the range."""
    wide = codes.to(torch.int16 if levels < MOST_LEVELS // 2 else torch.int32, copy=True)  # few bytes: models are large
    return scheme.dequantize(wide.add_(shift).clamp_(0, levels - 1).to(codes.dtype), scales)


def flat_models(released: Checkpoints, what: str) -> int:
    """Return the number of models s of released checkpoints; refuses any other batch than ``(s,)``."""
    if len(released.batch) != 1:
        raise InvalidInput(
            f"{what}: needs released models, batch (models,). Found batch {released.batch}. Take checkpoints.last()."
        )
    return released.batch[0]


SHIFTS = (1, -1)
"""Levels a code moves by: up, then down."""
Found = dict[tuple[str, int], list[tuple[Ints, Floats]]]
"""Positions and weights of one model's moves, by parameter and side."""
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
    quantizer: "Scheme | Fitted", released: Checkpoints, *, moves: int = 200, seed: int = 0, first: int = 0
) -> list[Moves]:
    """Return for each released model distinct single-code moves drawn evenly over all weights.

    One parameter's codes are held at a time, and a few rows' weights, so that a large model needs no second copy.

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
    pieces = _Pieces(quantizer, quantizer.fitted_to(released), released)
    counts: dict[str, list[Ints]] = {}  # of each piece how many codes can go up and how many down, (2, s)
    for piece in pieces():
        counts.setdefault(piece.name, []).append(np.stack([piece.shifted(by)[0].sum(1) for by in SHIFTS]))
    if not counts:
        raise NotEnoughEvidence("neighbours: the model must have quantized weights. Found none.")
    many = {name: np.stack(parts) for name, parts in counts.items()}  # (pieces, 2, s)
    picked = [
        _drawn({name: parts[:, :, i].sum(0) for name, parts in many.items()}, moves,
               stream(seed, "neighbours", first + i))
        for i in range(s)
    ]  # fmt: skip
    found: list[Found] = [{} for _ in range(s)]
    for piece in pieces({name for one in picked for name in one}):
        for side in range(len(SHIFTS)):
            _take(
                piece,
                side,
                [_of_piece(one, many[piece.name][:, :, i], piece, side) for i, one in enumerate(picked)],
                found,
            )
    return [_moves(one, list(counts)) for one in found]


def _of_piece(picked: Mapping[str, Ints], many: Ints, piece: "_Piece", side: int) -> Ints:
    """Return which of a piece's possible moves to one side are picked, of (pieces, 2) possible ones."""
    mine = picked.get(piece.name, np.empty(0, np.int64)) - many[:, :side].sum() - many[: piece.number, side].sum()
    return np.asarray(mine[(mine >= 0) & (mine < many[piece.number, side])])


def _take(piece: "_Piece", side: int, ranks: Sequence[Ints], found: Sequence[Found]) -> None:
    """Add those picked in one piece to one side to each model's moves."""
    if not any(map(len, ranks)):
        return
    possible, values = piece.shifted(SHIFTS[side])
    for i, mine in enumerate(ranks):
        places = _places(possible[i], mine)
        weights = values[i][torch.from_numpy(places)].double().numpy()
        found[i].setdefault((piece.name, side), []).append((piece.start + places, weights))


@dataclass
class _Piece:
    """Some rows of one parameter's codes; of small parameters and of stacked models all of them.

    Attributes
    ----------
    number : its place among the pieces of the parameter.
    start : index of its first weight in the flattened parameter.
    """

    name: str
    number: int
    start: int
    scheme: Any
    levels: int
    codes: Any
    scales: Any

    def shifted(self, by: int) -> tuple[Bools, Any]:
        """Return where moving the codes changes something, and the weights then, each (s, p)."""
        now = self.scheme.dequantize(self.codes, self.scales).flatten(1)
        value = weights_at(self.scheme, self.codes, self.scales, shift=by, levels=self.levels).flatten(1)
        # Beside the largest number of a floating-point format stands no number.
        return (value.isfinite() & (value != now)).numpy(), value


@dataclass
class _Pieces:
    """The codes of every parameter, a piece at a time."""

    quantizer: "Scheme | Fitted"
    fitted: Any
    released: Checkpoints

    def __call__(self, names: Collection[str] | None = None) -> Iterator[_Piece]:
        """Yield the pieces of each parameter, of `names` where given."""
        for name, codes, scales in self.fitted.coded(self.released, names):
            scheme, levels = levels_of(self.quantizer, name, self.released)
            each = prod(codes.shape[2:])
            for number, (rows, own) in enumerate(row_runs(scheme, codes.shape, scales)):
                yield _Piece(name, number, rows.start * each, scheme, levels, codes[:, rows], own)


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


def _moves(found: Found, order: Sequence[str]) -> Moves:
    sides = range(len(SHIFTS))
    parts = [(name, *part) for name in order for side in sides for part in found.get((name, side), ())]
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
    rounding = quantized.activations and quantized.activations.repeated(m + 1)
    return Checkpoints(params, quantized.roles, (s, m + 1), activations=rounding)


def neighbours(
    quantizer: "Scheme | Fitted",
    released: Checkpoints,
    *,
    moves: int = 200,
    seed: int = 0,
    first: int = 0,
    calibration: Any = None,
) -> Checkpoints:
    """Return candidates with one code moved to an adjacent level: batch (s, m + 1), the last one unmoved.

    For stacks of linear layers the benchmark of fidelity gives the same losses without these copies.
    """
    fitted = quantizer.fitted_to(released, calibration)
    drawn = draw_moves(fitted, released, moves=moves, seed=seed, first=first)
    return moved(fitted(released), drawn)
