"""Speed of stacked shadow training and of scoring, against the plain sequential loop, in one process and one thread.

    OMP_NUM_THREADS=1 python benchmarks/attacks.py
    python benchmarks/attacks.py --device cuda

CPU seconds (`time.process_time`), one thread; on a GPU seconds of the clock, the loop as well. Both sides train the same models on the same records with the same recipe and end in
logits on all records; the same LiRA scores both. Ratios hold for the machine and the minute they were taken in.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, TensorDataset

from leaq.attacks.base import Context
from leaq.attacks.lira import Lira
from leaq.attacks.scoring import Resampling
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.evaluation import evaluate_checkpoints
from leaq.models.losses import margin
from leaq.quantizers import Identity, Sign
from leaq.stats.roc import auc
from leaq.training import TrainingConfig, train
from leaq.types import Bools, LossTable, Samples


def toy(seed: int = 0) -> Samples:
    """64 features, 10 classes, 2,000 records: 1,000 members a model."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(10, 64))
    labels = rng.integers(10, size=2000)
    return from_arrays(0.2 * centres[labels] + rng.normal(size=(2000, 64)), labels)


def config(*, device: str = "cpu", epochs: int = 30) -> TrainingConfig:
    return TrainingConfig(hidden=(128,), epochs=epochs, checkpoints=1, device=device)


def sequential(samples: Samples, members: Bools, recipe: TrainingConfig) -> np.ndarray:
    """Margins (s, n) of models trained one after another by nn.Sequential, DataLoader and Adam."""
    x = torch.tensor(samples.inputs, dtype=torch.float32)
    y = torch.tensor(samples.targets)
    scores = []
    for row in members:
        inside = torch.tensor(np.flatnonzero(row))
        mean, scale = x[inside].mean(0), x[inside].std(0)
        standard = (x - mean) / scale
        net = torch.nn.Sequential(
            torch.nn.Linear(64, recipe.hidden[0]), torch.nn.ReLU(), torch.nn.Linear(recipe.hidden[0], 10)
        )
        optimizer = torch.optim.Adam(net.parameters(), lr=recipe.learning_rate)
        loader = DataLoader(TensorDataset(standard[inside], y[inside]), batch_size=recipe.batch_size, shuffle=True)
        for _ in range(recipe.epochs):
            for xb, yb in loader:
                optimizer.zero_grad()
                torch.nn.functional.cross_entropy(net(xb), yb).backward()
                optimizer.step()
        with torch.no_grad():
            scores.append(margin(net(standard), y).numpy())
    return np.stack(scores)


def stacked(samples: Samples, members: Bools, recipe: TrainingConfig) -> np.ndarray:
    """Margins (s, n) of the same models trained as one tensor program."""
    model, checkpoints = train(samples, members, recipe, seed=0)
    scores = evaluate_checkpoints(model, checkpoints, samples, members).scores
    assert scores is not None
    return scores


DEVICE = "cpu"
ROUNDS = 5


def now() -> float:
    """Processor time of this process; the clock where a GPU works, after it has finished."""
    if DEVICE == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def cpu(work: Callable[[], object], repeats: int = 1) -> tuple[float, object]:
    """Least seconds of a few runs, and the last result."""
    best, result = float("inf"), None
    for _ in range(repeats):
        started = now()
        result = work()
        best = min(best, now() - started)
    return best, result


def table_of(samples: Samples, members: Bools, scores: np.ndarray) -> LossTable:
    return LossTable(
        losses=np.logaddexp(0, -scores)[:, None], members=members, task="classification", game="pool",
        n_train=int(members[0].sum()), scores=scores, targets=samples.targets,
    )  # fmt: skip


def area(members: Bools, scores: np.ndarray) -> float:
    table = LossTable(-scores[:, None], members, "classification", "pool", n_train=1, scores=scores)
    found = Lira(normalise=False).scores(Context(table), range(len(scores)))
    return float(np.mean([auc(row, inside) for row, inside in zip(found, members, strict=True)]))


def whole(samples: Samples, members: Bools, recipe: TrainingConfig) -> None:
    """Train, evaluate under full precision and signs, and attack 16 of the models with intervals: all of it."""
    model, checkpoints = train(samples, members, recipe, seed=0)
    for quantizer in (Identity(), Sign()):
        table = evaluate_checkpoints(model, quantizer(checkpoints.last()), samples, members, quantizer=quantizer.spec())
        Lira()(table, targets=range(16), resampling=Resampling(seed=0))


