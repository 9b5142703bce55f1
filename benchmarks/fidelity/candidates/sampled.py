"""Candidates that training itself visited: the checkpoints of one run."""

from typing import Any

from leaq.errors import NotEnoughEvidence
from leaq.quantizers.scheme import Fitted, Scheme
from leaq.types import Checkpoints

__all__ = ["trajectory"]


def trajectory(quantizer: Scheme | Fitted, checkpoints: Checkpoints, *, calibration: Any = None) -> Checkpoints:
    """Return the quantized checkpoints along training, scales fitted to the last one: batch (s, c), last = released.

    Frozen scales make the candidates points of one finite codebook per model; what the scales themselves give away
    about members is conditioned on and not measured. `calibration` is what calibrated quantizers ask for: a
    `leaq.quantizers.Calibration` of the s models.
    """
    if len(checkpoints.batch) != 2 or checkpoints.batch[1] < 2:
        raise NotEnoughEvidence(
            "trajectory: needs at least 2 checkpoints of every model, batch (models, checkpoints). "
            f"Found batch {checkpoints.batch}. Record more often."
        )
    fitted: Checkpoints = quantizer.fitted_to(checkpoints.last(), calibration)(checkpoints)
    return fitted
