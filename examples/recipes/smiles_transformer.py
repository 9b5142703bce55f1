"""A SMILES transformer fine-tuned, whole or by low-rank adapters.

leaq audit dili --embedder smiles_tokens --recipe examples/recipes/smiles_transformer.py:train --replicates 8
leaq audit dili --embedder smiles_tokens --recipe examples/recipes/smiles_transformer.py:train_low_rank --replicates 8

FOLDER names a pretrained BERT of the same vocabulary (safetensors); without one the start is random, which shows the
way and predicts little. Rows are numbers of SMILES symbols, 0 is padding.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import BertConfig, BertModel

from leaq.embedders.tokens import PADDING, VOCABULARY

FOLDER = ""
WIDTH, LAYERS, HEADS = 32, 2, 2
EPOCHS, BATCH, RATE = 5, 32, 1e-3
RANK = 4


class Network(nn.Module):
    """An encoder, and a linear head on its first token: logits of classes, or a standardised value's own unit."""

    def __init__(self, length: int, outputs: int, mean: float = 0.0, scale: float = 1.0) -> None:
        super().__init__()
        shape = BertConfig(
            vocab_size=VOCABULARY, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
            intermediate_size=2 * WIDTH, max_position_embeddings=length, pad_token_id=PADDING,
            attn_implementation="eager",
        )  # fmt: skip
        self.encoder = BertModel.from_pretrained(FOLDER) if FOLDER else BertModel(shape, add_pooling_layer=False)
        self.head = nn.Linear(self.encoder.config.hidden_size, outputs)
        self.register_buffer("mean", torch.tensor(mean))
        self.register_buffer("scale", torch.tensor(scale))

    def forward(self, tokens: Tensor) -> Tensor:
        """Map (n, length) whole numbers to (n, outputs)."""
        tokens = tokens.long()
        hidden = self.encoder(tokens, attention_mask=(tokens != PADDING).long()).last_hidden_state
        found: Tensor = self.head(hidden[:, 0]) * self.scale + self.mean
        return found


class LowRank(nn.Module):
    """A linear map that is kept, plus one of low rank that is trained. Source: LoRA (arXiv 2106.09685v2)."""

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear.requires_grad_(False)
        self.down = nn.Parameter(torch.randn(RANK, linear.in_features) / math.sqrt(linear.in_features))
        self.up = nn.Parameter(torch.zeros(linear.out_features, RANK))

    def forward(self, inputs: Tensor) -> Tensor:
        """Apply both."""
        found: Tensor = self.linear(inputs) + inputs @ self.down.T @ self.up.T
        return found

    def merged(self) -> nn.Linear:
        """Return one linear map that does the same: what is released."""
        with torch.no_grad():
            self.linear.weight += self.up @ self.down
        return self.linear


def train(records: Any, seed: int) -> nn.Module:
    """Fine-tune every weight."""
    network = _fresh(records)
    return _fitted(network, records, seed)


def train_low_rank(records: Any, seed: int) -> nn.Module:
    """Fine-tune low-rank adapters of queries and values, and the head; they are merged into the released weights."""
    network = _fresh(records)
    network.encoder.requires_grad_(False)
    attentions = [layer.attention.self for layer in network.encoder.encoder.layer]
    for attention in attentions:
        attention.query, attention.value = LowRank(attention.query), LowRank(attention.value)
    _fitted(network, records, seed)
    for attention in attentions:
        attention.query, attention.value = attention.query.merged(), attention.value.merged()
    return network.requires_grad_(True)


def _fresh(records: Any) -> Network:
    length = records.inputs.shape[1]
    if records.task == "classification":
        return Network(length, len(records.classes))
    return Network(length, 1, float(records.targets.mean()), float(records.targets.std()))


def _fitted(network: Network, records: Any, seed: int) -> Network:
    classes = records.task == "classification"
    tokens = torch.tensor(records.inputs).long()
    targets = torch.tensor(records.targets) if classes else torch.tensor(records.targets, dtype=torch.float32)
    optimizer = torch.optim.AdamW([p for p in network.parameters() if p.requires_grad], lr=RATE)
    order = torch.Generator().manual_seed(seed)
    network.train()
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(tokens), generator=order).split(BATCH):
            outputs = network(tokens[rows])
            if classes:
                loss = nn.functional.cross_entropy(outputs, targets[rows])
            else:
                loss = ((outputs[:, 0] - targets[rows]) / network.scale).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()
