"""LiRA on location30 and adult: leaq's against an independent, straightforward implementation kept here.

    OMP_NUM_THREADS=1 python benchmarks/lira_reference.py FOLDER

The other implementation shares no code with leaq: its models are trained one after another by torch.nn and
torch.optim from torch's own generator, its Gaussians are fitted record by record with scipy. Only who is a member is
the same. Claim: AUC within 0.02.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from scipy.stats import norm

from leaq.attacks.lira import Lira
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate_checkpoints
from leaq.stats.roc import auc
from leaq.training import TrainingConfig, train
from leaq.types import Bools, Samples

MODELS = 10
RECIPES = {
    "location30": TrainingConfig(hidden=(128,), epochs=20, checkpoints=1),
    "adult": TrainingConfig(hidden=(128,), epochs=20, checkpoints=1),
}
RECORDS = 1500
"""Records drawn from each data set (location30 has 5,010, adult 48,842)."""


def read(folder: Path, name: str) -> Samples:
    arrays = np.load(folder / f"{name}.npz", allow_pickle=False)
    if name == "location30":
        x, y = arrays["X"].astype(float), arrays["y"].astype(int)
    else:
        codes = arrays["X_cat"]
        hot = [codes[:, [j]] == np.unique(codes[:, j]) for j in range(codes.shape[1])]
        numbers = arrays["X_num"].astype(float)
        x, y = np.hstack([(numbers - numbers.mean(0)) / numbers.std(0), *hot]).astype(float), arrays["y"].astype(int)
    rows = np.random.default_rng(0).permutation(len(x))[:RECORDS]
    return from_arrays(x[rows], y[rows], name=name, task="classification")


def plain_logits(samples: Samples, members: Bools, recipe: TrainingConfig) -> np.ndarray:
    """Log-odds of the true class, models trained one after another."""
    x, y = torch.tensor(samples.inputs, dtype=torch.float32), torch.tensor(samples.targets)
    torch.manual_seed(12345)
    found = []
    for row in members:
        inside = torch.tensor(np.flatnonzero(row))
        mean, spread = x[inside].mean(0), x[inside].std(0)
        standard = (x - mean) / torch.where(spread > 1e-6, spread, torch.ones_like(spread))
        net = torch.nn.Sequential(
            torch.nn.Linear(x.shape[1], recipe.hidden[0]),
            torch.nn.ReLU(),
            torch.nn.Linear(recipe.hidden[0], len(samples.classes)),
        )
        optimizer: torch.optim.Optimizer = torch.optim.Adam(net.parameters(), lr=recipe.learning_rate)
        if recipe.optimizer == "sgd":
            optimizer = torch.optim.SGD(net.parameters(), lr=recipe.learning_rate, momentum=recipe.momentum)
        for _ in range(recipe.epochs):
            for batch in inside[torch.randperm(len(inside))].split(recipe.batch_size):
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(standard[batch]), y[batch]).backward()
                optimizer.step()
        with torch.no_grad():
            logp = torch.log_softmax(net(standard).double(), 1)
        true = logp[torch.arange(len(y)), y]
        rest = logp.clone()
        rest[torch.arange(len(y)), y] = -torch.inf
        found.append((true - torch.logsumexp(rest, 1)).numpy())
    return np.stack(found)


def plain_lira(scores: np.ndarray, members: Bools) -> list[float]:
    """AUC of online LiRA with a fixed variance, each target's shadows being all models but its own pair."""
    areas = []
    for target in range(len(scores)):
        others = [m for m in range(len(scores)) if m // 2 != target // 2]
        inside = [[scores[m, i] for m in others if members[m, i]] for i in range(scores.shape[1])]
        outside = [[scores[m, i] for m in others if not members[m, i]] for i in range(scores.shape[1])]
        sd_in = np.sqrt(np.mean([np.var(values, ddof=1) for values in inside]))
        sd_out = np.sqrt(np.mean([np.var(values, ddof=1) for values in outside]))
        ratio = norm.logpdf(scores[target], [np.mean(v) for v in inside], sd_in)
        ratio -= norm.logpdf(scores[target], [np.mean(v) for v in outside], sd_out)
        areas.append(auc(ratio, members[target]))
    return areas


def main() -> None:
    torch.set_num_threads(1)
    if len(sys.argv) < 2:
        sys.exit("Name the folder that holds location30.npz and adult.npz.")
    folder = Path(sys.argv[1])
    for name, recipe in RECIPES.items():
        samples = read(folder, name)
        members = halves(samples, MODELS, seed=0)
        started = time.process_time()
        model, checkpoints = train(samples, members, recipe, seed=0)
        ours = Lira(normalise=False)(evaluate_checkpoints(model, checkpoints, samples, members)).auc
        stacked = time.process_time() - started
        started = time.process_time()
        plain = plain_lira(plain_logits(samples, members, recipe), members)
        found = {
            "records": len(samples), "models": MODELS, "leaq AUC": round(ours.value, 4),
            "interval": [round(ours.low, 4), round(ours.high, 4)], "plain AUC": round(float(np.mean(plain)), 4),
            "difference": round(ours.value - float(np.mean(plain)), 4),
            "leaq CPU s": round(stacked, 1), "plain CPU s": round(time.process_time() - started, 1),
        }  # fmt: skip
        print(name, json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
