"""Level B's reference: the combined attack of who sees the outputs, run twice with nothing in common.

Each repetition attacks 64 models, each with 62 others as shadows. What the two disagree about, no indicator can be blamed
for: they say which pairs of quantizers are told apart, and how well any order of records can be reproduced.
"""

from pathlib import Path

import numpy as np

from benchmarks.fidelity.collect import MODELS, REFERENCE, REPLICATES, Arrays, part_of
from leaq.attacks.base import Context
from leaq.attacks.combined import Combined
from leaq.attacks.decisions import signed, thresholds_by_others
from leaq.attacks.risk import separation
from leaq.stats.roc import tpr_at_fpr
from leaq.types import Floats

FPR = 0.01
TOLD_APART = 1.96


def referred(spec: str, arrays: Arrays, common: Arrays, folder: Path) -> Arrays:
    """Return both repetitions under one quantizer, from the cache where they are there.

    ``advantages`` (2, 64), ``tpr`` (2,), ``risk`` (2, n): separation of each record's scores in its members' models and
    in the others.
    """
    path = folder / f"reference-{spec}.npz"
    if path.exists():
        return dict(np.load(path))
    found = [
        _attacked(arrays, common, slice(start, start + REFERENCE)) for start in range(REPLICATES, MODELS, REFERENCE)
    ]
    together = {name: np.stack([one[name] for one in found]) for name in found[0]}
    np.savez(path, **together)
    return together


def _attacked(arrays: Arrays, common: Arrays, which: slice) -> Arrays:
    table = part_of(arrays, common, which)
    scores = Combined(sees="outputs").scores(Context(table), range(REFERENCE))
    thresholds = thresholds_by_others(scores, table.members)
    assert thresholds is not None
    return {
        "advantages": signed(scores > thresholds[:, None], table.members),
        "tpr": np.array(tpr_at_fpr(scores.ravel(), table.members.ravel(), FPR)),
        "risk": separation(scores, table.members),
    }


def told_apart(first: Floats, second: Floats) -> bool:
    """Tell whether both repetitions tell two quantizers apart at 95 %, and the same way round; (2, 64) advantages each.

    Differences are paired: the same models, quantized two ways; a model and its complement are one unit.
    """
    units = (first - second).reshape(2, -1, 2).mean(2)  # pairs of complements stand beside each other
    error = units.std(1, ddof=1) / np.sqrt(units.shape[1])
    found = units.mean(1) / np.maximum(error, 1e-12)
    return bool((found > TOLD_APART).all() or (found < -TOLD_APART).all())
