"""What outputs of many classes told, in their place: no attack reads them, and they are most of such a table.

A record's outputs enter the metrics, and what distortion and correlation compare with full precision. Both are known
model by model once a model is evaluated, so that (s, n, k) numbers give way to (s, n) and a few (s, 1 + draws).
"""

from dataclasses import replace

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.measures.class_order import ORDER, picked
from leaq.measures.distortion import FOLLOWED, MOVES, correlations, relative_moves
from leaq.measures.performance import by_model
from leaq.types import Floats, LossTable

NARROW = 2
"""Outputs of a record that are kept: no more than its loss and its score take."""


def condensed(table: LossTable, reference: LossTable | None = None, *, seed: int = 0, draws: int = 200) -> LossTable:
    """Return the table without outputs that are wider than `NARROW`, and with what metrics and indicators make of them.

    Numbers computed from it with this seed and as many draws are those of the whole table to the last digit.

    Parameters
    ----------
    reference : the same models in full precision, with outputs; None of full precision itself, or without any.

    Examples
    --------
    >>> import numpy as np
    >>> from leaq.measures.performance import performance
    >>> rng = np.random.default_rng(0)
    >>> outputs, members = rng.normal(size=(4, 60, 3)), rng.random((4, 60)) < 0.5
    >>> table = LossTable(np.ones((4, 1, 60)), members, "classification", "pool", 30, outputs=outputs,
    ...                   targets=np.arange(60) % 3)
    >>> small = condensed(table)
    >>> small.outputs is None, performance(small) == performance(table)
    (True, True)
    """
    by_task = {
        name: condensed(part, None if reference is None else reference.by_task[name], seed=seed, draws=draws)
        for name, part in table.by_task.items()
    }
    if table.outputs is None or table.outputs.shape[2] <= NARROW:
        return replace(table, by_task=by_task) if by_task else table
    try:
        told: dict[str, Floats] = by_model(table, seed=seed, draws=draws)
    except NotEnoughEvidence:
        return table  # said where the metrics are asked for
    if 2 * table.outputs.shape[2] < table.outputs.shape[1] and (counts := list(picked(table))):  # no more than outputs
        told[ORDER] = np.array(counts, dtype=np.float64)
    if reference is not None and reference.outputs is not None and reference.outputs.shape == table.outputs.shape:
        told[MOVES] = relative_moves(table, reference)
        told[FOLLOWED] = correlations(table, reference, seed=seed, draws=draws)
    return replace(table, outputs=None, told=told, by_task=by_task)
