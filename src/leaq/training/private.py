"""The same heads trained with differential privacy (DP-SGD by Opacus): a baseline with a guarantee.

Stated with every number: add/remove neighbours (one record more or less), Poisson sampling, the PRV accountant,
delta = 1 / (10 n). Inputs and targets are standardised as in the heads beside it (`TrainingConfig.standardise`), but
never by the members' own statistics, which would void the guarantee: the pool's take their place. Statistics of the
pool or the public say nothing about who is a member; private ones spend a budget of their own, which is said.

Sources: Abadi et al., "Deep Learning with Differential Privacy" (arXiv 1607.00133v2), algorithm 1; Gopi, Lee,
Wutschitz, "Numerical Composition of Differential Privacy" (arXiv 2106.02848v3) for the accountant.
"""

import math
import warnings
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from leaq.config import Config
from leaq.errors import need
from leaq.seeds import torch_stream
from leaq.training.config import TrainingConfig
from leaq.training.mlp import MLP
from leaq.training.standardise import fit_scalers
from leaq.types import Bools, Checkpoints, Flag, Progress, Samples, silent


class Private(Config):
    """A training with a guarantee of differential privacy; what each one does says its subclass."""

    name: ClassVar[str] = ""
    title: ClassVar[str] = ""
    """What tables and figures call it."""
    epsilon: float = Field(gt=0)
    """Privacy loss to spend in the whole training; infinite adds no noise."""

    def label(self) -> str:
        """Short text for tables and figures."""
        return f"{self.title} ε={'∞' if math.isinf(self.epsilon) else f'{self.epsilon:g}'}"

    def spec(self) -> str:
        """Return a text that names the training; it is no quantizer and builds none."""
        return f"{self.name}(epsilon={self.epsilon:g})"

    def flags(self) -> tuple[Flag, ...]:
        """Return no doubt of its own; the guarantee is stated where it is measured."""
        return ()

    def delta(self, n_train: int) -> float:
        """Return the delta of the guarantee: a tenth of 1/n."""
        return 0.1 / n_train


class PrivateTraining(Private):
    """DP-SGD at one epsilon; infinite clips the gradients and adds no noise.

    Examples
    --------
    >>> PrivateTraining(epsilon=3).label()
    'DP-SGD ε=3'
    """

    name: ClassVar[str] = "dp_sgd"
    title: ClassVar[str] = "DP-SGD"
    max_grad_norm: float = Field(default=1.0, gt=0)
    """Norm to which each record's gradient is clipped."""

    def describe(self, n_train: int, config: TrainingConfig | None = None) -> str:
        """Say in one sentence what is guaranteed, under which accounting, for heads trained as `config` says."""
        if math.isinf(self.epsilon):
            return f"DP-SGD without noise: gradients clipped to {self.max_grad_norm:g}, Poisson sampling, no guarantee."
        return (
            f"(ε={self.epsilon:g}, δ={self.delta(n_train):.2g})-differentially private for one record more or less: "
            f"Poisson sampling, PRV accountant, gradients clipped to {self.max_grad_norm:g}; "
            f"{with_guarantee(config or TrainingConfig())}."
        )


def with_guarantee(config: TrainingConfig) -> str:
    """Say what of the standardisation is under the guarantee."""
    rule = standardised_privately(config).standardise
    if rule == "private":
        return f"the scalers, differentially private themselves, spend ε={config.standardise_epsilon:g} beside it"
    if rule == "pool":
        return "the scalers, fitted on the whole pool, are outside the guarantee"
    return "the scalers do not depend on the records"


def standardised_privately(config: TrainingConfig) -> TrainingConfig:
    """Return the configuration with a standardisation under which the guarantee holds."""
    voids = config.standardise in ("auto", "members", "rounded")
    return config.but(standardise="pool") if voids else config


def train_private(
    samples: Samples,
    members: Bools,
    config: TrainingConfig,
    private: PrivateTraining,
    *,
    seed: int,
    progress: Progress = silent,
) -> tuple[MLP, Checkpoints, float]:
    """Train one head per row of `members` under DP-SGD, from the same initial weights as `train`.

    Returns
    -------
    The architecture, the weights with batch (s,), and the largest epsilon any model spent.
    """
    need("opacus", extra="dp", purpose="Training with differential privacy")
    mlp = MLP.of(samples, config.hidden)
    x = torch.tensor(samples.inputs, dtype=torch.float32)
    y = torch.tensor(samples.targets, dtype=torch.int64 if samples.task == "classification" else torch.float32)
    fitted = fit_scalers(samples, members, standardised_privately(config), seed=seed)
    scalers = {name: torch.from_numpy(values).float() for name, values in fitted.items()}
    trained: list[dict[str, Tensor]] = []
    found = _Accounts(private.delta(int(members.sum(1).max())))
    for model, rows in enumerate(members):
        keep = torch.as_tensor(rows)
        run = _Run(config, private, found, seed=seed, model=model)
        initial = {name: tensor[0] for name, tensor in mlp.init(seed, [model]).items()}
        own = {name: tensor[model] for name, tensor in scalers.items()}
        inputs, targets = (x[keep] - own["input.mean"]) / own["input.scale"], y[keep]
        if samples.task == "regression":
            targets = (targets - own["output.mean"]) / own["output.scale"]
        weights = run.fit(_network(mlp, initial), inputs, targets)
        trained.append({**initial, **own, **weights})
        progress(private.label(), model + 1, len(members))
    params = {name: torch.stack([one[name] for one in trained]) for name in mlp.roles}
    return mlp, Checkpoints(params, mlp.roles, (len(members),)), max(found.spent.values(), default=math.inf)


