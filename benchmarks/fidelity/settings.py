"""What Level B runs: settings (records and a training rule) and quantizers."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leaq.data import load
from leaq.data.tables import from_arrays
from leaq.embedders import embed
from leaq.seeds import stream
from leaq.training import TrainingConfig
from leaq.types import Samples

MOLECULES = Path(os.environ.get("LEAQ_DATA_DIR", "molecules"))
MOST_RECORDS = 1000


@dataclass(frozen=True)
class Setting:
    """One data set and one way to train on it. `dev` settings are those the forecast was developed on."""

    name: str
    kind: str
    samples: Callable[[], Samples]
    training: TrainingConfig
    dev: bool = False
    outside: float = 0.2
    """Share of the records that no model ever trains on."""


def mixture(n: int, d: int, k: int, *, spread: float, noise: float, seed: int) -> Callable[[], Samples]:
    """Gaussian classes around random centres; a share `noise` of the labels is random."""

    def make() -> Samples:
        rng = stream(seed, "mixture")
        centres = rng.normal(0, spread / np.sqrt(d), (k, d))
        labels = rng.integers(k, size=n)
        inputs = centres[labels] + rng.normal(0, 1 / np.sqrt(d), (n, d))
        flipped = rng.random(n) < noise
        labels = np.where(flipped, rng.integers(k, size=n), labels)
        return embed(from_arrays(inputs, labels, task="classification", name="mixture"))

    return make


def known(name: str) -> Callable[[], Samples]:
    return lambda: thinned(embed(load(name)))


def molecules(file: str, target: str, *, size: int, task: str) -> Callable[[], Samples]:
    def make() -> Samples:
        path = MOLECULES / file
        if not path.exists():
            raise FileNotFoundError(f"needs {path}; name the folder of the molecular tasks in LEAQ_DATA_DIR")
        samples = load(path, smiles="smiles", target=target, task=task, skip_invalid=True)
        return embed(thinned(samples), f"ecfp4(size={size})")

    return make


def thinned(samples: Samples) -> Samples:
    if len(samples) <= MOST_RECORDS:
        return samples
    return samples.take(np.sort(stream(0, "thin").permutation(len(samples))[:MOST_RECORDS]))


def rule(*hidden: int, epochs: int, **options: float) -> TrainingConfig:
    return TrainingConfig(hidden=hidden, epochs=epochs, checkpoints=20, **options)


SETTINGS = (
    Setting("mix d20 k2", "synthetic", mixture(600, 20, 2, spread=2, noise=0.1, seed=1), rule(64, epochs=60), dev=True),
    Setting("mix d100 k4", "synthetic", mixture(800, 100, 4, spread=2, noise=0.1, seed=2), rule(64, 32, epochs=40), dev=True),
    Setting("mix short", "synthetic", mixture(600, 50, 3, spread=2.5, noise=0.05, seed=3), rule(64, epochs=15)),
    Setting("mix long", "synthetic", mixture(600, 50, 3, spread=2.5, noise=0.05, seed=4), rule(64, epochs=150)),
    Setting("mix noisy", "synthetic", mixture(800, 30, 2, spread=2, noise=0.3, seed=5), rule(128, 64, epochs=60)),
    Setting("mix wide", "synthetic", mixture(500, 200, 2, spread=3, noise=0.1, seed=6), rule(128, epochs=40)),
    Setting("mix linear", "synthetic", mixture(500, 100, 2, spread=2, noise=0.1, seed=7), rule(epochs=100)),
    Setting("mix k10", "synthetic", mixture(1000, 50, 10, spread=4, noise=0.05, seed=8), rule(64, 32, epochs=40)),
    Setting("mix decay", "synthetic", mixture(600, 50, 3, spread=2.5, noise=0.1, seed=9), rule(64, epochs=60, weight_decay=0.01)),
    Setting("breast_cancer", "tabular", known("breast_cancer"), rule(64, 32, epochs=60)),
    Setting("wine", "tabular", known("wine"), rule(32, epochs=60)),
    Setting("digits", "tabular", known("digits"), rule(64, epochs=40)),
    Setting("diabetes", "tabular", known("diabetes"), rule(64, 32, epochs=60), dev=True),
    Setting("bace", "molecular", molecules("bace.csv", "target", size=512, task="classification"), rule(64, epochs=20), dev=True),
    Setting("dili", "molecular", molecules("dili.csv", "target", size=512, task="classification"), rule(64, epochs=30)),
    Setting("bbbp", "molecular", molecules("bbbp.csv", "target", size=512, task="classification"), rule(32, epochs=20)),
    Setting("esol", "molecular", molecules("esol.csv", "target", size=512, task="regression"), rule(64, epochs=30)),
    Setting("caco2", "molecular", molecules("caco2_wang.csv", "target", size=512, task="regression"), rule(64, 32, epochs=30)),
)  # fmt: skip

QUANTIZERS = (
    "sign",
    "ternary(sparsity=0.5)",
    "ternary(sparsity=0.9)",
    "uniform(bits=2)",
    "uniform(bits=3, per=tensor)",
    "uniform(bits=3)",
    "uniform(bits=3, per=group)",
    "uniform(bits=3, symmetric=false)",
    "uniform(bits=3, scale=mse)",
    "kmeans(bits=3)",
    "stochastic(bits=3)",
    "gptq(bits=3)",
    "adaround(bits=3)",
    "uniform(bits=4, per=tensor)",
    "uniform(bits=4)",
    "uniform(bits=4, per=group)",
    "uniform(bits=4, scale=mse)",
    "kmeans(bits=4)",
    "stochastic(bits=4)",
    "gptq(bits=4)",
    "adaround(bits=4)",
    "nf4",
    "uniform(bits=8)",
)


ADAROUND = frozenset(
    {"mix d20 k2", "mix d100 k4", "mix short", "mix long", "mix decay", "breast_cancer", "diabetes", "bace"}
)
"""Settings in which AdaRound is run too: it takes longer than all other quantizers together."""


def quantizers_of(setting: Setting) -> tuple[str, ...]:
    """Return the quantizers of a setting; on fingerprints AdaRound gets 50 iterations, as 200 take minutes."""
    if setting.name not in ADAROUND:
        return tuple(spec for spec in QUANTIZERS if not spec.startswith("adaround"))
    if setting.kind != "molecular":
        return QUANTIZERS
    return tuple(f"{spec[:-1]}, iterations=50)" if spec.startswith("adaround") else spec for spec in QUANTIZERS)


def sampled_too(spec: str) -> bool:
    """Tell whether candidates are sampled under a quantizer: those that round each weight to a fixed even grid."""
    return not spec.startswith(("kmeans", "stochastic", "gptq", "adaround", "nf4"))
