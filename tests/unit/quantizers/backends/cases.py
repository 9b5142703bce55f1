import numpy as np
import torch

from leaq.quantizers import build
from leaq.types import Checkpoints


def one(weight: torch.Tensor) -> Checkpoints:
    return Checkpoints({"weight": weight[None]}, {"weight": "linear"}, (1,))


def weight_of(seed: int = 0, shape=(6, 64)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape)).float()


def released(spec: str, weight: torch.Tensor) -> torch.Tensor:
    return build(spec)(one(weight)).params["weight"][0]
