import numpy as np
import torch

from leaq.quantizers import Calibration
from leaq.training import MLP
from leaq.types import Checkpoints

MODEL = MLP(d=8, k=3, hidden=(12, 10), task="classification")


def models(count: int = 2) -> Checkpoints:
    params = MODEL.init(3, range(count), dtype=torch.float64)
    # Rows and columns of very different ranges: what equalisation is for.
    spread = torch.from_numpy(np.random.default_rng(0).lognormal(0, 1.0, size=(count, 12, 1)))
    for name in ("layers.0.weight", "layers.0.bias"):
        params[name] = params[name] * spread.reshape(-1, 12, *[1] * (params[name].ndim - 2))
    params["layers.1.weight"] = params["layers.1.weight"] / spread.transpose(1, 2)
    return Checkpoints(params, MODEL.roles, (count,))


def calibration(count: int = 2, **options) -> Calibration:
    rng = np.random.default_rng(1)
    members = np.zeros((count, 60), bool)
    members[:, :30] = True
    members[1:] = ~members[1:]
    return Calibration(MODEL, rng.normal(size=(60, 8)), members, **options)


def outputs(checkpoints: Checkpoints, records: torch.Tensor) -> torch.Tensor:
    return MODEL.forward(checkpoints.params, records)
