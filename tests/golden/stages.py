"""A small audit stage by stage, each from inputs of its own, in a few numbers that every processor gives alike."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from leaq.attacks.base import Context
from leaq.attacks.forecast import forecast
from leaq.attacks.registry import parse_attacks
from leaq.data import load
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.embedders import embed
from leaq.evaluation import evaluate_checkpoints, with_numbers, with_whitebox
from leaq.measures.distortion import correlation, distortion, loss_gap
from leaq.measures.finite_sample import finite_sample
from leaq.measures.performance import performance
from leaq.measures.rate import rate
from leaq.pipeline import AuditConfig
from leaq.quantizers import parse_list
from leaq.training import MLP, TrainingConfig, train
from leaq.types import AttackResult, Checkpoints, LossTable

Numbers = dict[str, float]
N, D, MODELS = 120, 5, 12


def samples():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(N, D))
    return from_arrays(x, (x[:, 0] + rng.normal(size=N) > 0).astype(int))


def _bits(array) -> float:
    """Return a number that is another one if any bit of the array is."""
    return int(hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:8], 16)


def read() -> Numbers:
    wine = load("wine")
    return {
        "inputs": float(np.abs(wine.inputs).sum()),
        "targets": float(wine.targets.sum()),
        "members": _bits(np.packbits(halves(wine, 6, seed=3))),
        "groups": float(len(np.unique(wine.groups))),
    }


def embedded() -> Numbers:
    smiles = [f"{'C' * (i // 3 + 1)}{'ONF'[i % 3]}" for i in range(24)]
    molecules = load((np.array(smiles), np.arange(24) / 7.0))
    return {
        "ecfp4": float(embed(molecules, "ecfp4").inputs.sum()),
        "descriptors": float(np.abs(embed(molecules, "descriptors").inputs).mean()),
    }


def trained() -> Numbers:
    config = TrainingConfig(hidden=(8,), epochs=3, checkpoints=2, standardise="pool", dtype="float64")
    records = samples()
    _, checkpoints = train(records, halves(records, 4, seed=1), config, seed=2)
    return {name: float(tensor.double().abs().mean()) for name, tensor in checkpoints.params.items()}


def weights() -> tuple[MLP, Checkpoints]:
    mlp = MLP(d=D, k=2, hidden=(16,), task="classification")
    return mlp, Checkpoints(mlp.init(seed=5, models=range(MODELS)), mlp.roles, (MODELS,))


def quantized() -> Numbers:
    _, released = weights()
    specs = "sign, ternary(sparsity=0.5), ternary(sparsity=0.9), uniform(bits=2), uniform(bits=3), uniform(bits=8)"
    found = {}
    for scheme in parse_list(specs):
        params = scheme(released).params
        found[scheme.spec()] = float(sum(params[name].double().abs().mean() for name in params))
        found[f"bits of {scheme.spec()}"] = scheme.fitted_to(released).size(released).bits
    return found


def evaluated() -> Numbers:
    mlp, released = weights()
    records = samples()
    table = evaluate_checkpoints(mlp, released, records, halves(records, MODELS, seed=1))
    table = with_numbers(with_whitebox(table, mlp, released, records), released, records)
    found = {name: float(np.abs(getattr(table, name)).mean()) for name in ("losses", "scores", "outputs", "whitebox")}
    return found | {name: float(np.abs(values).mean()) for name, values in (table.numbers or {}).items()}


def table() -> LossTable:
    """Losses that tell members apart a little, models apart a lot."""
    rng = np.random.default_rng(1)
    records = samples()
    members = halves(records, MODELS, seed=1)
    easy, offset = rng.normal(size=N), rng.normal(size=(MODELS, 1))
    scores = easy + offset + 1.2 * members + 0.7 * rng.normal(size=(MODELS, N))
    losses = np.logaddexp(0, -np.stack([scores - 0.3 * rng.normal(size=scores.shape), scores], axis=1))
    outputs = np.stack([np.zeros_like(scores), np.where(records.targets == 1, scores, -scores)], axis=2)
    return LossTable(
        losses, members, "classification", "pool", n_train=N // 2, scores=scores, outputs=outputs,
        targets=records.targets, groups=records.groups,
    )  # fmt: skip


def measured() -> Numbers:
    judged = table()
    options = {"level": 0.95, "seed": 0, "draws": 50}
    found = {name: one.value for name, one in performance(judged, **options).items()}
    found |= {"loss gap": loss_gap(judged, **options).value, "r": rate(judged, **options).r.value}
    found["finite sample"] = finite_sample(judged, models=range(1), seed=0).value
    for name, indicator in (("distortion", distortion), ("correlation", correlation)):
        found[name] = indicator(judged.released_only(), judged.released_only(), **options).value
    found["forecast"] = forecast(judged).advantage.value
    found["forecast of 4"] = forecast(judged.of(range(4))).advantage.value
    context = Context(judged, judged, features=samples().inputs)
    for attack in parse_attacks(["threshold", "rmia", "lira", "lira(variance=hierarchical)", "combined(sees=outputs)"]):
        result = attack.run(context)
        assert isinstance(result, AttackResult), (attack.spec(), result)
        found |= {f"{attack.spec()} advantage": result.advantage.value, f"{attack.spec()} auc": result.auc.value}
        found[f"{attack.spec()} width"] = result.advantage.high - result.advantage.low
    return found


STAGES: dict[str, tuple[Callable[[], Numbers], float]] = {
    "read": (read, 1e-9),
    "embed": (embedded, 1e-5),
    "train": (trained, 1e-5),
    "quantize": (quantized, 1e-5),
    "evaluate": (evaluated, 1e-4),
    # A record at a threshold falls on either side, by the last digit of a sum.
    "measure": (measured, 0.01),
}
"""What computes the numbers of a stage, and how far they may be off: relative, of measures absolute."""


def all_stages() -> dict[str, Numbers]:
    """Return the numbers of every stage, computed in one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {name: compute() for name, (compute, _) in STAGES.items()}
    finally:
        torch.set_num_threads(threads)


def defaults() -> dict[str, Any]:
    """Return what an audit is where nothing is asked for: stored results are keyed by what differs from it."""
    return AuditConfig(source="wine").to_dict()
