"""Models that were not built here: any torch module, scikit-learn network or language model, as stacked weights.

`ModuleModel` tells evaluation and training how the stacked weights of an ordinary `torch.nn.Module` become outputs;
the user's module lends its architecture and is never changed.
"""

from leaq.models.calling import evaluating, unwrap
from leaq.models.modules import ModuleModel, checkpoints_of
from leaq.models.roles import roles_of

__all__ = ["ModuleModel", "checkpoints_of", "evaluating", "roles_of", "unwrap"]
