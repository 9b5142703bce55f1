"""Models that were not built here: any torch module, scikit-learn network or language model, as stacked weights.

`ModuleModel` tells evaluation and training how the stacked weights of an ordinary `torch.nn.Module` become outputs;
the user's module lends its architecture and is never changed.
"""

from typing import TYPE_CHECKING

from leaq.lazy import found_in

if TYPE_CHECKING:
    from leaq.models.calling import evaluating, unwrap
    from leaq.models.modules import ModuleModel, checkpoints_of
    from leaq.models.roles import roles_of

__all__ = ["ModuleModel", "checkpoints_of", "evaluating", "roles_of", "unwrap"]

# The room's protocols must be had without torch: quantizers name them.
__getattr__ = found_in(
    __name__,
    {
        **dict.fromkeys(("evaluating", "unwrap"), "leaq.models.calling"),
        **dict.fromkeys(("ModuleModel", "checkpoints_of"), "leaq.models.modules"),
        "roles_of": "leaq.models.roles",
    },
)
