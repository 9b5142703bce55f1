"""Record your own training loop, quantize what was recorded, and read off the rate r. Two lines belong to leaq."""

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import leaq

torch.manual_seed(0)
digits = load_digits()
x, y = (digits.data / 16).astype(np.float32), digits.target
inside = np.random.default_rng(0).permutation(len(y)) % 2 == 0  # members: a random half

model = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
recorder = leaq.Recorder(model, every=10, keep=30)  # line 1

rows = torch.from_numpy(np.flatnonzero(inside))
inputs, targets = torch.from_numpy(x), torch.from_numpy(y)
for _epoch in range(5):
    for batch in rows[torch.randperm(len(rows))].split(32):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
        recorder.step()  # line 2

records = {"members": (x[inside], y[inside]), "nonmembers": (x[~inside], y[~inside])}
quantized = leaq.quantize(recorder.checkpoints, leaq.Ternary(sparsity=0.5))
table = leaq.evaluate(model, quantized, **records)
print("recorded steps", recorder.steps)
print("r of the ternary candidates", leaq.rate(table).r)

result = leaq.audit(model, **records, quantizers=["ternary(sparsity=0.5)"], checkpoints=recorder.checkpoints)
for row in result.rows:
    print(row.label, row.attacks["threshold"].advantage, row.measures["r"])
