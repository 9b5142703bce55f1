"""Training many small models at once: S replicates as one tensor program.

`train` takes records and who is a member of which model, and returns the architecture and the recorded weights.
"""

from typing import TYPE_CHECKING

from leaq.lazy import found_in
from leaq.training.config import TrainingConfig

if TYPE_CHECKING:
    from leaq.training.batched import chunks, train, train_modules
    from leaq.training.mlp import MLP
    from leaq.training.modules import StackedModule
    from leaq.training.steps import StackRecorder

__all__ = ["MLP", "StackRecorder", "StackedModule", "TrainingConfig", "chunks", "train", "train_modules"]

# The recipe must be had without torch: the command line shows its options.
__getattr__ = found_in(
    __name__,
    {
        **dict.fromkeys(("chunks", "train", "train_modules"), "leaq.training.batched"),
        "MLP": "leaq.training.mlp",
        "StackedModule": "leaq.training.modules",
        "StackRecorder": "leaq.training.steps",
    },
)
