"""What everything is made of: records, weights, losses, numbers with their doubt. Read `leaq.types.nouns` first."""

from leaq.types.activations import Activations
from leaq.types.estimates import AttackResult, Estimate, NotComputed, computed
from leaq.types.nouns import (
    LAYER_ROLES,
    Bools,
    Checkpoints,
    Feature,
    Flag,
    Floats,
    Game,
    Ints,
    LossTable,
    Progress,
    Role,
    Samples,
    Task,
    silent,
)

__all__ = [
    "Activations",
    "AttackResult",
    "Bools",
    "Checkpoints",
    "Estimate",
    "Feature",
    "Flag",
    "Floats",
    "Game",
    "LAYER_ROLES",
    "Ints",
    "LossTable",
    "NotComputed",
    "Progress",
    "Role",
    "Samples",
    "Task",
    "computed",
    "silent",
]
