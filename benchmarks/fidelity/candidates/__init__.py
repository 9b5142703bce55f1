"""Which quantized weights are compared, by named strategies, where the truth is measured.

`trajectory` (checkpoints along training), `neighbours` of a code by low-rank products and `enumeration` (every codeword).
Each returns `Checkpoints` of batch ``(s, c)`` whose last candidate is the released model. The names of the strategies are
those of `LossTable.strategy`.
"""

from benchmarks.fidelity.candidates.enumerated import enumeration
from benchmarks.fidelity.candidates.rank_one import neighbour_table
from benchmarks.fidelity.candidates.sampled import trajectory

__all__ = ["enumeration", "neighbour_table", "trajectory"]
