"""What Level B runs: settings (records, a network and a training rule) and quantizers.

Half of the settings are those the forecasts, their constants and the risk from one run were developed on. The others
were run by the same command and looked at only as scores; nothing was chosen by them.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import nn

from benchmarks.lira_reference import read
from leaq.data import load
from leaq.data.tables import from_arrays
from leaq.embedders import embed
from leaq.models.nets.registry import NETS
from leaq.pipeline.subjects.architecture import network_for
from leaq.seeds import stream
from leaq.training import TrainingConfig
from leaq.types import Samples

FOLDER = Path(os.environ.get("LEAQ_DATA_DIR", "data"))
"""Holds molecules/, benchmarks/ (location30.npz and adult.npz) and embedders/ (pretrained weights)."""
MOST_RECORDS = 500

Kind = Literal["synthetic", "tabular", "molecular", "end to end"]


@dataclass(frozen=True)
class Setting:
    """One data set, one network and one way to train it.

    Attributes
    ----------
    make : builds the network, given the records; None is the stacked perceptron of `training.hidden`.
    dev : whether forecasts and risks were developed on it.
    molecules : whether records are molecules.
    """

    name: str
    kind: Kind
    samples: Callable[[], Samples]
    training: TrainingConfig
    dev: bool = False
    make: Callable[..., Any] | None = None
    molecules: bool = False


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


def teacher(n: int, d: int, *, noise: float, seed: int) -> Callable[[], Samples]:
    """Values of a random one-layer network, and noise."""

    def make() -> Samples:
        rng = stream(seed, "teacher")
        inputs = rng.normal(size=(n, d))
        hidden = np.tanh(inputs @ rng.normal(0, 1 / np.sqrt(d), (d, 8)))
        values = hidden @ rng.normal(size=8) + noise * rng.normal(size=n)
        return embed(from_arrays(inputs, values, task="regression", name="teacher"))

    return make


def known(name: str) -> Callable[[], Samples]:
    return lambda: thinned(embed(load(name)))


def mislabelled(make: Callable[[], Samples], share: float) -> Callable[[], Samples]:
    """Draw a share of the labels of another setting anew."""

    def made() -> Samples:
        samples, rng = make(), stream(0, "mislabelled")
        drawn = rng.integers(len(samples.classes), size=len(samples))
        labels = np.where(rng.random(len(samples)) < share, drawn, samples.targets)
        return replace(samples, targets=labels)

    return made


def tables(name: str) -> Callable[[], Samples]:
    return lambda: thinned(embed(read(FOLDER / "benchmarks", name)))


def molecules(
    name: str, *, embedder: str = "ecfp4(size=512)", task: str = "classification", most: int = MOST_RECORDS,
    log_target: bool = False,
) -> Callable[[], Samples]:  # fmt: skip
    def make() -> Samples:
        path = FOLDER / "molecules" / f"{name}.csv"
        if not path.exists():
            raise FileNotFoundError(f"needs {path}; name the folder of the data in LEAQ_DATA_DIR")
        os.environ.setdefault("LEAQ_WEIGHTS_DIR", str(FOLDER / "embedders"))
        samples = load(path, smiles="smiles", target="target", task=task, skip_invalid=True, log_target=log_target)
        return embed(thinned(samples, most), embedder)

    return make


def thinned(samples: Samples, most: int = MOST_RECORDS) -> Samples:
    if len(samples) <= most:
        return samples
    return samples.take(np.sort(stream(0, "thin").permutation(len(samples))[:most]))


def rule(*hidden: int, epochs: int, **options: Any) -> TrainingConfig:
    return TrainingConfig(hidden=hidden, epochs=epochs, checkpoints=20, **options)


class Convolutions(nn.Module):
    """Two layers of convolutions over digits of 8 x 8 pixels, and one that decides."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, width, 3, padding=1)
        self.second = nn.Conv2d(width, 2 * width, 3, stride=2, padding=1)
        self.head = nn.Linear(2 * width * 16, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits."""
        x = x.unflatten(1, (1, 8, 8)) / 16
        return self.head(torch.relu(self.second(torch.relu(self.first(x)))).flatten(1))


def graph_net(spec: str) -> Callable[..., Any]:
    return NETS.build(spec)


def make_of(setting: Setting, samples: Samples) -> Callable[[], nn.Module]:
    """Return what builds one fresh network of a setting."""
    assert setting.make is not None
    return partial(network_for, setting.make, samples)


GRAPH = {"embedder": "molgraph", "most": 300}
REGRESSION = {"task": "regression"}
MOL = {"molecules": True}
DEV = {"dev": True}

SETTINGS = (
    Setting("freesolv", "molecular", molecules("freesolv", **REGRESSION), rule(64, epochs=60), **DEV, **MOL),
    Setting("dili", "molecular", molecules("dili"), rule(64, 32, epochs=40), **DEV, **MOL),
    Setting("caco2", "molecular", molecules("caco2_wang", **REGRESSION), rule(64, 32, epochs=12), **DEV, **MOL),
    Setting("esol short", "molecular", molecules("esol", **REGRESSION), rule(64, epochs=5), **DEV, **MOL),
    Setting("bbbp graphs", "molecular", molecules("bbbp", embedder="graphsage_contextpred"), rule(64, epochs=20), **DEV, **MOL),
    Setting("bace", "molecular", molecules("bace"), rule(64, epochs=6), **DEV, **MOL),
    Setting("location30", "tabular", tables("location30"), rule(128, epochs=20), **DEV),
    Setting("adult", "tabular", tables("adult"), rule(64, epochs=20), **DEV),
    Setting("diabetes", "tabular", known("diabetes"), rule(64, 32, epochs=60), **DEV),
    Setting("mix d100 k4", "synthetic", mixture(500, 100, 4, spread=2, noise=0.1, seed=2), rule(64, 32, epochs=40), **DEV),
    Setting("mix d20 k2", "synthetic", mixture(500, 20, 2, spread=2, noise=0.1, seed=1), rule(64, epochs=60), **DEV),
    Setting("dmpnn freesolv", "end to end", molecules("freesolv", **REGRESSION, **GRAPH), rule(epochs=60, batch_size=32, learning_rate=2e-3), **DEV, **MOL, make=graph_net("dmpnn(hidden=48)")),
    Setting("conv digits noisy", "end to end", mislabelled(known("digits"), 0.2), rule(epochs=40, batch_size=64, learning_rate=3e-3), **DEV, make=lambda outputs: Convolutions(8, outputs)),
    Setting("herg", "molecular", molecules("herg"), rule(64, epochs=40), **MOL),
    Setting("lipophilicity", "molecular", molecules("lipophilicity_astrazeneca", **REGRESSION), rule(128, 64, epochs=40), **MOL),
    Setting("skin reaction", "molecular", molecules("skin_reaction", embedder="ecfp4(size=1024)"), rule(32, epochs=60), **MOL),
    Setting("bioavailability", "molecular", molecules("bioavailability_ma"), rule(64, epochs=5), **MOL),
    Setting("microsome graphs", "molecular", molecules("microsome_az_log10", embedder="gcn_contextpred", **REGRESSION), rule(64, epochs=20), **MOL),
    Setting("ames", "molecular", molecules("ames"), rule(32, epochs=4, weight_decay=0.001), **MOL),
    Setting("ppbr graphs", "molecular", molecules("ppbr_az", embedder="graphsage_contextpred", **REGRESSION), rule(32, epochs=12), **MOL),
    Setting("clearance", "molecular", molecules("clearance_hepatocyte_az", log_target=True, **REGRESSION), rule(64, epochs=20, optimizer="sgd", learning_rate=0.02), **MOL),
    Setting("location30 short", "tabular", tables("location30"), rule(64, epochs=6)),
    Setting("breast_cancer", "tabular", known("breast_cancer"), rule(64, 32, epochs=60)),
    Setting("digits", "tabular", known("digits"), rule(64, epochs=40)),
    Setting("wine", "tabular", known("wine"), rule(32, epochs=60)),
    Setting("mix noisy", "synthetic", mixture(500, 60, 2, spread=2, noise=0.3, seed=5), rule(128, 64, epochs=60)),
    Setting("mix wide", "synthetic", mixture(400, 200, 2, spread=3, noise=0.1, seed=6), rule(128, epochs=40)),
    Setting("mix decay", "synthetic", mixture(500, 50, 3, spread=2.5, noise=0.1, seed=9), rule(64, epochs=60, weight_decay=0.01)),
    Setting("mix k10", "synthetic", mixture(500, 50, 10, spread=4, noise=0.05, seed=8), rule(64, 32, epochs=30)),
    Setting("teacher", "synthetic", teacher(500, 40, noise=0.3, seed=10), rule(64, epochs=60)),
    Setting("teacher linear", "synthetic", teacher(500, 40, noise=0.5, seed=11), rule(epochs=60)),
    Setting("gin dili", "end to end", molecules("dili", **GRAPH), rule(epochs=60, batch_size=64, learning_rate=4e-3), **MOL, make=graph_net("gin(hidden=32)")),
    Setting("gcn esol", "end to end", molecules("esol", **REGRESSION, **GRAPH), rule(epochs=60, batch_size=32, learning_rate=5e-3), **MOL, make=graph_net("gcn(hidden=48)")),
    Setting("dmpnn herg", "end to end", molecules("herg", **GRAPH), rule(epochs=30, batch_size=64, learning_rate=1e-3), **MOL, make=graph_net("dmpnn(hidden=48)")),
    Setting("conv digits", "end to end", known("digits"), rule(epochs=40, batch_size=64, learning_rate=3e-3), make=lambda outputs: Convolutions(4, outputs)),
    Setting("conv digits random", "end to end", mislabelled(known("digits"), 0.5), rule(epochs=60, batch_size=64, learning_rate=3e-3), make=lambda outputs: Convolutions(6, outputs)),
)  # fmt: skip

QUANTIZERS = (
    "sign",
    "ternary(sparsity=0.5)",
    "ternary(sparsity=0.75)",
    "ternary(sparsity=0.9)",
    "uniform(bits=2)",
    "kmeans(bits=2)",
    "stochastic(bits=2)",
    "gptq(bits=2)",
    "uniform(bits=3, per=tensor)",
    "uniform(bits=3)",
    "uniform(bits=3, scale=mse)",
    "kmeans(bits=3)",
    "stochastic(bits=3)",
    "gptq(bits=3)",
    "uniform(bits=4, per=tensor)",
    "uniform(bits=4)",
    "nf4",
    "stochastic(bits=4)",
    "uniform(bits=8)",
)


def quantizers_of(setting: Setting) -> tuple[str, ...]:
    """Return the quantizers of a setting: GPTQ wants layers that one kind of inputs meets, which message passing is not."""
    graphs = setting.kind == "end to end" and setting.molecules
    return tuple(spec for spec in QUANTIZERS if not (graphs and spec.startswith("gptq")))


def width(spec: str) -> float:
    """Return the bit width a quantizer is compared within; all ternary ones are of one."""
    if spec.startswith("ternary"):
        return 1.6
    named = {"sign": 1, "nf4": 4, "none": 32}
    return named[spec] if spec in named else int(spec.split("bits=")[1][0])


def sampled_too(spec: str) -> bool:
    """Tell whether neighbours are sampled under a quantizer: those that round each weight to a fixed even grid."""
    return not spec.startswith(("kmeans", "stochastic", "gptq", "nf4", "none"))