def _network(mlp: MLP, initial: dict[str, Tensor]) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i, (fan_in, fan_out) in enumerate(pairwise(mlp.widths)):
        linear = nn.Linear(fan_in, fan_out)
        with torch.no_grad():
            linear.weight.copy_(initial[f"layers.{i}.weight"])
            linear.bias.copy_(initial[f"layers.{i}.bias"])
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


@dataclass
class _Accounts:
    """Noise found and epsilon spent by number of batches an epoch: models with as many share both, and one delta."""

    delta: float
    noise: dict[int, float] = field(default_factory=dict)
    spent: dict[int, float] = field(default_factory=dict)


class _Run:
    """One private training."""

    def __init__(
        self, config: TrainingConfig, private: PrivateTraining, accounts: _Accounts, *, seed: int, model: int
    ) -> None:
        self.config, self.private, self.accounts = config, private, accounts
        self.batches = torch_stream(seed, "dp-batches", model)
        self.noise_stream = torch_stream(seed, "dp-noise", model)

    def fit(self, network: nn.Sequential, x: Tensor, y: Tensor) -> dict[str, Tensor]:
        """Train, and return the weights by their names in `MLP`."""
        from opacus import PrivacyEngine

        with warnings.catch_warnings():
            # Opacus warns that its generator is not cryptographic, and torch about its hooks: neither is ours to mend.
            warnings.simplefilter("ignore")
            engine = PrivacyEngine(accountant="prv")
            wrapped, optimizer, loader = self._private(engine, network, x, y)
            for _ in range(self.config.epochs):
                for inputs, targets in loader:
                    optimizer.zero_grad()
                    found = wrapped(inputs)
                    if targets.is_floating_point():
                        loss = nn.functional.mse_loss(found.squeeze(-1), targets)
                    else:
                        loss = nn.functional.cross_entropy(found, targets)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
            if not math.isinf(self.private.epsilon) and len(loader) not in self.accounts.spent:
                self.accounts.spent[len(loader)] = float(engine.get_epsilon(self.accounts.delta))
        linears = [layer for layer in network if isinstance(layer, nn.Linear)]
        named = [(f"layers.{i}.{part}", getattr(layer, part)) for i, layer in enumerate(linears) for part in PARTS]
        return {name: tensor.detach().clone() for name, tensor in named}

    def _private(self, engine: Any, network: nn.Module, x: Tensor, y: Tensor) -> tuple[Any, ...]:
        """Wrap network, optimizer and loader; find the noise for the target epsilon the first time."""
        from torch.utils.data import DataLoader, TensorDataset

        size = min(self.config.batch_size, len(x))
        loader = DataLoader(TensorDataset(x, y), batch_size=size, generator=self.batches)
        given: dict[str, Any] = {
            "module": network,
            "optimizer": _optimizer(list(network.parameters()), self.config),
            "data_loader": loader,
            "max_grad_norm": self.private.max_grad_norm,
            "poisson_sampling": True,
            "noise_generator": self.noise_stream,
        }
        noise = 0.0 if math.isinf(self.private.epsilon) else self.accounts.noise.get(len(loader))
        if noise is not None:
            return tuple(engine.make_private(noise_multiplier=noise, **given))
        made = engine.make_private_with_epsilon(
            target_epsilon=self.private.epsilon, target_delta=self.accounts.delta, epochs=self.config.epochs, **given
        )
        self.accounts.noise[len(loader)] = float(made[1].noise_multiplier)
        return tuple(made)


def _optimizer(params: list[nn.Parameter], config: TrainingConfig) -> torch.optim.Optimizer:
    """Return the rule of the audit's own heads; not fused, since Opacus replaces the gradients."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.optimizer == "adam":
        return torch.optim.Adam(params, lr=rate, weight_decay=decay)
    return torch.optim.SGD(params, lr=rate, weight_decay=decay, momentum=config.momentum)


PARTS = ("weight", "bias")
