"""The value of r with its choices made on one half of the records and its gap measured on the other.

The smallest of several noisy ratios is too small or too large by its own noise; measured on other records it is not.
All models that have as many candidates and records are worked on together.
"""

from collections.abc import Sequence

import numpy as np

from leaq.measures.chernoff import BLOCK
from leaq.measures.loss_gaps import rho_of
from leaq.types import Bools, Floats

SPLITS = 8
"""Random halvings of the records behind the cross-fitted value, each used both ways."""


def alike(shapes: Sequence[tuple[int, ...]]) -> list[list[int]]:
    """Return which places hold the same shape, those of one shape together."""
    places: dict[tuple[int, ...], list[int]] = {}
    for at, shape in enumerate(shapes):
        places.setdefault(shape, []).append(at)
    return list(places.values())


def halvings(n: int, rng: np.random.Generator) -> Bools:
    """Return random halves of n records as masks, (2 `SPLITS`, n), each beside its complement: both ways are used."""
    halves = np.stack([rng.permutation(n) < n // 2 for _ in range(SPLITS)])
    return np.stack([halves, ~halves], axis=1).reshape(-1, n)


def cross_fitted(sets: Sequence[Floats], halves: Sequence[Bools]) -> Floats:
    """Return each model's rate, (s,): best and deciding candidate chosen on one half, their gap measured on the other.

    Parameters
    ----------
    sets : of each model losses (c, n), sorted.
    halves : of each model masks (h, n), see `halvings`.
    """
    found = np.empty(len(sets))
    for places in alike([one.shape for one in sets]):
        of_a_half = sets[places[0]].size
        both = max(1, BLOCK // of_a_half)  # halves of models at once
        models, at_once = max(1, both // len(halves[0])), min(both, len(halves[0]))
        for start in range(0, len(places), models):
            some = places[start : start + models]
            ordered, masks = np.stack([sets[at] for at in some]), np.stack([halves[at] for at in some])
            parts = [_ratios(ordered, masks[:, first : first + at_once]) for first in range(0, masks.shape[1], at_once)]
            found[some] = _middle(np.concatenate(parts, axis=1))
    return found


def _ratios(ordered: Floats, halves: Bools) -> Floats:
    """Return gap over spread on the other half of each, of models with as many candidates and records.

    (s, c, n) and (s, h, n) -> (s, h).
    """
    model, half = np.ogrid[: halves.shape[0], : halves.shape[1]]
    centred = ordered - ordered[:, :1]
    count = halves.sum(2)[:, :, None]
    mean = (halves @ centred.transpose(0, 2, 1)) / count  # (s, h, c)
    best = mean.argmin(2)
    # Differences first: candidates may differ by very little.
    squares = centred[:, None] - centred[model, best][:, :, None]
    squares **= 2
    gap = mean - mean[model, half, best][:, :, None]
    variance = ((squares @ halves[..., None].astype(np.float64))[..., 0] - count * gap**2) / (count - 1)
    # Below infinity, so that where no candidate ever varies the one that decides is not the best itself.
    rho = np.minimum(rho_of(gap, np.sqrt(np.maximum(variance, 0.0))), np.finfo(np.float64).max)
    rho[model, half, best] = np.inf
    rest = centred[model, rho.argmin(2)] - centred[model, best]
    others: Bools = np.logical_not(halves)
    left = others.sum(2)
    middle = np.where(others, rest, 0.0).sum(2) / left
    spread = np.where(others, (rest - middle[:, :, None]) ** 2, 0.0).sum(2) / (left - 1)
    return rho_of(middle, np.sqrt(spread))


def _middle(ratios: Floats) -> Floats:
    """Return the rate of each model by its halves' ratios (s, h), whose infinities of either sign have no mean."""
    known: Bools = np.asarray(np.isfinite(ratios).all(1))
    mean = np.where(known[:, None], ratios, 0.0).mean(1)
    value = np.where(known, mean, np.quantile(ratios, 0.5, axis=1, method="lower"))
    return np.asarray(np.maximum(value, 0.0) ** 2 / 2)
