"""Standardisation: what a model's inputs and regression targets are centred and scaled by, and whom that gives away.

The means and scales are released with the model, in full precision under every quantizer. Fitted on the members they
are a system of linear equations in the memberships that the file attack solves (`leaq.attacks.file`); here every other
choice is made too. Source of the private one: Balle and Wang, "Improving the Gaussian Mechanism for Differential
Privacy" (arXiv 1805.06530v2), theorem 8 (the exact calibration), and Dong, Roth, Su, "Gaussian Differential Privacy"
(arXiv 1905.02383v3), corollary 3.3 (mechanisms compose by the root of summed squares).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput
from leaq.lazy import special
from leaq.seeds import stream
from leaq.training.config import STANDARDISE, TrainingConfig
from leaq.types import Bools, Floats, Samples
from leaq.types.tasks import Layout

Scalers = dict[str, Floats]
"""``input.mean``, ``input.scale`` (s, d) and, for regression, ``output.mean``, ``output.scale`` (s, 1); float64."""
BIT_SCALE = 0.5
"""What `pool` and `public` scale columns of zeros and ones by, the largest spread they can have.

A rare bit divided by its own small spread is a huge input, and one that no member of a model sets meets weights that
were never trained: held-out records with it are predicted at random (docs/standardisation.md).
"""
CONSTANT = 1e-6
"""A column whose spread is below this part of the pool's is called constant and left unscaled."""


@dataclass(frozen=True)
class _Moments:
    """Means and scales of columns, (s, d)."""

    mean: Floats
    scale: Floats


def fit_scalers(samples: Samples, members: Bools, config: TrainingConfig, *, seed: int = 0, first: int = 0) -> Scalers:
    """Return each model's input (and regression target) mean and scale, as `config.standardise` says.

    Parameters
    ----------
    samples : embedded records, inputs (n, d); ``public`` says what public statistics are taken from.
    members : (s, n).
    seed, first : name the stream of each model's noise; only ``private`` draws any.

    Raises
    ------
    InvalidInput
        If public records have other columns than the pool.

    Examples
    --------
    >>> samples = Samples(np.array([[0.0], [2.0], [4.0]]), np.array([1.0, 2.0, 3.0]), "regression")
    >>> inside = np.array([[True, True, False]])
    >>> {name: fit_scalers(samples, inside, TrainingConfig(standardise=name))["input.mean"].item()
    ...  for name in ("members", "pool", "none")}
    {'members': 1.0, 'pool': 2.0, 'none': 0.0}
    """
    columns = {"input": _columns(samples, "input")}
    if samples.task == "regression":
        columns["output"] = _columns(samples, "output")
    found: Scalers = {}
    for part, x in columns.items():
        if config.standardise == "private":
            # Inputs and targets spend half of mu squared each.
            mu = gaussian_mu(config.standardise_epsilon, 0.1 / int(members.sum(1).max())) / math.sqrt(len(columns))
            streams = [stream(seed, "standardise", part, first + i) for i in range(len(members))]
            moments = _private(x, members, mu, streams)
        else:
            public = None if samples.public is None else _columns(samples.public, part)
            moments = _exact(config, x, members, public)
        found |= {f"{part}.mean": moments.mean, f"{part}.scale": moments.scale}
    return found | _of_values(samples, members, config) if samples.tasks else found


def _of_values(samples: Samples, members: Bools, config: TrainingConfig) -> Scalers:
    """Return mean and scale of each output of several targets, (s, k): of values over the records that have one."""
    if config.standardise == "private":
        raise InvalidInput(
            "standardise='private' shares its privacy among one target's statistics. Found several targets. Choose "
            "pool, or name one target."
        )
    layout = Layout(samples.tasks)
    shape = (len(members), layout.outputs)
    found: Scalers = {"output.mean": np.zeros(shape), "output.scale": np.ones(shape)}
    for at in layout.values:
        known = ~np.isnan(samples.targets[:, at])
        public = None if samples.public is None else samples.public.targets[:, [at]]
        seen = None if public is None else public[~np.isnan(public[:, 0])]
        moments = _exact(config, samples.targets[known][:, [at]], members[:, known], seen)
        found["output.mean"][:, layout.columns(at)] = moments.mean
        found["output.scale"][:, layout.columns(at)] = moments.scale
    return found if layout.values else {}


def _columns(samples: Samples, part: str) -> Floats:
    return np.asarray(samples.inputs if part == "input" else samples.targets, np.float64).reshape(len(samples), -1)


def _exact(config: TrainingConfig, x: Floats, members: Bools, public: Floats | None) -> _Moments:
    """Every choice without noise."""
    rule = STANDARDISE if config.standardise == "auto" else config.standardise
    if rule in ("members", "rounded"):
        own = _of(x, members)
        return own if rule == "members" else _rounded(own, config.standardise_bits)
    if rule == "pool":
        fitted = _of_all(x)
    elif rule == "public" and public is not None:
        fitted = _of_public(x, public)
    else:
        fitted = _Moments(np.zeros((1, x.shape[1])), np.ones((1, x.shape[1])))
    return _Moments(fitted.mean.repeat(len(members), axis=0), fitted.scale.repeat(len(members), axis=0))


