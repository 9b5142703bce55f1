"""Which quantized weights are compared: candidates for `leaq.evaluation`, by named strategies.

`trajectory` (checkpoints along training), `neighbours` (single codes moved), `ensemble` (runs on resampled data) and
`enumeration` (every codeword). Each returns `Checkpoints` of batch ``(s, c)`` whose last candidate is the released
model, except an ensemble, whose models are all released ones. The names of the strategies are those of
`LossTable.strategy`.
"""

from leaq.candidates.enumerated import enumeration
from leaq.candidates.neighbours import Moves, draw_moves, moved, neighbours
from leaq.candidates.rank_one import neighbour_table
from leaq.candidates.sampled import ensemble, trajectory

__all__ = [
    "Moves",
    "draw_moves",
    "ensemble",
    "enumeration",
    "moved",
    "neighbour_table",
    "neighbours",
    "trajectory",
]
