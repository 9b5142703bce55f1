"""Overhead of the recorder: training with and without it, in the same run.

A perceptron of about a million parameters, 100 checkpoints. The two trainings alternate epoch by epoch in one
process, so that both see the same machine; the ratio is that of the medians. Aim: under 5 %.

Run: python benchmarks/recorder.py [memory|disk]
"""

import statistics
import sys
import tempfile
import time

import torch
from torch import nn

import leaq

STEPS, ROUNDS, BATCH = 500, 5, 256


def network():
    return nn.Sequential(nn.Linear(512, 896), nn.ReLU(), nn.Linear(896, 512), nn.ReLU(), nn.Linear(512, 128))


def train(model, x, y, recorder):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    started = time.perf_counter()
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if recorder is not None:
            recorder.step()
    return time.perf_counter() - started


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else "memory"
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, 512), torch.randint(128, (BATCH,))
    count = sum(parameter.numel() for parameter in network().parameters())
    plain, recorded = [], []
    train(network(), x, y, None)  # warm up
    for _ in range(ROUNDS):
        plain.append(train(network(), x, y, None))
        with tempfile.TemporaryDirectory() as folder:
            model = network()
            recorder = leaq.Recorder(model, every=STEPS // 100, folder=folder if where == "disk" else None)
            recorded.append(train(model, x, y, recorder))
    ratios = [b / a - 1 for a, b in zip(plain, recorded, strict=True)]
    print(f"{count:,} parameters, {STEPS} steps, batch {BATCH}, {len(recorder.steps)} checkpoints, {where}")
    print(f"without {statistics.median(plain):.3f} s, with {statistics.median(recorded):.3f} s (median of {ROUNDS})")
    print(f"overhead {statistics.median(recorded) / statistics.median(plain) - 1:+.1%} (single rounds: "
          f"{', '.join(f'{ratio:+.1%}' for ratio in ratios)})")  # fmt: skip


if __name__ == "__main__":
    main()
