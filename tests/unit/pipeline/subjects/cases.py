import torch

from leaq.types import AttackResult

nn = torch.nn


N = 80


def quick(**more):
    return {
        "target": "y",
        "quantizers": "sign",
        "replicates": 8,
        "training": {"epochs": 60, "learning_rate": 0.02, "checkpoints": 3},
        **more,
    }


def net(features=6, outputs=2):
    return nn.Sequential(nn.Linear(features, 24), nn.ReLU(), nn.Linear(24, outputs))


def leak(result, row=0):
    found = result.rows[row].attacks[result.primary_attack]
    assert isinstance(found, AttackResult), found
    return found.advantage


def overfit(records, seed, steps=120):
    """Learn the members by heart, by a loop of one's own."""
    torch.manual_seed(seed)
    model = net()
    x, y = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model
