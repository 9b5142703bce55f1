"""A linear head by differentially private least squares on components of public records: few numbers, little noise.

What multiplies records comes from public ones, without their labels: their leading principal components. Of the
members only sums are looked at, in one release of the Gaussian mechanism: with v the component scores of a record,
clipped to norm 1, and its target, clipped to norm 1, the sum of v v' gets symmetric noise for its sensitivity of 2
(one record more or less). The ridge regression on the noisy sums, its penalty as large as the noise, is
post-processing. A dozen numbers are private here; DP-SGD clips and disturbs every weight of the network in every step.

Sources: Wang, "Revisiting differentially private linear regression" (arXiv 1803.02596v2), algorithm 1 without its
private choice of the penalty; the noise is that of Balle and Wang (arXiv 1805.06530v2), theorem 8.
"""

import math
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import torch
from pydantic import Field

from leaq.errors import InvalidInput
from leaq.seeds import stream
from leaq.training.config import TrainingConfig
from leaq.training.mlp import MLP
from leaq.training.private import Private, standardised_privately, with_guarantee
from leaq.training.standardise import fit_scalers, gaussian_mu
from leaq.types import Bools, Checkpoints, Floats, Samples

SENSITIVITY = 2.0
"""Of the sum of v v' in Frobenius norm: the largest squared norm of v."""
SPREAD = 2.0
"""Regression targets are clipped at this many standard deviations."""
CONSTANT = 0.5
"""Entry of every record that carries the intercept."""
NORM = 0.75
"""Quantile of the public records' norms that becomes 1."""


class PrivateSquares(Private):
    """Differentially private least squares at one epsilon.

    Examples
    --------
    >>> PrivateSquares(epsilon=3).label()
    'DP least squares ε=3'
    """

    name: ClassVar[str] = "dp_squares"
    title: ClassVar[str] = "DP least squares"
    components: int = Field(default=8, ge=1)
    """Principal components of the public records that are used."""

    def describe(self, n_train: int, config: TrainingConfig | None = None) -> str:
        """Say in one sentence what is guaranteed, for heads standardised as `config` says."""
        how = f"a linear head on {self.components} principal components of the public records"
        if math.isinf(self.epsilon):
            return f"Least squares without noise, {how}; no guarantee."
        return (
            f"(ε={self.epsilon:g}, δ={self.delta(n_train):.2g})-differentially private for one record more or less: "
            f"{how}, one release of the Gaussian mechanism, exact accounting; "
            f"{with_guarantee(config or TrainingConfig())}."
        )


def train_squares(
    samples: Samples, members: Bools, config: TrainingConfig, private: PrivateSquares, *, seed: int
) -> tuple[MLP, Checkpoints]:
    """Fit one linear head per row of `members`; targets of public records serve to standardise, if at all.

    Returns
    -------
    The architecture, and the weights with batch (s,).

    Raises
    ------
    InvalidInput
        If there are no public records.
    """
    if samples.public is None:
        raise InvalidInput(
            f"{private.label()} takes its components from public records. Found none. Name some with public."
        )
    mlp = MLP(samples.inputs.shape[1], max(1, len(samples.classes)), (), samples.task)
    scalers = fit_scalers(samples, members, standardised_privately(config), seed=seed)
    mu, delta = math.inf, private.delta(int(members.sum(1).max()))
    if not math.isinf(private.epsilon):
        mu = gaussian_mu(private.epsilon, delta)
    weights, biases = [], []
    for model, inside in enumerate(members):
        own = {name: values[model] for name, values in scalers.items()}
        basis = _Basis.of((samples.public.inputs - own["input.mean"]) / own["input.scale"], private.components)
        scores = basis.scores((samples.inputs[inside] - own["input.mean"]) / own["input.scale"])
        goals = _goals(samples, inside, own)
        solved = _ridge(scores, goals, mu=mu, seed=seed, model=model)
        weight, bias = basis.unfolded(solved)
        if samples.task != "regression" and len(weight) == 1:  # one logit a class
            weight, bias = np.concatenate([-weight, weight]), np.concatenate([-bias, bias])
        weights.append(weight)
        biases.append(bias)
    params = {name: torch.from_numpy(values).float() for name, values in scalers.items()}
    params["layers.0.weight"] = torch.from_numpy(np.stack(weights)).float()
    params["layers.0.bias"] = torch.from_numpy(np.stack(biases)).float()
    return mlp, Checkpoints({name: params[name] for name in mlp.roles}, mlp.roles, (len(members),))


@dataclass(frozen=True)
class _Basis:
    """Centre (d,), components (k, d) and the norm that becomes 1, of public records."""

    centre: Floats
    axes: Floats
    norm: float

    @classmethod
    def of(cls, public: Floats, components: int) -> Self:
        centre = public.mean(0)
        axes = np.linalg.svd(public - centre, full_matrices=False)[2][:components]
        norms = np.linalg.norm((public - centre) @ axes.T, axis=1)
        return cls(centre, axes, float(np.quantile(norms, NORM)) or 1.0)

    def scores(self, inputs: Floats) -> Floats:
        """Return scores and the intercept's entry, (n, k + 1), each record clipped to norm 1."""
        found = (inputs - self.centre) @ self.axes.T / self.norm
        found = np.concatenate([found, np.full((len(found), 1), CONSTANT)], axis=1)
        return np.asarray(found / np.maximum(1.0, np.linalg.norm(found, axis=1, keepdims=True)))

    def unfolded(self, solved: Floats) -> tuple[Floats, Floats]:
        """Return weights (m, d) and biases (m,) on standardised inputs, of coefficients (k + 1, m)."""
        weight = solved[:-1].T @ self.axes / self.norm
        return weight, CONSTANT * solved[-1] - weight @ self.centre


def _goals(samples: Samples, inside: Bools, own: dict[str, Floats]) -> Floats:
    """Return targets (n, m) of norm at most 1: clipped values, signs of two classes, or one column a class."""
    y = samples.targets[inside]
    if samples.task == "regression":
        standard = (np.asarray(y, np.float64) - own["output.mean"]) / own["output.scale"]
        return np.asarray(np.clip(standard / SPREAD, -1, 1)[:, None])
    count = len(samples.classes)
    return (2.0 * y - 1)[:, None] if count == 2 else np.eye(count)[y.astype(np.int64)]


def _ridge(scores: Floats, goals: Floats, *, mu: float, seed: int, model: int) -> Floats:
    """Return coefficients (k + 1, m) in units of the targets, from sums that are private."""
    v = np.concatenate([scores, goals], axis=1)
    noise = SENSITIVITY / mu
    rng = stream(seed, "dp-squares", model)
    # Isotropic among symmetric matrices: an entry off the diagonal counts twice in the Frobenius norm.
    drawn = rng.normal(size=(v.shape[1], v.shape[1])) * noise
    sums = v.T @ v + (drawn + drawn.T) / 2
    width = scores.shape[1]
    values, vectors = np.linalg.eigh(sums[:width, :width])
    penalty = max(1.0, noise * math.sqrt(width))
    solved = vectors @ ((vectors.T @ sums[:width, width:]) / (np.maximum(values, 0.0) + penalty)[:, None])
    return np.asarray(SPREAD * solved)
