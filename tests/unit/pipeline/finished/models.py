"""Small finished models for the tests of the auditing room: over-fitted on purpose, so that there is a leak."""

import numpy as np
import torch
from torch import nn

import leaq


def fit(module, inputs, targets, *, steps=60, rate=0.02, loss=nn.functional.cross_entropy):
    optimizer = torch.optim.Adam(module.parameters(), rate)
    for _ in range(steps):
        optimizer.zero_grad()
        outputs = module(*inputs) if isinstance(inputs, tuple) else module(inputs)
        loss(outputs, targets).backward()
        optimizer.step()
    return module


def noisy(n=120, d=6, seed=0):
    """Inputs, and labels that are half noise: a network that fits them has memorised."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d)).astype(np.float32)
    y = (x[:, 0] + 1.5 * rng.normal(size=n) > 0).astype(np.int64)
    return x, y


def halves(**options):
    """What `noisy` gives, as members and as many non-members."""
    x, y = noisy(**options)
    half = len(x) // 2
    return (x[:half], y[:half]), (x[half:], y[half:])


def overfitted(x, y, width=48):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(x.shape[1], width), nn.ReLU(), nn.Linear(width, 2))
    return fit(module, torch.tensor(x), torch.tensor(y), steps=150).eval()


def audit_finished(subject, members, nonmembers, **options):
    """Audit a finished model by the public door, the records in their order."""
    return leaq.audit(subject, members=members, nonmembers=nonmembers, **options)
