"""What records are for: some are public, some are chosen on, the rest is the pool."""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from leaq.data.membership import FEWEST
from leaq.errors import NotEnoughEvidence
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import set_aside, strangers
from leaq.pipeline.rows import primary_metric
from leaq.types import Samples

ARRAYS = ("inputs", "targets", "ids", "groups")
SHARE = 0.2
"""Share of the records for each of the two parts: public records, where none are given, and those chosen on."""


@dataclass(frozen=True)
class Parts:
    """Records by what they are for.

    Attributes
    ----------
    pool : models of the search and of the audit train on halves of it; names the public records as its own.
    choosing : accuracy is chosen by on them; no model of the search or of the audit trains on them.
    public : standardise and calibrate; no model trains on them.
    given : whether the public records were given, not set aside.
    """

    pool: Samples
    choosing: Samples
    public: Samples
    given: bool

    @classmethod
    def of(cls, samples: Samples, config: AuditConfig) -> Self:
        """Draw the parts; a fifth of the records each. What trained a released model stays in the pool."""
        if samples.public is None:
            rest, public = _drawn(samples, share=SHARE, seed=config.seed)
            share = SHARE / (1 - SHARE)
        else:
            rest, public, share = samples, samples.public, SHARE
        public = strangers(public, rest)
        pool, choosing = _drawn(replace(rest, public=public), share=share, seed=config.seed)
        return cls(pool, choosing, public, given=samples.public is not None)

    @property
    def unreleased(self) -> Self:
        """Return the same records without who trained the released model: what the choice is made on."""
        return replace(self, pool=replace(self.pool, released_on=None))

    @property
    def whole(self) -> Samples:
        """Return what the released model is trained on: everything but the public records."""
        return joined_records(self.pool, self.choosing)

    @property
    def metric(self) -> str:
        """Return the name of the metric that must not fall."""
        return primary_metric(self.pool)

    def said(self, models: int) -> str:
        """Say how the release was chosen, and what is public."""
        where = "given as public" if self.given else "set aside as if they were public"
        return (
            f"The release was chosen on {models} models by its accuracy on {len(self.choosing)} records that train "
            "none of the models audited here, which were trained anew after the choice. "
            f"{len(self.public)} records {where} standardise and calibrate; nobody is asked about them."
        )


def joined_records(samples: Samples, more: Samples) -> Samples:
    """Return the records of both, in order; everything else is the first's."""
    both: dict[str, Any] = {k: np.concatenate([getattr(one, k) for one in (samples, more)]) for k in ARRAYS}
    return replace(samples, **both)


def _drawn(samples: Samples, *, share: float, seed: int) -> tuple[Samples, Samples]:
    """Return the records left, and those drawn: none that trained a released model, and at most half of the others."""
    inside = samples.released_on
    if inside is None:
        return set_aside(samples, share=share, seed=seed)
    outside = samples.take(~np.isin(samples.groups, samples.groups[inside]))
    if len(outside) < FEWEST:
        raise NotEnoughEvidence(
            f"protect sets records aside that did not train the released model. Found {len(outside)} of the source "
            f"that did not and equal none that did; give at least {FEWEST}."
        )
    most = min(0.5, share * len(samples) / len(outside))
    _, drawn = set_aside(replace(outside, released_on=None), share=most, seed=seed)
    return samples.take(~np.isin(samples.ids, drawn.ids)), drawn