def _of(x: Floats, members: Bools) -> _Moments:
    """Mean and standard deviation over the members of each model."""
    mask = members.astype(np.float64)
    count = mask.sum(1, keepdims=True)
    # Shifted by the pool mean first: subtracting squares of large means would cancel.
    shift = x.mean(0)
    centred = x - shift
    mean = mask @ centred / count  # (s, d)
    scale = np.sqrt(np.maximum(mask @ centred**2 / count - mean**2, 0.0))
    # A column that is constant among the members is left as it is.
    return _Moments(mean + shift, np.where(scale > CONSTANT * x.std(0), scale, 1.0))


def _of_all(x: Floats) -> _Moments:
    """Mean and standard deviation over all records, (1, d); columns of zeros and ones are scaled by a constant."""
    fitted = _of(x, np.ones((1, len(x)), dtype=bool))
    return _Moments(fitted.mean, np.where(((x == 0) | (x == 1)).all(0), BIT_SCALE, fitted.scale))


def _of_public(x: Floats, known: Floats) -> _Moments:
    """Return what `pool` does, of the public records; the share of ones of a column is estimated, never 0.

    By Krichevsky and Trofimov's rule, half a record of each kind more: a column that no public record sets would else
    be exactly 0 for all members that do not set it either, its weights would never be trained, and who holds the file
    would read from them that no member sets it.
    """
    if known.shape[1:] != x.shape[1:]:
        raise InvalidInput(
            f"standardise='public': public records must have the pool's {x.shape[1]} columns. Found {known.shape[1]}. "
            "Embed both in the same way."
        )
    fitted = _of_all(known)
    bits = ((known == 0) | (known == 1)).all(0)
    return _Moments(np.where(bits, (known.sum(0) + 0.5) / (len(known) + 1), fitted.mean), fitted.scale)


def _rounded(exact: _Moments, bits: int) -> _Moments:
    """Scales become powers of two, means multiples of the scale over 2 ** (bits - 1)."""
    scale = 2.0 ** np.round(np.log2(exact.scale))
    step = scale / 2.0 ** (bits - 1)
    return _Moments(np.round(exact.mean / step) * step, scale)


def _private(x: Floats, members: Bools, mu: float, streams: Sequence[np.random.Generator]) -> _Moments:
    """Means and scales by the Gaussian mechanism, mu-GDP for one record more or less.

    The sums of (u, u^2) over the members are released with noise, u being the columns mapped to [0, 1] by the pool's
    range and each record's (u, u^2) clipped to the pool's median length. Range, length and the number of members are
    taken for known.
    """
    low, width = x.min(0), np.ptp(x, axis=0)
    unit = (x - low) / np.where(width > 0, width, 1.0)
    both = np.concatenate([unit, unit**2], axis=1)  # (n, 2d)
    length = np.linalg.norm(both, axis=1, keepdims=True)
    clip = float(np.median(length)) or 1.0
    both *= np.minimum(1.0, clip / np.maximum(length, 1e-300))
    count = members.sum(1, keepdims=True)
    noise = np.stack([rng.standard_normal(both.shape[1]) for rng in streams]) * (clip / mu)
    first, second = np.split((members.astype(np.float64) @ both + noise) / count, 2, axis=1)
    mean = first.clip(0, 1)
    # A variance below its own noise is not told from it.
    variance = np.maximum(second.clip(0, 1) - mean**2, clip / (mu * count))
    return _Moments(low + mean * width, np.where(width > 0, np.sqrt(variance) * width, 1.0))


def gaussian_mu(epsilon: float, delta: float) -> float:
    """Return the mu for which the Gaussian mechanism with noise sensitivity/mu is exactly (epsilon, delta)-private.

    Examples
    --------
    >>> round(gaussian_mu(1.0, 1e-5), 3)
    0.268
    """
    from scipy.optimize import brentq  # a third of a second that training without noise spares

    def spent(mu: float) -> float:
        below, above = (float(special.ndtr(side * mu / 2 - epsilon / mu)) for side in (-1, 1))
        return above - math.exp(epsilon) * below - delta

    return float(brentq(spent, 1e-6, 10 + 2 * epsilon))


def buffer_of(name: str) -> str:
    """Return the name under which `Scaled` holds a scaler: no dots in names of buffers."""
    return name.replace(".", "_")


class Scaled(nn.Module):
    """A module between its scalers: standardised inputs go in, predictions come out in the unit of the targets.

    The scalers are buffers, so that they are released and stacked like any other statistics of the model. Without
    scalers of the inputs these go in as they are, whatever the module takes.
    """

    def __init__(self, make: Callable[[], nn.Module], scalers: Scalers) -> None:
        super().__init__()
        self.module = make()
        for name in ("collate", "prepared", "batches"):
            if hasattr(self.module, name):
                setattr(self, name, getattr(self.module, name))
        for name, value in scalers.items():
            self.register_buffer(buffer_of(name), torch.tensor(value[0], dtype=torch.get_default_dtype()))

    def forward(self, inputs: Any) -> Tensor:
        """Return the module's outputs on standardised inputs."""
        if "input_mean" in self._buffers:
            inputs = (inputs - self.get_buffer("input_mean")) / self.get_buffer("input_scale")
        outputs: Tensor = self.module(inputs)
        if "output_mean" in self._buffers:
            scale, mean = self.get_buffer("output_scale"), self.get_buffer("output_mean")
            if scale.ndim > 1:  # of each model
                scale, mean = scale.unsqueeze(1), mean.unsqueeze(1)
            outputs = outputs * scale + mean
        return outputs
