"""What a released model weighs."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """How much a released model weighs under one quantizer.

    `bits` and `entropy_bits` are per number of the whole model, scales and what stays in full precision included;
    `bytes` is the whole packed file. Where it is not known how many numbers there are, the rest is NaN.

    Examples
    --------
    >>> Size(4.52, 4.1, 5650, 7.1).bits_words, Size(math.nan, math.nan, 5650, math.nan).bits_words
    ('4.52', '–')
    """

    bits: float
    entropy_bits: float
    bytes: int
    compression: float

    @property
    def bits_words(self) -> str:
        """Bits a number in three digits, a dash where they are not known."""
        return "–" if math.isnan(self.bits) else f"{self.bits:.3g}"
