"""Overhead of the recorder: training with and without it, in the same run.

A perceptron of about a million parameters, 500 steps, 100 checkpoints. Two equal trainings, one recorded, take turns
in one process every five steps (one checkpoint), so that both see the same machine. Two ratios are given:

- processor time, everything the recorder does counted: its writing thread is waited for within its turn;
- wall time, as a user sees it: the thread writes while training goes on, and only the end is waited for.

Each is the sum over a round; several rounds show how far the machine lets one trust it. Aim: under 5 %.
"""

import statistics
import tempfile
import time

import torch
from torch import nn

import leaq

STEPS, CHECKPOINTS, BATCH = 500, 100, 256
TURN = STEPS // CHECKPOINTS


class Training:
    """One model and its optimizer."""

    def __init__(self):
        self.model = nn.Sequential(nn.Linear(512, 896), nn.ReLU(), nn.Linear(896, 512), nn.ReLU(), nn.Linear(512, 128))
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.recorder = None

    def turn(self, x, y, *, flush):
        """Train a turn; return its processor and wall time."""
        wall, processor = time.perf_counter(), time.process_time()
        for _ in range(TURN):
            self.optimizer.zero_grad()
            nn.functional.cross_entropy(self.model(x), y).backward()
            self.optimizer.step()
            if self.recorder is not None:
                self.recorder.step()
        if flush and self.recorder is not None:
            self.recorder.flush()
        return time.process_time() - processor, time.perf_counter() - wall


def one_round(x, y, *, where, flush):
    """Return the overhead of one round, of processor and of wall time."""
    plain, recorded = Training(), Training()
    with tempfile.TemporaryDirectory() as folder:
        recorded.recorder = leaq.Recorder(recorded.model, every=TURN, folder=folder if where == "disk" else None)
        spent = {plain: [0.0, 0.0], recorded: [0.0, 0.0]}
        for number in range(CHECKPOINTS):
            for training in (plain, recorded) if number % 2 else (recorded, plain):
                last = number == CHECKPOINTS - 1
                for i, seconds in enumerate(training.turn(x, y, flush=flush or last)):
                    spent[training][i] += seconds
        assert len(recorded.recorder.steps) == CHECKPOINTS
    return [b / a - 1 for a, b in zip(spent[plain], spent[recorded], strict=True)]


def measure(*, quick: bool) -> list[dict[str, object]]:
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, 512), torch.randint(128, (BATCH,))
    Training().turn(x, y, flush=False)
    rows = []
    for where in ("memory", "disk"):
        for name, which, flush in (("processor", 0, True), ("wall", 1, False)):
            found = [one_round(x, y, where=where, flush=flush)[which] for _ in range(1 if quick else 5)]
            rows.append({"what": name, "kind": where, "overhead": statistics.median(found), "rounds": found})
    return rows


def body(rows: list[dict]) -> str:
    count = sum(parameter.numel() for parameter in Training().model.parameters())
    lines = [
        f"What `leaq.Recorder` adds to training a perceptron of {count:,} parameters, {STEPS} steps of batch {BATCH}, {CHECKPOINTS} "
        "checkpoints; median of rounds in which recorded and plain training take turns:\n",
        "| kept in | time | added | single rounds |", "|---|---|---|---|",
    ]  # fmt: skip
    for row in rows:
        single = ", ".join(f"{ratio:+.1%}" for ratio in row["rounds"])
        lines.append(f"| {row['kind']} | {row['what']} | {row['overhead']:+.1%} | {single} |")
    return "\n".join(lines)
