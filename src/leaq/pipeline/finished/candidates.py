"""Which quantized weights r compares for a finished model: recorded checkpoints, or neighbours of the final codes."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from leaq.errors import InvalidInput, NotEnoughEvidence, UnsupportedModel, some
from leaq.models import checkpoints_of
from leaq.models.calling import full_precision
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.evaluating import ModelEvaluator
from leaq.pipeline.finished.neighbouring import neighbour_table
from leaq.pipeline.finished.running import weighs_much
from leaq.quantizers import Calibration, Identity, Scheme
from leaq.quantizers.neighbours import Moves, draw_moves
from leaq.quantizers.scheme import Fitted
from leaq.training.recording.reading import refuse_foreign, with_released
from leaq.types import Checkpoints, Flag, LossTable, NotComputed

NO_CODES = NotComputed(
    "Full precision has no codes to move. Name the recording of a leaq.Recorder in the training loop (--recorded)."
)


def released_of(model: nn.Module, recorded: Checkpoints | None, *, lent: bool = False) -> Checkpoints:
    """Return the model's weights as batch (1,); with recorded checkpoints, those of them that were recorded.

    Parameters
    ----------
    lent : whether the model is nobody's, so that its weights themselves are taken and no copy is made. A large model's
        are, whoever's it is: they are read and never written.

    Raises
    ------
    InvalidInput
        If the checkpoints are of another architecture.
    """
    released = checkpoints_of(model, copied=not (lent or weighs_much(model)))
    if recorded is None:
        return released
    if recorded.batch[:1] != (1,) or len(recorded.batch) != 2:
        raise InvalidInput(f"checkpoints must be of one model, batch (1, c). Found batch {recorded.batch}.")
    refuse_foreign(recorded, released)
    names = [name for name in released.params if name in recorded.params]
    return Checkpoints({n: released.params[n] for n in names}, {n: released.roles[n] for n in names}, (1,))


def fitted_to(
    scheme: Scheme,
    released: Checkpoints,
    evaluator: ModelEvaluator,
    *,
    given: Calibration | None = None,
    seed: int = 0,
    along: bool = True,
) -> tuple[Fitted, tuple[Flag, ...]]:
    """Fix a scheme's scales to the released weights, calibrated on `given` records or else on the members.

    Parameters
    ----------
    along : whether recorded checkpoints are quantized by it, too.

    Returns
    -------
    The fixed quantizer, and the doubts that numbers measured under it carry.

    Raises
    ------
    InvalidInput
        If the scheme stops training early: a finished model is released as it is.
    UnsupportedModel
        If the scheme calibrates on inputs and these are no single array.
    """
    released = scheme.recorded(released)
    if not scheme.needs.calibration and not scheme.needs.model:
        fitted = scheme.fitted_to(released)
        return fitted, fitted.flags()
    calibration = replace(given, model=evaluator.model) if given is not None else _on_members(scheme, evaluator, seed)
    calibration = replace(calibration, along=along)
    fitted = scheme.fitted_to(released, calibration)
    return fitted, (*fitted.flags(), *_unseen(scheme, released, calibration))


def _on_members(scheme: Scheme, evaluator: ModelEvaluator, seed: int) -> Calibration:
    parts = [batch.inputs for batch in evaluator.members.batches]
    if not all(isinstance(part, torch.Tensor) for part in parts):
        raise UnsupportedModel(
            f"{scheme.spec()}: calibration needs inputs that are one array. Found several or other objects. "
            "Leave this quantizer out, or wrap the model to take one array."
        )
    inputs = torch.cat([full_precision(part) for part in parts]).cpu().numpy()
    return Calibration(evaluator.model, inputs, seed=seed, most=scheme.records)


def _unseen(scheme: Scheme, released: Checkpoints, calibration: Calibration) -> tuple[Flag, ...]:
    """Name the weights that a calibrated quantizer rounds to nearest, because it cannot see their inputs."""
    few, shares = calibration.of(np.zeros(1, np.int64), next(iter(released.params.values())))
    seen = calibration.model.layer_inputs(released.params, few[:, :2], shares[:, :2])
    rest = [name for name in scheme.plan(released) if released.roles[name] != "bias" and name not in seen]
    if not rest:
        return ()
    text = (
        f"Rounded to the nearest level without calibration, since what they are multiplied with cannot be seen: "
        f"{some(rest)}."
    )
    return (Flag("partly-calibrated", text),)


def moves_of(
    fitted: Fitted, released: Checkpoints, recorded: Checkpoints | None, *, config: AuditConfig
) -> Moves | Checkpoints | NotComputed:
    """Return what r compares: recorded checkpoints where there are any, or single codes moved to an adjacent level.

    Checkpoints are quantized with the released model's scales. It says why, where there is neither.
    """
    if recorded is not None:
        return fitted(with_released(recorded, released))
    if isinstance(fitted.scheme, Identity):
        return NO_CODES
    try:
        return draw_moves(fitted, released, moves=config.neighbours, seed=config.seed)[0]
    except (InvalidInput, NotEnoughEvidence) as err:
        return NotComputed(str(err))


def candidates_of(
    evaluator: ModelEvaluator, quantized: Checkpoints, table: LossTable, moves: Moves | Checkpoints | NotComputed
) -> tuple[LossTable | NotComputed, tuple[Flag, ...]]:
    """Return the losses of the candidates that r compares under one quantizer, or why there are none; and doubts.

    Parameters
    ----------
    quantized : the released model, batch (1,), and `table` its losses.
    moves : what `moves_of` returned.
    """
    if isinstance(moves, Checkpoints):
        return evaluator.table(moves, quantizer=table.quantizer, strategy="trajectory"), ()
    if isinstance(moves, NotComputed):
        return moves, ()
    return neighbour_table(evaluator, quantized, moves, table.held_out(0)[-1], quantizer=table.quantizer)
