"""A Lightning training of one's own: ``--recipe examples/recipes/with_lightning.py:train``.

leaq audit breast_cancer --recipe examples/recipes/with_lightning.py:train --replicates 8
"""

import logging
import warnings
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 30


class Network(lightning.LightningModule):
    """A perceptron behind a batch normalisation of the inputs."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.BatchNorm1d(features), nn.Linear(features, 32), nn.ReLU(), nn.Linear(32, classes)
        )

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits."""
        outputs: Tensor = self.layers(inputs)
        return outputs

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """Return the loss of a batch."""
        inputs, targets = batch
        return nn.functional.cross_entropy(self(inputs), targets)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=0.01)


def train(records: Any, seed: int) -> nn.Module:
    """Train one network on its members, quietly and on the CPU."""
    lightning.seed_everything(seed, verbose=False)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    data = TensorDataset(torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets))
    network = Network(records.inputs.shape[1], len(records.classes))
    trainer = lightning.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about workers and logging: neither matters for a few hundred records
        trainer.fit(network, DataLoader(data, batch_size=32, shuffle=True))
    return network.layers
