"""What r is made of: gaps, spreads and lambda_k of one set of candidates, sorted best first.

    m_k = E l_k,  m_1 < m_2 <= ...,   delta_k = m_k - m_1,   sigma_k^2 = Var(l_k - l_1)
    Lambda_jk = (delta_2/delta_j)(delta_2/delta_k) Cov(l_j - l_1, l_k - l_1),   lambda_k = Lambda_kk

Source: Aubinais, Formont, Piantanida, Gassiat (arXiv 2502.06567; AISTATS 2026).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import Floats, LossTable

SAME = 1e-6
"""Candidates whose losses differ by less than this share of the set's spread are one function (float32 rounding)."""


@dataclass(frozen=True)
class LossGaps:
    """Means (c,) and covariance (c, c) of candidates sorted by mean, over `n` records.

    Examples
    --------
    >>> found = LossGaps.of(np.array([[0.0, 1.0, 0.0, 1.0], [1.0, 1.0, 0.0, 3.0]]))
    >>> found.delta.tolist(), found.sigma.round(3).tolist(), round(found.rate, 3)
    ([0.0, 0.75], [0.0, 0.957], 0.307)
    """

    mean: Floats
    covariance: Floats
    n: int

    @classmethod
    def of(cls, losses: Floats) -> "LossGaps":
        """Measure losses (c, n), in any order of candidates."""
        check_losses(losses)
        values = np.asarray(losses, dtype=np.float64)
        if (n := values.shape[1]) < 2:
            raise NotEnoughEvidence(f"A covariance needs at least 2 records. Found {n}.")
        values = values[np.argsort(values.mean(1), kind="stable")]
        return cls(values.mean(1), np.atleast_2d(np.cov(values)), n)

    @property
    def delta(self) -> Floats:
        """LossGaps to the best candidate, (c,); the first is 0."""
        return np.asarray(self.mean - self.mean[0])

    @property
    def difference_covariance(self) -> Floats:
        """Cov(l_j - l_1, l_k - l_1), (c, c)."""
        cov = self.covariance
        return np.asarray(cov - cov[:, :1] - cov[:1, :] + cov[0, 0])

    @property
    def sigma(self) -> Floats:
        """Standard deviations of the loss differences to the best candidate, (c,)."""
        return np.sqrt(np.maximum(np.diagonal(self.difference_covariance), 0))

    @property
    def Lambda(self) -> Floats:  # noqa: N802 (the paper's letter)
        """The matrix Lambda (c - 1, c - 1) of k = 2..c; its largest diagonal entry decides r.

        Where the optimum is not unique (delta_2 = 0) the tied candidates keep weight 1 and all others get 0.
        """
        delta = self.delta[1:]
        tied = delta == 0
        weight = np.where(tied, 1.0, delta[0] / np.where(tied, 1.0, delta))
        return np.asarray(weight[:, None] * weight * self.difference_covariance[1:, 1:])

    @property
    def lambdas(self) -> Floats:
        """lambda_k for k = 2..c, (c - 1,)."""
        return np.maximum(np.diagonal(self.Lambda), 0)

    @property
    def rate(self) -> float:
        """The rate r of these candidates; see `rate_of`."""
        return rate_of(self.delta, self.sigma)


def gaps(losses: Floats) -> tuple[Floats, Floats]:
    """Return delta_k and sigma_k of the candidates sorted by mean loss, the best one first: (c,), (c,)."""
    found = LossGaps.of(losses)
    return found.delta, found.sigma


def rate_of(delta: Floats, sigma: Floats) -> float:
    """Return min_k delta_k^2 / (2 sigma_k^2) over k >= 2; infinite where a worse candidate never varies.

    Examples
    --------
    >>> float(rate_of(np.array([0.0, 0.2, 0.4]), np.array([0.0, 1.0, 1.0])))
    0.020000000000000004
    """
    if len(delta) < 2:
        raise NotEnoughEvidence(f"r compares at least 2 candidates. Found {len(delta)}. Record more checkpoints.")
    return float(exponents(delta[1:], sigma[1:]).min())


