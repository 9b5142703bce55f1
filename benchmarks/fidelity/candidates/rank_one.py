"""Losses of single-code moves without running the whole network for each: a rank-one update of one layer's output.

Moving weight (o, i) of layer l by v changes that layer's output o by v x_i, with x the layer's input, and nothing
else. So the next layer's output changes by a rank-one term, and only the layers behind it are run again.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models.losses import per_record
from leaq.quantizers.neighbours import Moves, draw_moves
from leaq.quantizers.scheme import Fitted, Scheme
from leaq.types import Bools, Checkpoints, Floats, LossTable, Samples

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["neighbour_table"]

CHUNK = 2**24
"""Numbers a chunk of moves may hold in its widest layer."""


def neighbour_table(
    quantizer: Scheme | Fitted,
    released: Checkpoints,
    samples: Samples,
    members: Bools,
    *,
    moves: int = 200,
    seed: int = 0,
) -> LossTable:
    """Return the losses of the released quantized models and of their single-code neighbours, (s, m + 1, n).

    A calibrated quantizer is given fitted: ``quantizer.fitted_to(released, calibration)``.

    Direction and use: candidates for `leaq.measures.rate` and `finite_sample`. The last candidate is unmoved.

    Parameters
    ----------
    released : batch (s,) of stacked multilayer perceptrons (parameters layers.0.weight, layers.0.bias, ...).
    members : (s, n), True where the record trained the model.

    Raises
    ------
    UnsupportedModel
        If the parameters are no plain stack of linear layers; `neighbours` and `evaluate` work for any model.
    """
    if members.shape != (*released.batch, len(samples)):
        raise InvalidInput(
            f"neighbour_table: members must have shape {(*released.batch, len(samples))}. Found {members.shape}."
        )
    fitted = quantizer.fitted_to(released)
    quantized, drawn = fitted(released), draw_moves(fitted, released, moves=moves, seed=seed)
    depth = _depth(quantized)
    scale = float(np.std(samples.targets)) or 1.0 if samples.task == "regression" else 1.0
    # Fewer moves than asked for exist only in tiny models, and then equally few in every model of the stack... almost:
    fewest = min(len(one) for one in drawn)
    losses = np.empty((len(drawn), fewest + 1, len(samples)))
    for i, one in enumerate(drawn):
        params = {name: tensor[i].double() for name, tensor in quantized.params.items()}
        losses[i] = _losses(params, _first(one, fewest), samples, depth=depth, scale=scale)
    return LossTable(
        losses=losses,
        members=members,
        task=samples.task,
        game="pool",
        n_train=round(float(members.sum(1).mean())),
        targets=samples.targets,
        ids=samples.ids,
        groups=samples.groups,
        quantizer=quantizer.spec(),
        strategy="neighbours",
        flags=samples.flags,
    )


def _first(moves: Moves, count: int) -> Moves:
    return Moves(moves.name[:count], moves.position[:count], moves.value[:count])


def _depth(released: Checkpoints) -> int:
    """Count the linear layers; refuses anything the rank-one update does not know."""
    depth = sum(role == "linear" for role in released.roles.values())
    known = {f"layers.{i}.{part}" for i in range(depth) for part in ("weight", "bias")}
    known |= {"input.mean", "input.scale", "output.mean", "output.scale"}
    strange = sorted(set(released.roles) - known)
    if strange or depth == 0 or released.activations is not None:
        what = f"parameter {strange[0]!r}" if strange else "rounded activations or no layers"
        raise UnsupportedModel(
            f"neighbour_table: the model must be a stack of linear layers with ReLU between them. Found {what}. "
            "Use leaq.quantizers.neighbours with leaq.evaluation.evaluate_checkpoints."
        )
    return depth


def _losses(params: Mapping[str, "Tensor"], moves: Moves, samples: Samples, *, depth: int, scale: float) -> Floats:
    """Losses (m + 1, n) of one model's moves and, last, of the model itself."""
    import torch

    x = torch.tensor(samples.inputs, dtype=torch.float64)
    y = torch.tensor(samples.targets)
    inputs, outputs = [(x - params["input.mean"]) / params["input.scale"]], []
    for i in range(depth):
        outputs.append(inputs[i] @ params[f"layers.{i}.weight"].T + params[f"layers.{i}.bias"])
        inputs.append(torch.relu(outputs[i]))
    final = np.empty((len(moves) + 1, len(samples)))

    def loss(logits: "Tensor") -> Floats:
        if samples.task == "regression":
            logits = logits * params["output.scale"] + params["output.mean"]
        found: Floats = per_record(logits, y, samples.task, scale=scale).numpy()
        return found

    final[-1] = loss(outputs[-1])
    widest = max(output.shape[1] for output in outputs)
    chunk = max(1, CHUNK // (widest * len(samples)))
    for name, which in moves.by_parameter():
        layer = int(name.split(".")[1])
        for start in range(0, len(which), chunk):
            part = which[start : start + chunk]
            final[part] = loss(_moved_outputs(params, moves, part, layer=layer, inputs=inputs, outputs=outputs))
    return final


def _moved_outputs(
    params: Mapping[str, "Tensor"],
    moves: Moves,
    part: "np.ndarray",
    *,
    layer: int,
    inputs: list["Tensor"],
    outputs: list["Tensor"],
) -> "Tensor":
    """Network outputs (m, n, k) of some moves within one layer."""
    import torch

    weight = params[f"layers.{layer}.weight"]
    position = torch.as_tensor(moves.position[part])
    unit, column = position // weight.shape[1], position % weight.shape[1]
    step = torch.as_tensor(moves.value[part]) - weight.reshape(-1)[position]
    change = step[:, None] * inputs[layer].T[column]  # (m, n): what is added to output `unit`
    if layer == len(outputs) - 1:
        moved = outputs[layer].repeat(len(part), 1, 1)
        moved[torch.arange(len(part)), :, unit] += change
        return moved
    before = outputs[layer].T[unit]
    change = torch.relu(before + change) - torch.relu(before)  # what is added to the next layer's input `unit`
    following = params[f"layers.{layer + 1}.weight"].T[unit]  # (m, out)
    hidden = outputs[layer + 1] + change[:, :, None] * following[:, None, :]
    for i in range(layer + 2, len(outputs)):
        hidden = torch.relu(hidden) @ params[f"layers.{i}.weight"].T + params[f"layers.{i}.bias"]
    return hidden
