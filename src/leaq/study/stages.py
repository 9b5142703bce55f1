"""One number a stage of an audit, raised by hand when its numbers change: what stored results are good for.

A stored cell is answered from only if no stage has been raised since; the losses of its models, if none before the
measuring has. `tests/golden` computes a small audit stage by stage, compares it with what was written down, and says
which number to raise. So a moved file or a reworded docstring makes no folder stale.
"""

import json
from collections.abc import Mapping

STAGES: Mapping[str, int] = {"read": 2, "embed": 2, "train": 2, "quantize": 1, "evaluate": 1, "measure": 5}
"""In the order of the flow; "measure" holds metrics, indicators and attacks."""


def stages_key(*, without: frozenset[str] = frozenset()) -> str:
    """Return a text that is the same as long as the stages compute the same numbers, some of them left out.

    Examples
    --------
    >>> stages_key(without=frozenset({"read", "embed", "train", "quantize", "evaluate"}))
    '{"measure": 5}'
    """
    return json.dumps({stage: number for stage, number in STAGES.items() if stage not in without})
