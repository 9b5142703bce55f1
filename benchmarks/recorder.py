"""Overhead of the recorder: training with and without it, in the same run.

A perceptron of about a million parameters, 100 checkpoints. The two trainings alternate epoch by epoch in one
process, so that both see the same machine; the ratio is that of the medians. On a shared machine that ratio is noisy,
so the recorder's share of the processor time of one loop is given too. Aim: under 5 %.

Run: python benchmarks/recorder.py [memory|disk] [rounds]
"""

import statistics
import sys
import tempfile
import time

import torch
from torch import nn

import leaq

STEPS, ROUNDS, BATCH = 500, int(sys.argv[2]) if len(sys.argv) > 2 else 5, 256


def network():
    return nn.Sequential(nn.Linear(512, 896), nn.ReLU(), nn.Linear(896, 512), nn.ReLU(), nn.Linear(512, 128))


def train(model, x, y, *, recorder, spent):
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    started, total = time.perf_counter(), time.process_time()
    for _ in range(STEPS):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
        if recorder is not None:
            before = time.process_time()
            recorder.step()
            spent[0] += time.process_time() - before
    spent[1] += time.process_time() - total
    return time.perf_counter() - started


def main():
    where = sys.argv[1] if len(sys.argv) > 1 else "memory"
    torch.manual_seed(0)
    x, y = torch.randn(BATCH, 512), torch.randint(128, (BATCH,))
    count = sum(parameter.numel() for parameter in network().parameters())
    plain, recorded = [], []
    train(network(), x, y, recorder=None, spent=[0.0, 0.0])  # warm up
    spent = [0.0, 0.0]
    for _ in range(ROUNDS):
        plain.append(train(network(), x, y, recorder=None, spent=[0.0, 0.0]))
        with tempfile.TemporaryDirectory() as folder:
            model = network()
            recorder = leaq.Recorder(model, every=STEPS // 100, folder=folder if where == "disk" else None)
            recorded.append(train(model, x, y, recorder=recorder, spent=spent))
    ratios = [b / a - 1 for a, b in zip(plain, recorded, strict=True)]
    print(f"{count:,} parameters, {STEPS} steps, batch {BATCH}, {len(recorder.steps)} checkpoints, {where}")
    print(f"without {statistics.median(plain):.3f} s, with {statistics.median(recorded):.3f} s (median of {ROUNDS})")
    print(f"overhead {statistics.median(recorded) / statistics.median(plain) - 1:+.1%} (single rounds: "
          f"{', '.join(f'{ratio:+.1%}' for ratio in ratios)})")  # fmt: skip
    print(f"recorder.step(): {spent[0] / (spent[1] - spent[0]):.1%} of the processor time of the rest of its loop")


if __name__ == "__main__":
    main()
