"""Who is a member: halves of one pool, in complementary pairs."""

import numpy as np

from leaq.errors import InvalidInput
from leaq.seeds import stream
from leaq.types import Bools, Samples

__all__ = ["halves"]


def halves(samples: Samples, models: int, *, seed: int) -> Bools:
    """Draw each model's members: a random half of the pool, (s, n).

    Models ``2i`` and ``2i + 1`` get complementary halves, so that every record is a member of exactly half of an even
    number of models. Records of one group stay together; classes are balanced. A pair depends on the seed and its own
    number alone: adding models changes no earlier one.

    Examples
    --------
    >>> from leaq.data.tables import from_arrays
    >>> members = halves(from_arrays(np.eye(20), np.arange(20) % 2), 4, seed=0)
    >>> members.sum(axis=0).tolist() == [2] * 20
    True
    """
    if models < 2:
        raise InvalidInput(f"halves: there must be at least 2 models. Found {models}.")
    _, first, code = np.unique(samples.groups, return_index=True, return_inverse=True)
    labels = samples.targets[first] if samples.task == "classification" else np.zeros(len(first))
    strata = [np.flatnonzero(labels == label) for label in np.unique(labels)]
    members = np.empty((models, len(samples)), dtype=bool)
    for pair in range(-(-models // 2)):
        rng = stream(seed, "split", pair)
        inside = np.zeros(len(first), dtype=bool)
        taken = 0
        for stratum in strata:
            # Alternating from where the last stratum ended keeps both halves equal to within one group overall.
            inside[rng.permutation(stratum)[taken % 2 :: 2]] = True
            taken += len(stratum)
        members[2 * pair] = inside[code]
        if 2 * pair + 1 < models:
            members[2 * pair + 1] = ~inside[code]
    return members
