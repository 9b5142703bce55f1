"""Odd networks, records and options of a finished model's audit: each trial audits one."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tests.attack.inputs import Rng
from tests.unit.pipeline.finished.models import audit_finished

WAYS = (
    "sum", "t", "half", "nan", "inf", "int", "bool", "complex", "none", "cut", "random", "softmax", "sigmoid", "grows",
    "names", "pair", "raises",
)  # fmt: skip
"""Odd things a forward may do."""


class Odd(nn.Module):
    """A network that does one thing it should not, or nothing odd."""

    def __init__(self, way: str = "") -> None:
        super().__init__()
        self.net, self.way = nn.Linear(4, 2), way

    def forward(self, x: torch.Tensor) -> object:
        """Return outputs after what `way` says."""
        z = self.net(x)
        done = {
            "": lambda: z, "sum": z.sum, "t": z.t, "half": z.half, "nan": lambda: z * torch.nan, "inf": lambda: z / 0,
            "int": lambda: z.argmax(1), "bool": lambda: z > 0, "complex": lambda: z.to(torch.complex64),
            "none": lambda: None, "cut": lambda: z[1:], "random": lambda: z + torch.rand(()), "softmax": lambda:
            z.softmax(1), "sigmoid": z.sigmoid, "grows": self._grow, "names": lambda: {"logits": z}, "pair":
            lambda: (z, z), "raises": lambda: {}["a key of the user's"],
        }  # fmt: skip
        return done[self.way]()

    def _grow(self) -> torch.Tensor:
        with torch.no_grad():
            self.net.bias += 0.1
        return self.net.bias.expand(24, 2)


def records(rng: Rng) -> tuple[object, object]:
    """Return some inputs and targets, mostly of ordinary kinds."""
    x, y = rng.normal(size=(24, 4)), rng.integers(0, 2, 24)
    inputs = (
        x, x.astype("f4"), x.astype(">f8"), x.astype("f2"), x.tolist(), (x * 9).astype(int), np.ma.array(x, mask=x > 2),
        x[:, :3], x[:, 0], x + 0j, x.astype(str), np.where(x > 2, np.nan, x), x[:-1], x[:0], x > 0, None, x[..., None],
    )  # fmt: skip
    targets = (
        y, y.astype("f4"), y[:, None], np.eye(2)[y], np.eye(2)[y] * 0.8 + 0.1, y.astype(bool), x[:, :2],
        y.astype(">i4"), y[:, None, None],
        2 * y - 1, y * -100, y.astype(str), np.full(24, np.nan), y.tolist(), y + 5, x[:, 0], y * 0, None,
    )  # fmt: skip
    first, second = (int(rng.integers(len(of))) if rng.random() < 0.3 else 0 for of in (inputs, targets))
    return inputs[first], targets[second]


def option(rng: Rng) -> dict[str, object]:
    """Return one odd option, or none."""
    odd: tuple[dict[str, object], ...] = (
        {"loss": 5}, {"loss": "binary"}, {"loss": "gaussian"}, {"loss": lambda out, _: out}, {"loss": lambda *_: None},
        {"shipped": 3}, {"shipped": {"a": 5}}, {"shipped": {"a": Odd("softmax")}}, {"shipped": {"a": Odd("int")}},
        {"shipped": {"a\x01=\x1b[2J": Odd("half")}}, {"n_train": 0}, {"n_train": 1e30}, {"seed": -1},
        {"quantizers": [5]},
        {"quantizers": "uniform(bits=4"}, {"checkpoints": {}}, {"checkpoints": 5}, {"progress": 0}, {"progress": 5},
        {"neighbours": 10**9}, {"draws": -1}, {"attacks": [None]}, {"task": "ranking"}, {"batch": 0},
    )  # fmt: skip
    return odd[int(rng.integers(len(odd)))] if rng.random() < 0.4 else {}


def finished(rng: Rng, _: Path) -> None:
    """Audits of networks, records, losses and options of odd kinds; the network is as it was afterwards."""
    model = Odd(str(rng.choice(WAYS)) if rng.random() < 0.3 else "")
    if rng.random() < 0.1:
        model = model.to((torch.float16, torch.float64)[int(rng.integers(2))])
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    given = {"quantizers": ("sign",), "draws": 5, "neighbours": 2, **option(rng)}
    try:
        result = audit_finished(model, records(rng), records(rng), **given)
        assert all(np.isfinite(row.metrics["loss"].value) for row in result.rows)
    finally:
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items()), "other weights"
