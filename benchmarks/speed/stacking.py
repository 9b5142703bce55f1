"""Models of one architecture as one program, against one after another: which kinds gain, and what leaq chooses."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.speed.machine import least
from leaq.training.modules import StackedModule

MODELS, BATCH = 16, 32


class Recurrent(nn.Module):
    """Eight steps of a recurrent cell."""

    def __init__(self) -> None:
        super().__init__()
        self.rest, self.head = nn.RNNCell(16, 32), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        state = x.new_zeros(len(x), 32)
        for at in range(x.shape[1]):
            state = self.rest(x[:, at], state)
        return self.head(state)


class Attention(nn.Module):
    """A small transformer over tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Embedding(50, 32)
        layer = nn.TransformerEncoderLayer(32, 4, 64, dropout=0.0, batch_first=True)
        self.body, self.head = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False), nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return self.head(self.body(self.look(x)).mean(1))


def convolutions(first: int, second: int, channels: int = 3) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        return nn.Sequential(
            nn.Conv2d(channels, first, 3, padding=1), nn.ReLU(), nn.Conv2d(first, second, 3, padding=1), nn.ReLU(),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * second, 2),
        )  # fmt: skip

    return make


def perceptron() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))


def normed() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 2))


@dataclass(frozen=True)
class Kind:
    """An architecture and the shape of its records; `whole` numbers are looked up."""

    name: str
    make: Callable[[], nn.Module]
    shape: tuple[int, ...]
    whole: bool = False


KINDS = (
    Kind("perceptron 64-64-64", perceptron, (64,)),
    Kind("perceptron with layer norm", normed, (64,)),
    Kind("recurrent, 8 steps of 16", Recurrent, (8, 16)),
    Kind("transformer, 2 layers of 32, 12 tokens", Attention, (12,), whole=True),
    Kind("convolutions 32-32 on 8 x 8", convolutions(32, 32), (3, 8, 8)),
    Kind("convolutions 64-64 on 4 x 4", convolutions(64, 64), (3, 4, 4)),
    Kind("convolutions 8-8 on 16 x 16", convolutions(8, 8), (3, 16, 16)),
    Kind("convolutions 16-32 on 16 x 16", convolutions(16, 32), (3, 16, 16)),
    Kind("convolutions 8-16 on 32 x 32", convolutions(8, 16), (3, 32, 32)),
)


def measure(*, quick: bool) -> list[dict[str, object]]:
    torch.set_num_threads(1)
    rows = []
    for kind in KINDS:
        torch.manual_seed(0)
        x = torch.randint(50, (MODELS, BATCH, *kind.shape)) if kind.whole else torch.randn(MODELS, BATCH, *kind.shape)
        y, weights = torch.randint(2, (MODELS, BATCH)), torch.full((MODELS, BATCH), 1 / BATCH)
        model = StackedModule(kind.make, "classification", x[0, :2].float())
        params, chosen = model.init(0, range(MODELS)), model.stacks(x)
        taken = {}
        for way in (True, False):
            step = partial(model.gradient, params, x, y, weights, together=way)
            taken[way] = least(step, 2 if quick else 4)
        rows.append({"kind": kind.name, "together": taken[True], "apart": taken[False], "chosen": chosen})
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        f"A gradient of {MODELS} models on {BATCH} records each, milliseconds of processor time, one thread:\n",
        "| architecture | as one program | one after another | times faster | leaq runs |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        gain, chosen = row["apart"] / row["together"], "as one program" if row["chosen"] else "one after another"
        told = f"{1e3 * row['together']:.1f} | {1e3 * row['apart']:.1f} | {gain:.2f} | {chosen}"
        lines.append(f"| {row['kind']} | {told} |")
    return "\n".join(lines)
