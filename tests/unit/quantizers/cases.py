import numpy as np
import torch

from leaq.quantizers import Calibration, Scheme, build
from leaq.training import MLP
from leaq.types import Checkpoints


def weights(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_t(4, size=shape))


def nearest(weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Each weight's nearest level, by trying all of them."""
    return np.array([levels[np.argmin(np.abs(levels - value))] for value in weight.ravel()]).reshape(weight.shape)


def run(scheme: Scheme, weight: torch.Tensor) -> np.ndarray:
    return scheme.fake_quantize(weight, scheme.fit(weight)).numpy()


FAST = [
    *("float16", "bfloat16", "float8(format=e4m3)", "float8(format=e5m2)", "float8(format=e4m3, per=tensor)"),
    *("sign", "sign(per=channel)", "sign(scale=one)", "twn", "ternary(sparsity=0.5)"),
    *("uniform(bits=8)", "uniform(bits=4)", "uniform(bits=2, symmetric=False)", "uniform(bits=3, per=tensor)"),
    *("uniform(bits=4, per=group, group=5)", "uniform(bits=4, per=group, group=4)", "uniform(bits=3, scale=mse)"),
    *("uniform(bits=3, scale=percentile)", "stochastic(bits=4)", "stochastic(bits=3, symmetric=False)"),
    "dithered(bits=4)",
]


def same_bits(fast: torch.Tensor, slow: torch.Tensor) -> bool:
    return torch.equal(fast.view(torch.uint8), slow.view(torch.uint8))


def drawn_over_many_powers(seed: int, dtype: torch.dtype, size: float) -> torch.Tensor:
    """Weights of very different magnitudes, some of them plus and minus zero, some subnormal where `size` is small."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_t(4, size=(3, 7, 12)) * np.exp(rng.normal(size=(3, 7, 12)) * 3) * size
    weight = np.clip(weight, -6e4, 6e4)
    weight[0, :2], weight[1, 3, 4:6] = 0.0, -0.0
    return torch.from_numpy(weight).to(dtype)


MODEL = MLP(d=6, k=1, hidden=(5, 4), task="regression")


def model(seed: int = 0) -> Checkpoints:
    return Checkpoints(MODEL.init(seed, [0, 1]), MODEL.roles, (2,))


def far(trained, spec):
    """Mean squared distance from the outputs in full precision on the calibration records, by model."""
    model, checkpoints, public = trained
    released = checkpoints.last()
    found = build(spec)(released, Calibration(model, public, source="public records"))
    x = torch.tensor(public, dtype=torch.float32)
    return (model.forward(found.params, x) - model.forward(released.params, x)).square().mean((1, 2))
