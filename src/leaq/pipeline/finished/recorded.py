"""What one recorded training run tells of its members one by one, where nobody trained another."""

import numpy as np

from leaq.errors import NotEnoughEvidence
from leaq.measures.one_run import record_risk
from leaq.pipeline.finished.evaluating import Bench
from leaq.types import Checkpoints

__all__ = ["run_risk"]


def run_risk(bench: Bench, recorded: Checkpoints | None) -> dict[str, object]:
    """Return what is private of a recorded run: ``run_risk`` of each member, by row number, or why there is none.

    Empty where nothing was recorded.
    """
    if recorded is None or len(recorded.batch) != 2:
        return {}
    features, count = bench.members.features, len(bench.members)
    if features is None or bench.labels is None:
        return {"no_run_risk": "Risk from one run needs inputs that are arrays of one width, and one target a record."}
    try:
        losses = bench.table(recorded).losses[0, :, :count]
        inputs, labels = np.asarray(features, dtype=np.float64), np.asarray(bench.labels)[:count]
        return {"run_risk": record_risk(losses, inputs, labels, bench.task).tolist()}
    except NotEnoughEvidence as err:
        return {"no_run_risk": str(err)}
