"""Membership inference security of a set of candidates, 1 - the finite-sample leak."""

import warnings
from dataclasses import dataclass, field, fields
from typing import Any

from leaq.measures.finite_sample import finite_sample
from leaq.measures.rate import RateResult, rate
from leaq.types import Estimate, LossTable

__all__ = ["Security", "security"]


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


def security(table: LossTable, **options: Any) -> Security:
    """Return 1 - leak with the leak's interval turned round; options as of `finite_sample`."""
    leak = finite_sample(table, **options)
    turned = {"value": 1 - leak.value, "low": 1 - leak.high, "high": 1 - leak.low, "method": f"1 - leak; {leak.method}"}
    return Security(**(vars(leak) | turned), table=table)
