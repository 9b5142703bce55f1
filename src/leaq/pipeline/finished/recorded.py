"""What one recorded training run tells of its members one by one, where nobody trained another."""

from dataclasses import dataclass, field

import numpy as np
from torch import nn

from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.measures.one_run import baselines, record_risk
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.running import is_weightless
from leaq.types import Checkpoints, NotComputed

NO_ARRAYS = "Risk from one run needs inputs that are arrays of one width, and one target a record."


@dataclass(frozen=True)
class Run:
    """What a recording adds to an audit.

    Attributes
    ----------
    checkpoints : how many were recorded; 0 without a recording.
    private : by row number of the members: "run_risk", and "run_baselines" by the name of each.
    missing : why there is no risk, where there is none.
    """

    checkpoints: int = 0
    private: dict[str, object] = field(default_factory=dict)
    missing: NotComputed | None = None

    @property
    def described(self) -> dict[str, int]:
        """Return what anybody may know of it."""
        return {"recorded": self.checkpoints} if self.checkpoints else {}


def refuse_unseen(module: nn.Module) -> None:
    """Refuse a recording of a model that shows no weights, with `InvalidInput`."""
    if is_weightless(module):
        raise InvalidInput("A recording belongs to a model whose weights are seen. Found one without. Leave it out.")


def told_by(evaluator: ModelEvaluator, recorded: Checkpoints | None) -> Run:
    """Return what a recorded run tells of its members: how exposed each is expected to be, or why that is not told."""
    if recorded is None or len(recorded.batch) != 2:
        return Run()
    features, members, count = evaluator.members.features, len(evaluator.members), recorded.batch[1]
    if features is None or evaluator.labels is None:
        return Run(count, missing=NotComputed(NO_ARRAYS))
    try:
        losses = evaluator.table(recorded).losses[0, :, :members]
        inputs, labels = np.asarray(features, dtype=np.float64), np.asarray(evaluator.labels)[:members]
        risk = record_risk(losses, inputs, labels, evaluator.task).tolist()
    except NotEnoughEvidence as err:
        return Run(count, missing=NotComputed(str(err)))
    beside = {name: values.tolist() for name, values in baselines(losses).items()}
    return Run(count, {"run_risk": risk, "run_baselines": beside})
