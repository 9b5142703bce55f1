"""The convolutional SMILES encoder of chemical_vae, forward pass only; tensors are named as upstream's layers."""

import torch
from torch import Tensor, nn

EPS = 1e-3
"""The batch norm's epsilon of the framework it was trained in."""


class SmilesEncoder(nn.Module):
    """Three convolutions (tanh, then batch norm), one dense layer, and the latent mean."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder_conv0, self.encoder_norm0 = nn.Conv1d(35, 9, 9), nn.BatchNorm1d(9, eps=EPS)
        self.encoder_conv1, self.encoder_norm1 = nn.Conv1d(9, 9, 9), nn.BatchNorm1d(9, eps=EPS)
        self.encoder_conv2, self.encoder_norm2 = nn.Conv1d(9, 10, 11), nn.BatchNorm1d(10, eps=EPS)
        self.encoder_dense0, self.encoder_dense0_norm = nn.Linear(940, 196), nn.BatchNorm1d(196, eps=EPS)
        self.z_mean_sample = nn.Linear(196, 196)

    def forward(self, onehot: Tensor) -> Tensor:
        """Map one-hot SMILES (b, 35, 120) to latent means (b, 196)."""
        h = self.encoder_norm0(torch.tanh(self.encoder_conv0(onehot)))
        h = self.encoder_norm1(torch.tanh(self.encoder_conv1(h)))
        h = self.encoder_norm2(torch.tanh(self.encoder_conv2(h)))  # (b, 10, 94)
        h = h.transpose(1, 2).flatten(1)  # upstream flattens by position, channels fastest
        h = self.encoder_dense0_norm(torch.tanh(self.encoder_dense0(h)))
        found: Tensor = self.z_mean_sample(h)
        return found