def rho_of(delta: Floats, sigma: Floats) -> Floats:
    """Return delta / sigma; a worse candidate that never varies is infinitely far, an equal one at 0."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = delta / sigma
    return np.asarray(np.where(sigma > 0, value, np.where(delta > 0, np.inf, np.where(delta < 0, -np.inf, 0.0))))


def exponents(delta: Floats, sigma: Floats) -> Floats:
    """Return delta^2 / (2 sigma^2); a gap that is not positive (the other candidate is as good) gives 0."""
    positive = np.maximum(delta, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = positive**2 / (2 * sigma**2)
    never_varies = np.where(positive > 0, np.inf, 0.0)
    return np.asarray(np.where(sigma > 0, values, never_varies))


def merge_duplicates(losses: Floats) -> Floats:
    """Keep one of the candidates that are the same function on every record: (c, n) -> (c', n), order kept.

    Two candidates are the same when the root mean square of their difference is below `SAME` of the spread between
    candidates: what float32 arithmetic makes of equal weights.
    """
    check_losses(losses)
    between = losses - losses.mean(0)
    tolerance = max(SAME * float(np.sqrt(np.mean(between**2))), 8 * np.finfo(float).eps * float(np.abs(losses).max()))
    means = losses.mean(1)
    kept: list[int] = []
    for i in range(len(losses)):
        near = [j for j in kept if abs(means[j] - means[i]) <= tolerance]
        if not any(np.sqrt(np.mean((losses[j] - losses[i]) ** 2)) <= tolerance for j in near):
            kept.append(i)
    return np.asarray(losses[kept])


def sorted_set(losses: Floats) -> Floats:
    """Bring one set into an order of its own: candidates by mean loss, records by their losses' differences.

    What is drawn or split at random afterwards does not depend on the order records or candidates came in, nor on
    a constant added to all losses of a record.
    """
    between = losses - losses.mean(0)
    unit = float(np.abs(between).max(initial=0)) or 1.0
    # Rounded, so that equal means are equal in whatever order they were summed; then the steadier candidate is first.
    scaled = between / unit
    by = (_profile(scaled), (scaled**2).mean(1), scaled.mean(1))
    ordered = losses[np.lexsort([np.round(key, 12) for key in by])]
    difference = ordered - ordered[:1]
    keys = np.round(difference / (float(np.abs(difference).max(initial=0)) or 1.0), 9)[:0:-1]
    return np.ascontiguousarray(ordered[:, np.lexsort(keys)]) if len(keys) else ordered


def _profile(between: Floats) -> Floats:
    """Return a number a candidate (c,) that tells apart those of equal mean and spread by the records they do well on.

    Records are told apart by all candidates and candidates by all records, twice in turn, so that the order of neither
    matters. Without it, which of two such candidates wins a tie would be whichever came first.
    """
    found = np.zeros(len(between))
    for _ in range(2):
        of_record = np.exp(between + found[:, None]).mean(0)
        found = (np.exp(between) * of_record).mean(1)
    return found


def distinct_candidates(table: LossTable, models: Iterable[int], *, what: str) -> list[Floats]:
    """Return the held-out losses of each model's different candidates, of the models that have at least two.

    Raises
    ------
    NotEnoughEvidence
        If no model has; `what` compares them.
    """
    found = [losses for model in models if len(losses := merge_duplicates(table.held_out(model))) > 1]
    if not found:
        raise NotEnoughEvidence(
            f"{what} compares at least 2 distinct candidates. All {table.losses.shape[1]} candidates under "
            f"{table.quantizer} are the same function. Record more checkpoints or sample neighbours."
        )
    return found


def check_losses(losses: Floats) -> None:
    """Refuse what is no table of finite losses (c, n)."""
    if losses.ndim != 2:
        raise InvalidInput(f"losses must be (candidates, records). Found shape {losses.shape}.")
    if not losses.size:
        raise NotEnoughEvidence(
            f"losses need at least one candidate and one record that trained none of them. Found shape {losses.shape}. "
            "Keep records out of training."
        )
    bad = ~np.isfinite(losses)
    if bad.any():
        worst = int(np.argmax(bad.any(1)))
        raise InvalidInput(
            f"losses must be finite. Found {int(bad.sum())} NaN or infinite values, first in candidate {worst}. "
            "Leave that candidate out or lower the learning rate."
        )
