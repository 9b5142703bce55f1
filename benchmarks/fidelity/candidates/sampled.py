"""Candidates that training itself visited: checkpoints of one run, or the ends of several."""

from typing import Any

from leaq.errors import NotEnoughEvidence
from leaq.quantizers.coded import Freezable, flat_models
from leaq.types import Checkpoints

__all__ = ["ensemble", "trajectory"]


def trajectory(quantizer: Freezable, checkpoints: Checkpoints, *, calibration: Any = None) -> Checkpoints:
    """Return the quantized checkpoints along training, scales frozen to the last one: batch (s, c), last = released.

    Frozen scales make the candidates points of one finite codebook per model; what the scales themselves give away
    about members is conditioned on and not measured. `calibration` is what calibrated quantizers ask for: a
    `leaq.quantizers.Calibration` of the s models.
    """
    if len(checkpoints.batch) != 2 or checkpoints.batch[1] < 2:
        raise NotEnoughEvidence(
            "trajectory: needs at least 2 checkpoints of every model, batch (models, checkpoints). "
            f"Found batch {checkpoints.batch}. Record more often."
        )
    frozen: Checkpoints = quantizer.frozen_to(checkpoints.last(), calibration)(checkpoints)
    return frozen


def ensemble(quantizer: Freezable, released: Checkpoints, *, calibration: Any = None) -> Checkpoints:
    """Return the released quantized models of runs on resampled data as candidates of one learner: batch (1, s).

    Judge them on records that trained none of them. Every run has its own scales, so that the candidates are no
    points of one codebook; they show where the learner ends up, not what it could have chosen nearby. With
    `calibration` each run is calibrated on its own records.
    """
    if flat_models(released, "ensemble") < 2:
        raise NotEnoughEvidence("ensemble: needs at least 2 runs. Found 1. Train more replicates.")
    quantized = quantizer(released, calibration)
    params = {name: tensor.unsqueeze(0) for name, tensor in quantized.params.items()}
    return Checkpoints(params, quantized.roles, (1, *released.batch), activation_bits=quantized.activation_bits)
