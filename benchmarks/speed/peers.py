"""The same attack by other tools, in the same run: online LiRA with shadow models on made-up records.

Tools that are not installed are named, and not measured. The loop is what most of them do: one model after another with
torch.nn and torch.optim. The stacked reference is what one would write by hand: batched products and autograd.
"""

import time
from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from benchmarks.lira_reference import plain_lira, plain_logits
from leaq.attacks.lira import Lira
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate_checkpoints
from leaq.seeds import stream
from leaq.stats.roc import auc
from leaq.training import TrainingConfig, train
from leaq.types import Bools, Samples

RECORDS, COLUMNS, CLASSES = 2000, 64, 10
RECIPE = TrainingConfig(hidden=(128,), epochs=30, batch_size=64, optimizer="sgd", learning_rate=0.05, checkpoints=1)
OTHERS = {"SACRO-ML": "sacroml", "LeakPro": "leakpro", "ML Privacy Meter": "privacy_meter"}


def records() -> Samples:
    rng = stream(0, "benchmarks", "peers")
    x = rng.normal(size=(RECORDS, COLUMNS))
    return from_arrays(x, (x @ rng.normal(size=(COLUMNS, CLASSES)) + 2 * rng.gumbel(size=(RECORDS, CLASSES))).argmax(1))


def ours(samples: Samples, members: Bools) -> float:
    model, checkpoints = train(samples, members, RECIPE, seed=0)
    return Lira(normalise=False)(evaluate_checkpoints(model, checkpoints, samples, members)).auc.value


def looped(samples: Samples, members: Bools) -> float:
    return float(np.mean(plain_lira(plain_logits(samples, members, RECIPE), members)))


def stacked(samples: Samples, members: Bools) -> float:
    """By hand: weights with a model axis, torch.baddbmm, autograd and torch.optim."""
    torch.manual_seed(0)
    s, widths = len(members), (COLUMNS, *RECIPE.hidden, CLASSES)
    x = torch.tensor(samples.inputs, dtype=torch.float32)
    x, y = (x - x.mean(0)) / x.std(0), torch.tensor(samples.targets)
    pairs = list(pairwise(widths))
    params = [nn.Parameter((2 * torch.rand(s, a, b) - 1) / a**0.5) for a, b in pairs]
    params += [nn.Parameter(torch.zeros(s, 1, b)) for _, b in pairs]
    steps = torch.optim.SGD(params, lr=RECIPE.learning_rate, momentum=RECIPE.momentum)

    def run(inputs: torch.Tensor) -> torch.Tensor:
        hidden = torch.baddbmm(params[2], inputs, params[0])
        return torch.baddbmm(params[3], hidden.relu(), params[1])

    fewest = int(members.sum(1).min())
    for _ in range(RECIPE.epochs):
        order = np.stack(
            [np.random.default_rng(i).permutation(np.flatnonzero(row))[:fewest] for i, row in enumerate(members)]
        )
        for rows in torch.tensor(order).split(RECIPE.batch_size, dim=1):
            steps.zero_grad()
            outputs = run(x[rows])
            loss = (
                nn.functional.cross_entropy(outputs.flatten(0, 1), y[rows].flatten(), reduction="sum") / rows.shape[1]
            )
            loss.backward()
            steps.step()
    with torch.no_grad():
        logp = torch.log_softmax(run(x.expand(s, -1, -1)).double(), -1)
    true = logp[:, torch.arange(len(y)), y]
    scores = (true - torch.log1p(-true.exp().clamp(max=1 - 1e-12))).numpy()
    return float(np.mean(vectorised_lira(scores, members)))


def vectorised_lira(scores: np.ndarray, members: Bools) -> list[float]:
    """Online LiRA with one variance for all records, each target's shadows being all but its pair."""
    found = []
    for target in range(len(scores)):
        others = [m for m in range(len(scores)) if m // 2 != target // 2]
        inside, outside = members[others], ~members[others]
        means, spreads = [], []
        for kind in (inside, outside):
            mean = (scores[others] * kind).sum(0) / kind.sum(0)
            squares = (((scores[others] - mean) * kind) ** 2).sum(0) / (kind.sum(0) - 1)
            means.append(mean)
            spreads.append(squares.mean())
        z = [(scores[target] - mean) ** 2 / (2 * spread) for mean, spread in zip(means, spreads, strict=True)]
        found.append(auc(z[1] - z[0], members[target]))
    return found


def measure(*, quick: bool) -> list[dict[str, object]]:
    torch.set_num_threads(1)
    samples, rows = records(), []
    for models in (16,) if quick else (16, 64):
        members = halves(samples, models, seed=0)
        ways = {"leaq": ours, "stacked by hand": stacked} | (
            {"one model after another": looped} if models == 16 else {}
        )
        for name, way in ways.items():
            started = time.process_time()
            area = way(samples, members)
            rows.append({"models": models, "tool": name, "seconds": time.process_time() - started, "auc": area})
    rows += [
        {"models": 16, "tool": name, "seconds": None, "auc": None}
        for name, module in OTHERS.items()
        if find_spec(module) is None
    ]
    return rows


def body(rows: list[dict]) -> str:
    lines = [
        f"Online LiRA on {RECORDS:,} made-up records of {COLUMNS} columns and {CLASSES} classes, a hidden layer of "
        f"{RECIPE.hidden[0]}, {RECIPE.epochs} epochs of SGD; trained and attacked, processor seconds, one thread:\n",
        "| models | tool | s | AUC |", "|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        told = "not installed | " if row["seconds"] is None else f"{row['seconds']:.1f} | {row['auc']:.3f}"
        lines.append(f"| {row['models']} | {row['tool']} | {told} |")
    return "\n".join(lines)
