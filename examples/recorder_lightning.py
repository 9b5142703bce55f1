"""Record a PyTorch Lightning training: one callback. Needs the extra `lightning`."""

import tempfile

import lightning
import numpy as np
import torch
from sklearn.datasets import load_breast_cancer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import leaq
from leaq.training.recording.callbacks import lightning_callback


class Classifier(lightning.LightningModule):
    """An ordinary Lightning module; nothing in it knows of leaq."""

    def __init__(self) -> None:
        super().__init__()
        self.net = nn.Sequential(nn.Linear(30, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, _index):
        x, y = batch
        return nn.functional.cross_entropy(self(x), y)

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=3e-3)


data = load_breast_cancer()
x = ((data.data - data.data.mean(0)) / data.data.std(0)).astype(np.float32)
y = data.target
inside = np.random.default_rng(0).permutation(len(y)) % 2 == 0

lightning.seed_everything(0, verbose=False)
members = TensorDataset(torch.from_numpy(x[inside]), torch.from_numpy(y[inside]))
callback = lightning_callback(every=5, keep=20)
with tempfile.TemporaryDirectory() as folder:
    trainer = lightning.Trainer(
        max_epochs=8,
        callbacks=[callback],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
        default_root_dir=folder,
    )
    model = Classifier()
    trainer.fit(model, DataLoader(members, batch_size=32, shuffle=True))

result = leaq.audit(
    model,
    members=(x[inside], y[inside]),
    nonmembers=(x[~inside], y[~inside]),
    quantizers=["sign", "uniform(bits=4)"],
    checkpoints=callback.recorder.checkpoints,
)
print("recorded steps", callback.recorder.steps)
for row in result.rows:
    print(row.label, row.attacks["threshold"].advantage, row.measures["r"])
