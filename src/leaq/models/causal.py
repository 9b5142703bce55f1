"""Causal language models: loading, texts as tokens, and the loss of a text."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leaq.errors import InvalidInput, StoreError, need
from leaq.types import Floats, Ints

__all__ = ["TokenLoss", "load_causal", "tokens_of"]

IGNORED = -100
"""Target of positions that carry no token."""


def load_causal(name: str | Path) -> tuple[Any, Any]:
    """Return a causal language model and its tokenizer, by name or from a local folder.

    Only safetensors weights are read and no code from the model's repository is run. A GGUF file is dequantized by
    transformers' own reader; its tokenizer comes out of it too.

    Raises
    ------
    StoreError
        If neither a local folder nor a reachable repository of that name has both in readable form.
    """
    transformers = need("transformers", extra="huggingface", purpose="Loading a language model")
    place = str(name)
    options: dict[str, Any] = {}
    if place.endswith(".gguf"):
        need("gguf", extra="gguf", purpose="Reading a GGUF file")
        place, options = str(Path(place).parent), {"gguf_file": Path(place).name}
    if not options and Path(place).is_dir() and not list(Path(place).glob("*.safetensors")):
        raise StoreError(
            f"{place!r} must hold the model's weights as safetensors. Found none. Pickled weights are not opened; "
            "where you trust them, load them yourself and save with save_pretrained."
        )
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            place, trust_remote_code=False, dtype=torch.float32, **(options or {"use_safetensors": True})
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
    except (OSError, ValueError) as err:
        raise StoreError(
            f"{place!r} must be a folder with a causal language model and its tokenizer, or the name of one that "
            f"can be reached. {str(err).splitlines()[0]}"
        ) from None
    return model.eval(), tokenizer


def tokens_of(texts: list[str], tokenizer: Any, *, length: int, name: str) -> tuple[Ints, Ints]:
    """Return token ids and attention masks (n, t), padded on the right, t <= length.

    Raises
    ------
    InvalidInput
        If a text has fewer than two tokens: its loss would be of nothing.
    """
    rows = [list(tokenizer(text, truncation=True, max_length=length)["input_ids"]) for text in texts]
    short = [i for i, row in enumerate(rows) if len(row) < 2]
    if short:
        raise InvalidInput(
            f"{name}: every text must have at least two tokens. Text {short[0]} (counted from 0) and "
            f"{len(short) - 1} more have fewer. Remove them."
        )
    width = max(len(row) for row in rows)
    ids = np.zeros((len(rows), width), dtype=np.int64)
    mask = np.zeros((len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        ids[i, : len(row)] = row
        mask[i, : len(row)] = 1
    return ids, mask


class TokenLoss:
    """Mean token loss of each text in nats, (outputs (n, t, v), targets (n, t)) -> (n,).

    Between two calls of `take`, also collects each text's mean log-probability of its least likely tokens, so that
    a second pass over the model is not needed.

    Examples
    --------
    >>> loss = TokenLoss()
    >>> loss(torch.zeros(1, 3, 4), torch.tensor([[1, 2, 3]])).round(decimals=4)
    tensor([1.3863], dtype=torch.float64)
    """

    share = 0.2

    def __init__(self) -> None:
        self._lowest: list[Tensor] = []

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each position's next token, averaged over the text."""
        wanted = targets[:, 1:]
        there = wanted != IGNORED
        logp = torch.log_softmax(outputs[:, :-1].double(), dim=-1)
        picked = logp.gather(-1, wanted.clamp_min(0).unsqueeze(-1)).squeeze(-1)  # (n, t - 1)
        count = there.sum(1)
        ordered = picked.masked_fill(~there, torch.inf).sort(dim=1).values
        few = (self.share * count).ceil().long().clamp_min(1)
        low = torch.arange(ordered.shape[1], device=ordered.device) < few.unsqueeze(1)
        self._lowest.append((ordered.masked_fill(~low, 0.0).sum(1) / few).cpu())
        mean: Tensor = -picked.masked_fill(~there, 0.0).sum(1) / count
        return mean

    def take(self) -> Floats:
        """Return the mean log-probabilities of the least likely tokens collected since the last call, (n,)."""
        found = torch.cat(self._lowest).numpy() if self._lowest else np.empty(0)
        self._lowest = []
        return np.asarray(found)
