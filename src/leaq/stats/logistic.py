"""Ridge-penalised logistic regression by Newton's method: a few columns, many rows, fitted many times."""

import numpy as np

from leaq.lazy import special
from leaq.types import Bools, Floats

GRADIENT = 1e-4
"""Largest slope of the mean loss, and half the squared Newton decrement, at which a fit is done."""
STEPS, HALVINGS = 100, 20
SUFFICIENT = 2.0**-11
"""Share of the decrease a straight line promises that a step must bring (Armijo)."""


def ridge_logistic(x: Floats, y: Bools, *, strength: float) -> tuple[Floats, float]:
    """Return the weights (p,) and the constant that minimise the mean logistic loss plus w'w / (2 n strength).

    Source: Boyd, Vandenberghe (2004), Convex Optimization, sections 9.2 and 9.5. The same steps and the same end as
    ``sklearn.linear_model.LogisticRegression(C=strength, solver="newton-cholesky")``.

    Parameters
    ----------
    x : (n, p) columns of about equal spread.
    strength : inverse weight of the penalty, which spares the constant.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2000, 2))
    >>> weights, constant = ridge_logistic(x, x[:, 0] + rng.logistic(size=2000) > 1, strength=1.0)
    >>> bool(np.abs(np.r_[weights, constant] - [1, 0, -1]).max() < 0.2)
    True
    """
    n, p = x.shape
    design = np.concatenate([x, np.ones((n, 1))], axis=1)
    y = y.astype(np.float64)
    penalty = np.r_[np.full(p, 1 / (strength * n)), 0.0]
    now, linear = np.zeros(p + 1), np.zeros(n)
    loss = float(np.log(2))
    chance = np.full(n, 0.5)
    gradient = design.T @ (chance - y) / n
    for _ in range(STEPS):
        weighed = np.sqrt(chance * (1 - chance) / n)[:, None] * design
        curvature = weighed.T @ weighed + np.diag(penalty)  # of one matrix with itself: half of the products
        step = np.linalg.solve(curvature, -gradient)
        ahead, promised = design @ step, SUFFICIENT * float(gradient @ step)
        size, before = 1.0, loss
        for _ in range(HALVINGS):
            there, raw = now + size * step, linear + size * ahead
            loss = (
                float(np.mean(np.maximum(raw, 0) + np.log1p(np.exp(-np.abs(raw))) - y * raw))
                + float(penalty @ there**2) / 2
            )
            if loss - before <= size * promised or abs(loss - before) <= 16 * np.finfo(np.float64).eps * abs(before):
                break
            size /= 2
        now, linear = there, raw
        chance = special.expit(linear)
        gradient = design.T @ (chance - y) / n + penalty * now
        if np.abs(gradient).max() <= GRADIENT and step @ curvature @ step / 2 <= GRADIENT:
            break
    return now[:p], float(now[p])
