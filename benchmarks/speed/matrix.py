"""How much of the rate of plain matrix products training reaches, at widths of 32, 128 and 512."""

from functools import partial

import torch

from benchmarks.speed.machine import least
from leaq.training import MLP, TrainingConfig
from leaq.training.backprop import Backprop
from leaq.training.steps import Descent

WIDTHS = (32, 128, 512)
MODELS, BATCH, COLUMNS, CLASSES = 16, 32, 64, 10
SQUARE = 1024


def measure(*, quick: bool) -> list[dict[str, object]]:
    torch.set_num_threads(1)
    a, b = torch.randn(2, SQUARE, SQUARE).unbind()
    peak = 2 * SQUARE**3 / least(lambda: a @ b, 3 if quick else 10)
    rows = []
    for width in WIDTHS:
        mlp = MLP(d=COLUMNS, k=CLASSES, hidden=(width, width), task="classification")
        core = Backprop(mlp, mlp.init(0, range(MODELS)))
        descent = Descent([core.flat], TrainingConfig())
        x, y = torch.randn(MODELS, BATCH, COLUMNS), torch.randint(CLASSES, (MODELS, BATCH))
        weights = torch.full((MODELS, BATCH), 1 / BATCH)
        products = sum(p * q for p, q in zip(mlp.widths[:-1], mlp.widths[1:], strict=True))
        # Forwards, to the weights and (but for the first layer) to the inputs: two operations a product each.
        work = 2 * MODELS * BATCH * (3 * products - mlp.widths[0] * mlp.widths[1])

        gradient = partial(core, x, y, weights)

        def step(gradient=gradient, descent=descent) -> None:
            gradient()
            descent.step()

        taken = [least(one, 20 if quick else 60) for one in (gradient, step)]
        rows.append(
            {"width": width, "peak": peak, "gradient": work / taken[0] / peak, "step": work / taken[1] / peak,
             "microseconds": 1e6 * taken[1]}
        )  # fmt: skip
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        f"Products of two {SQUARE} x {SQUARE} matrices: {rows[0]['peak'] / 1e9:.0f} billion operations a second, one thread. "
        f"A step of {MODELS} perceptrons on batches of {BATCH} of {COLUMNS} columns:\n",
        "| two hidden layers of | a step, microseconds | share of that rate, gradient alone | with Adam |", "|---|---|---|---|",
    ]  # fmt: skip
    return "\n".join(
        lines + [f"| {r['width']} | {r['microseconds']:.0f} | {r['gradient']:.0%} | {r['step']:.0%} |" for r in rows]
    )
