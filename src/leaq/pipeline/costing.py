"""What an audit will cost, said before it starts: models, steps, and seconds measured on this machine."""

import time
from dataclasses import dataclass
from itertools import pairwise

from leaq.cell import AuditConfig
from leaq.pipeline.planning import asked
from leaq.training import MLP, chunks, seconds_per_step
from leaq.training.mlp import layer_groups
from leaq.types import Samples

__all__ = ["Cost", "cost"]

RECORDS = 512
"""Records one trial evaluation runs on."""
LIBRARIES = 550_000_000
"""Bytes that torch, numpy and the rest take before anything is computed."""
HELD = 3
"""Copies of a chunk's checkpoints at the worst moment: as recorded, quantized, and what evaluation makes of them."""
RESAMPLED = 3
"""Tables of resampled records that are held at once, (draws, n): of attacks, metrics and indicators."""
EVIDENCE = 6
"""Numbers a signal that the combined attack holds of every record and model."""


@dataclass(frozen=True)
class Cost:
    """What is going to be trained and evaluated, and roughly how long that takes here.

    `seconds` covers training and evaluation, extrapolated from a few steps; quantizing and measuring come on top.
    `memory` is the largest number of bytes held at once, by arithmetic: within a quarter where it was measured (see
    docs/scaling.md), linear in records, models, checkpoints, quantizers and outputs.
    """

    attacked: int
    shadows: int
    """Shadow models each attacked model has, its complement left out."""
    steps: int
    quantizers: int
    candidates: int
    seconds: float
    memory: float = 0.0

    def sentence(self) -> str:
        """Say it in one sentence.

        Examples
        --------
        >>> Cost(16, 14, 660, 10, 320, 41.2, 1.63e9).sentence()  # doctest: +NORMALIZE_WHITESPACE
        'Attacks 16 models with 14 shadow models each: 660 training steps, 10 quantizers of 320 candidates. Training and
        evaluating take about 41 s here; quantizing and measuring come on top. Needs about 1.6 GB of memory.'
        """
        duration = f"{self.seconds:.0f} s" if self.seconds < 120 else f"{self.seconds / 60:.0f} min"
        return (
            f"Attacks {self.attacked} models with {self.shadows} shadow models each: {self.steps} training steps, "
            f"{self.quantizers} quantizers of {self.candidates} candidates. Training and evaluating take about "
            f"{duration} here; quantizing and measuring come on top. Needs about {self.memory / 1e9:.1f} GB of memory."
        )


def cost(samples: Samples, config: AuditConfig) -> Cost:
    """Time a few steps and one forward pass of what the audit would run, and multiply."""
    todo = asked(config, samples)
    samples, members = todo.pool, todo.members
    parts = chunks(samples, config.models, config.training)
    steps = config.training.steps(int(members[0].sum()))
    quantizers = len(todo.quantizers)
    first = members[parts[0]]
    training = seconds_per_step(samples, first, config.training) * steps * len(parts)
    evaluating = _seconds_per_pass(samples, len(first), config) / len(first)
    candidates = config.models * config.training.checkpoints
    return Cost(
        attacked=config.replicates,
        shadows=max(0, config.models - 2),
        steps=steps * len(parts),
        quantizers=quantizers,
        candidates=candidates,
        seconds=training + evaluating * candidates * quantizers,
        memory=float(_memory(samples, config, chunk=len(first), quantizers=quantizers)),
    )


def _memory(samples: Samples, config: AuditConfig, *, chunk: int, quantizers: int) -> int:
    """Return the bytes an audit holds at most: checkpoints of one chunk of models, all loss tables, one measurement."""
    n, outputs, training = len(samples), max(1, len(samples.classes)), config.training
    widths = (samples.inputs.shape[1], *training.hidden, outputs)
    weights = sum(a * b + b for a, b in pairwise(widths))
    size: int = 8 if training.dtype == "float64" else 4
    gradients = 2 + len(layer_groups(len(widths) - 1)) if config.whitebox else 0
    table = 8 * n * config.models * (training.checkpoints + outputs + 1 + gradients)
    signals = 2 * (1 + gradients)  # normalised and raw
    measuring = 8 * n * (RESAMPLED * config.draws + config.models * EVIDENCE * signals)
    checkpoints = HELD * size * weights * chunk * training.checkpoints
    return int(LIBRARIES + checkpoints + quantizers * table + measuring + 2 * samples.inputs.nbytes)


def _seconds_per_pass(samples: Samples, models: int, config: AuditConfig) -> float:
    import torch

    mlp = MLP(samples.inputs.shape[1], max(1, len(samples.classes)), config.training.hidden, samples.task)
    device = torch.device(config.training.device)
    params = {name: tensor.to(device) for name, tensor in mlp.init(0, range(models)).items()}
    x = torch.tensor(samples.inputs[:RECORDS], dtype=torch.float32, device=device)
    taken = []
    for _ in range(2):
        started = time.perf_counter()
        with torch.no_grad():
            mlp.forward(params, x).cpu()  # a GPU is waited for
        taken.append(time.perf_counter() - started)
    return min(taken) * len(samples) / len(x)
