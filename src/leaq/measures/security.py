"""Membership inference security of a set of candidates, 1 - the finite-sample leak."""

import warnings
from dataclasses import dataclass, field, fields
from typing import Any

from leaq.measures.finite_sample import finite_sample
from leaq.measures.rate import RateResult, rate
from leaq.types import Estimate, LossTable


@dataclass(frozen=True, repr=False)
class Security(Estimate):
    """An estimate of the security; what version 0.1 returned in its place, the rate, is understood for a version."""

    table: LossTable | None = field(default=None, compare=False)

    def __getattr__(self, name: str) -> Any:
        """Return an attribute of the rate by its former place."""
        if name.startswith("_") or self.table is None or name not in {each.name for each in fields(RateResult)}:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        warnings.warn(
            f"leaq.mis(table).{name} is leaq.rate(table).{name}; leaq.mis returns the security 1 - leak.",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(rate(self.table), name)


def mis(table: LossTable, **options: Any) -> Security:
    """Return the membership inference security of a loss table's candidates at this number of records: 1 - leak.

    Direction: larger is safer. Range: [0, 1]; 1 = no attacker gains anything. The leak is that of the learner that
    picks the best candidate on its training records; what else a released model gives away is not in it. Attributes of
    `leaq.rate`'s result, which this name returned in version 0.1, are still found, with a warning.

    Parameters
    ----------
    options : of `leaq.measures.finite_sample.finite_sample`: models, level, seed, options.

    Raises
    ------
    NotEnoughEvidence
        If no model has two distinct candidates.

    Examples
    --------
    >>> import numpy as np
    >>> losses = np.random.default_rng(0).normal([[0.0], [0.1], [0.2]], 1.0, size=(3, 2000))
    >>> found = mis(LossTable(losses[None], np.zeros((1, 2000), bool), "regression", "iid", n_train=100))
    >>> found.low < 1 - 0.0287 < found.high  # the truth, by drawing 40,000 training sets
    True
    """
    leak = finite_sample(table, **options)
    turned = {"value": 1 - leak.value, "low": 1 - leak.high, "high": 1 - leak.low, "method": f"1 - leak; {leak.method}"}
    return Security(**(vars(leak) | turned), table=table)
