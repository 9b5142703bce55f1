import numpy as np
import torch

from leaq.quantizers import build
from leaq.types import Checkpoints


def one(weight: torch.Tensor) -> Checkpoints:
    return Checkpoints({"weight": weight[None]}, {"weight": "linear"}, (1,))


def weight_of(seed: int = 0, shape=(6, 64)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def unlikely(smallest: float) -> torch.Tensor:
    """Rows of zeros, of one sign, of one number, on ties, small, large, and `smallest`."""
    weight = weight_of(2, shape=(10, 64))
    weight[0] = 0
    weight[1], weight[2] = -weight[1].abs(), weight[2].abs()
    weight[3], weight[4] = 0.3, -0.3
    weight[5] = (weight[5] * 4).round() / 4
    weight[6], weight[7], weight[8] = weight[6] * 1e-9, weight[7] * 1e4, weight[8] * smallest
    return weight


def released(spec: str, weight: torch.Tensor) -> torch.Tensor:
    return build(spec)(one(weight)).params["weight"][0]
