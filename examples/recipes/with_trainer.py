"""A Hugging Face Trainer of one's own: ``--recipe examples/recipes/with_trainer.py:train``.

leaq audit breast_cancer --recipe examples/recipes/with_trainer.py:train --replicates 8
"""

import tempfile
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback, Trainer, TrainingArguments

EPOCHS = 20


class Network(nn.Module):
    """A perceptron in the form a Trainer takes: named arguments in, a loss and logits out."""

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(features)
        self.layers = nn.Sequential(nn.Linear(features, 32), nn.ReLU(), nn.Linear(32, classes))

    def forward(self, inputs: Tensor, labels: Tensor | None = None) -> dict[str, Tensor]:
        """Return logits, and the loss where there are labels."""
        logits = self.layers(self.norm(inputs))
        return {"logits": logits} if labels is None else {
            "loss": nn.functional.cross_entropy(logits, labels), "logits": logits
        }  # fmt: skip


def train(records: Any, seed: int) -> nn.Module:
    """Train one network on its members, quietly and on the CPU."""
    rows = [
        {"inputs": torch.tensor(x, dtype=torch.float32), "labels": torch.tensor(int(y))}
        for x, y in zip(records.inputs, records.targets, strict=True)
    ]
    network = Network(records.inputs.shape[1], len(records.classes))
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            folder, num_train_epochs=EPOCHS, per_device_train_batch_size=32, learning_rate=0.01, seed=seed,
            data_seed=seed, use_cpu=True, report_to=[], save_strategy="no", logging_strategy="no", disable_tqdm=True,
        )  # fmt: skip
        trainer = Trainer(network, options, train_dataset=rows)
        trainer.remove_callback(PrinterCallback)  # it prints a line a training
        trainer.train()
    return network