def speed() -> dict[str, float]:
    """Return the cost of 16 models one by one, and of 16 and 64 stacked; rounds interleaved, ratios within a round."""
    samples, recipe = toy(), config(device=DEVICE)
    sides = {f"{count}": halves(samples, count, seed=0) for count in (16, 64)}
    stacked(samples, sides["16"], config(device=DEVICE, epochs=2))  # imports and first calls are nobody's cost
    taken: dict[str, list[float]] = {}
    found: dict[str, float] = {}
    for _ in range(ROUNDS):
        for count, members in sides.items():
            seconds, scores = cpu(lambda m=members: stacked(samples, m, recipe))
            taken.setdefault(f"stacked {count}, s", []).append(seconds)
            found[f"stacked {count}, LiRA AUC"] = area(members, scores)
            seconds, _ = cpu(lambda m=members: whole(samples, m, recipe))
            taken.setdefault(f"whole attack {count}, s", []).append(seconds)
    found |= {name: float(np.median(values)) for name, values in taken.items()}
    for part in ("stacked", "whole attack"):
        ratios = np.array(taken[f"{part} 64, s"]) / taken[f"{part} 16, s"]
        found |= {f"{part}, 64 over 16": float(np.median(ratios)), f"{part}, least": ratios.min()}
        found[f"{part}, most"] = ratios.max()
    found["one by one 16, s"], scores = cpu(lambda: sequential(samples, sides["16"], config()))
    found["one by one 16, LiRA AUC"] = area(sides["16"], scores)
    found["ratio at 16"] = found["one by one 16, s"] / found["stacked 16, s"]
    return found


def sgemm() -> float:
    """Return the rate of a 1024-cubed single-precision product on this machine now, in GFLOP/s."""
    a, b = torch.randn(1024, 1024, device=DEVICE), torch.randn(1024, 1024, device=DEVICE)
    torch.mm(a, b)
    best, _ = cpu(lambda: torch.mm(a, b), repeats=10)
    return 2 * 1024**3 / best / 1e9


def fractions() -> dict[str, float]:
    """Share of the sgemm rate that training and evaluation reach, by hidden width (16 models)."""
    samples = toy()
    members = halves(samples, 16, seed=0)
    found: dict[str, float] = {}
    for hidden in (32, 128, 512):
        recipe = TrainingConfig(hidden=(hidden, hidden), epochs=5, checkpoints=1, device=DEVICE)
        weights = 64 * hidden + hidden * hidden + hidden * 10
        # forward and weight gradient of every layer, input gradient of all but the first: 2 flops a multiply-add
        flops = 2 * 16 * 1000 * recipe.epochs * (3 * weights - 64 * hidden)
        rate = sgemm()
        seconds, (model, checkpoints) = cpu(lambda r=recipe: train(samples, members, r, seed=0), repeats=2)
        found[f"training, hidden {hidden}"] = flops / seconds / 1e9 / rate
        seconds, _ = cpu(lambda m=model, c=checkpoints: evaluate_checkpoints(m, c, samples, members), repeats=3)
        found[f"evaluation, hidden {hidden}"] = 2 * 16 * 2000 * weights / seconds / 1e9 / rate
    found["sgemm, GFLOP/s"] = sgemm()
    return found


def where_it_goes() -> dict[str, float]:
    """Share of training time by kind of operation at hidden 128 (torch profiler)."""
    samples, recipe = toy(), config(device=DEVICE)
    members = halves(samples, 16, seed=0)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        train(samples, members, recipe, seed=0)
    kinds = {"matrix products": ("bmm", "mm"), "Adam": ("adam", "Adam"), "gathering records": ("index",),
             "softmax and loss": ("softmax", "scatter")}  # fmt: skip
    total = sum(item.self_cpu_time_total for item in profile.key_averages())
    shares = dict.fromkeys([*kinds, "everything else"], 0.0)
    for item in profile.key_averages():
        name = next((k for k, words in kinds.items() if any(w in item.key for w in words)), "everything else")
        shares[name] += item.self_cpu_time_total / total
    return shares


def scoring(models: int = 64, records: int = 50_000, quantizers: int = 10) -> dict[str, float]:
    """Seconds from logits to every model's scores, and to finished results with intervals: one target, and all."""
    rng = np.random.default_rng(0)
    base = from_arrays(rng.normal(size=(records, 1)), np.arange(records) % 2)
    members = halves(base, models, seed=0)
    scores = rng.normal(size=(models, records)) + 0.5 * members
    table = table_of(base, members, scores)
    seconds, _ = cpu(lambda: Lira().scores(Context(table), range(models)), repeats=3)
    found = {f"scores of all 64, {quantizers} quantizers, s": seconds * quantizers}
    for name, targets in (("one target", [0]), ("all 64 as targets", None)):
        count = quantizers if targets else 2
        seconds, _ = cpu(
            lambda t=targets, c=count: [Lira()(table, targets=t, resampling=Resampling(seed=0)) for _ in range(c)]
        )
        found[f"results, {name}, {quantizers} quantizers, s"] = seconds * quantizers / count
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--parts", default="speed,fractions,where,scoring")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cuda" if torch.cuda.is_available() else "cpu")
    global DEVICE  # noqa: PLW0603 - one word of the command line that every part reads
    DEVICE = parser.parse_args().device
    wanted = parser.parse_args().parts.split(",")
    torch.set_num_threads(1)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), platform.processor())
    print(json.dumps({"cpu": model, "cores": os.cpu_count(), "torch": torch.__version__,
                      "os": platform.platform(), "device": torch.cuda.get_device_name() if DEVICE == "cuda" else "cpu",
                      "load": os.getloadavg()[0]}))  # fmt: skip
    parts = {"speed": speed, "fractions": fractions, "where": where_it_goes, "scoring": scoring}
    for name in wanted:
        print(name, json.dumps({key: round(value, 4) for key, value in parts[name]().items()}), flush=True)


if __name__ == "__main__":
    main()
