"""Audit a fine-tuned language model on texts made here, with a reference model that has not seen them.

The model and its tokenizer go through a folder, as a real one would come from. Needs the extra `huggingface`.
"""

import sys
import tempfile
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
from small_language_model import network, texts, tokenizer

import leaq
from leaq.models.causal import load_causal

tokens = tokenizer()
members, nonmembers, others = texts(60, seed=1), texts(60, seed=2), texts(60, seed=3)


def fine_tuned(lines, steps=40):
    """Train on some lines until they are remembered."""
    torch.manual_seed(0)
    model = network()
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    ids = torch.tensor([tokens(line)["input_ids"] for line in lines])
    for _ in range(steps):
        optimizer.zero_grad()
        logits = model(input_ids=ids).logits
        torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten()).backward()
        optimizer.step()
    return model


with tempfile.TemporaryDirectory() as folder:
    fine_tuned(members).save_pretrained(folder)
    tokens.save_pretrained(folder)
    model, loaded = load_causal(folder)  # a name known to the Hugging Face hub works here too

result = leaq.audit(
    model,
    members=members,
    nonmembers=nonmembers,
    tokenizer=loaded,
    reference=fine_tuned(others),
    quantizers=["uniform(bits=8)", "uniform(bits=4)", "sign"],
)
for row in result.rows:
    print(row.label, "perplexity", row.metrics["perplexity"])
    for name in ("threshold", "min-k", "reference"):
        print("   ", name, row.attacks[name].advantage)
