"""Text to train a small language model on, made here: a grammar of made-up words, and a tokenizer of its own."""

import numpy as np
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

WORDS = [a + b for a in ("ka", "lo", "mi", "nu", "re", "si", "to", "vu") for b in ("la", "ne", "po", "ri", "sa")]


def texts(count, seed, length=10):
    """Sentences in which each word makes a few others likely to follow."""
    chain = np.random.default_rng(99).dirichlet(np.full(len(WORDS), 0.15), size=len(WORDS))
    rng = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        words = [int(rng.integers(len(WORDS)))]
        while len(words) < length:
            words.append(int(rng.choice(len(WORDS), p=chain[words[-1]])))
        lines.append(" ".join(WORDS[word] for word in words))
    return lines


def tokenizer():
    """One token a word."""
    table = {"<unk>": 0, "<pad>": 1, **{word: i + 2 for i, word in enumerate(WORDS)}}
    made = Tokenizer(models.WordLevel(table, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=made, unk_token="<unk>", pad_token="<pad>")


def network(width=32):
    """Build a GPT-2 of two layers."""
    config = GPT2Config(
        vocab_size=len(WORDS) + 2, n_positions=16, n_embd=width, n_layer=2, n_head=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, bos_token_id=1, eos_token_id=1, loss_type="ForCausalLM",
    )  # fmt: skip
    return GPT2LMHeadModel(config)
