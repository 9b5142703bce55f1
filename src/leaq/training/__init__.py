"""Training many small models at once: S replicates as one tensor program.

`train` takes records and who is a member of which model, and returns the architecture and the recorded weights.
"""

from leaq.training.batched import chunks, seconds_per_step, train, train_modules
from leaq.training.config import TrainingConfig
from leaq.training.mlp import MLP
from leaq.training.modules import StackedModule
from leaq.training.recorder import Recorder

__all__ = ["MLP", "Recorder", "StackedModule", "TrainingConfig", "chunks", "seconds_per_step", "train", "train_modules"]
