"""Mean and covariance of losses, accumulated over chunks of records and merged exactly across workers.

Source: Chan, Golub, LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979).
"""

from dataclasses import dataclass, field

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.types import Floats

__all__ = ["Moments"]


@dataclass
class Moments:
    """Streaming first and second moments of c losses: memory O(c^2), whatever the number of records.

    Examples
    --------
    >>> moments = Moments(2)
    >>> moments.update(np.array([[1.0, 3.0], [0.0, 4.0]]))
    >>> moments.mean, moments.covariance
    (array([2., 2.]), array([[2., 4.],
           [4., 8.]]))
    """

    candidates: int
    n: int = 0
    mean: Floats = field(init=False)
    second: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.mean = np.zeros(self.candidates)
        self.second = np.zeros((self.candidates, self.candidates))

    def update(self, losses: Floats) -> None:
        """Add a chunk of losses (c, n)."""
        if losses.ndim != 2 or losses.shape[0] != self.candidates:
            raise InvalidInput(f"Moments: a chunk must have shape ({self.candidates}, n). Found {losses.shape}.")
        bad = ~np.isfinite(losses)
        if bad.any():
            raise InvalidInput(
                f"Moments: losses must be finite. Found {int(bad.sum())} NaN or infinite values, first in candidate "
                f"{int(bad.any(1).argmax())}. Leave that candidate out or lower the learning rate."
            )
        if losses.shape[1] == 0:
            return
        part = Moments(self.candidates)
        values = np.asarray(losses, dtype=np.float64)
        part.n = values.shape[1]
        part.mean = values.mean(axis=1)
        centred = values - part.mean[:, None]
        part.second = centred @ centred.T
        self.merge(part)

    def merge(self, other: "Moments") -> None:
        """Add what another worker accumulated; any grouping of merges gives the same result up to rounding."""
        if other.candidates != self.candidates:
            raise InvalidInput(
                f"Moments: only moments of the same candidates merge. Found {self.candidates} and {other.candidates}."
            )
        total = self.n + other.n
        if total == 0:
            return
        shift = other.mean - self.mean
        self.second = self.second + other.second + np.outer(shift, shift) * (self.n * other.n / total)
        self.mean = self.mean + shift * (other.n / total)
        self.n = total

    @property
    def covariance(self) -> Floats:
        """Unbiased covariance (c, c)."""
        if self.n < 2:
            raise NotEnoughEvidence(f"A covariance needs at least 2 records. Found {self.n}.")
        return self.second / (self.n - 1)
