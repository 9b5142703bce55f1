"""Audit of a causal language model: one record is one text, its loss the mean loss of its tokens."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import nn

from leaq.attacks.tokens import against_reference, min_k
from leaq.auditing.config import Beside, ModelAuditConfig
from leaq.auditing.evaluating import Bench
from leaq.auditing.finished import ExtraAttacks, Job, audit_records
from leaq.auditing.records import Batch, Records
from leaq.auditing.rows import Attacks, protocol_of
from leaq.errors import InvalidInput
from leaq.models.causal import IGNORED, TokenLoss, tokens_of
from leaq.results import CellResult
from leaq.types import Estimate, Floats, Ints, LossTable, NotComputed, Progress, silent

__all__ = ["audit_language"]

LOGITS = 2**25
"""Logits a forward pass may return before fewer texts go through at once."""
BUCKETS = 256
"""Columns of the bag of tokens in which members and non-members are compared."""


def audit_language(
    model: nn.Module,
    members: Any,
    nonmembers: Any,
    *,
    config: ModelAuditConfig,
    beside: Beside,
    progress: Progress = silent,
) -> CellResult:
    """Tell what a (fine-tuned) language model gives away about its texts, under every quantizer.

    Parameters
    ----------
    members, nonmembers : lists of texts, or data sets with a text column (`target`, by default "text").
    beside : the tokenizer; a reference model that has not seen the members makes the strongest attack here.
    """
    started = time.perf_counter()
    inside, outside = (
        _texts(data, config.target or "text", name) for name, data in (("members", members), ("nonmembers", nonmembers))
    )
    length = min(config.length, _longest(model))
    ids, mask = tokens_of([*inside, *outside], beside.tokenizer, length=length, name="texts")
    size = max(1, LOGITS // (ids.shape[1] * _vocabulary(model)))
    cut = len(inside)
    loss = TokenLoss()
    job = Job(config, loss, beside, _token_attacks(loss, beside, config))
    inside_records = _records(ids[:cut], mask[:cut], size)
    result = audit_records(model, inside_records, _records(ids[cut:], mask[cut:], size), job=job, progress=progress)
    primary = "threshold" if beside.reference is None else "reference"
    timings = {**result.timings, "total_seconds": time.perf_counter() - started}
    rows = tuple(replace(row, metrics={**row.metrics, **_perplexity(row.metrics["loss"])}) for row in result.rows)
    data = {**result.data, "task": "language", "tokens": int(mask.sum()), "longest": int(mask.sum(1).max())}
    return replace(result, rows=rows, primary_attack=primary, data=data, timings=timings)


def _token_attacks(loss: TokenLoss, beside: Beside, config: ModelAuditConfig) -> ExtraAttacks:
    """Return what computes the attacks on tokens, once a released model was evaluated."""
    known: list[LossTable] = []

    def attacks(bench: Bench, released: LossTable) -> Attacks:
        protocol = protocol_of(config)
        found: dict[str, Any] = {"min-k": min_k(released, loss.take()[None][:, -len(bench.mask) :], protocol=protocol)}
        if beside.reference is None:
            found["reference"] = NotComputed("Needs reference=...: a model that has not seen the members.")
            return found
        if not known:
            known.append(bench.table_of(beside.reference, quantizer="reference"))
            loss.take()
        found["reference"] = against_reference(released, known[0], protocol=protocol)
        return found

    return attacks


def _perplexity(loss: Estimate | NotComputed) -> dict[str, Estimate]:
    """Return exp(mean token loss), averaged over texts and not over tokens."""
    if not isinstance(loss, Estimate):
        return {}
    value, low, high = (float(np.exp(end)) for end in (loss.value, loss.low, loss.high))
    return {"perplexity": Estimate(value, low, high, loss.n, loss.level, "texts", "exp of the mean loss of texts")}


def _texts(data: Any, column: str, name: str) -> list[str]:
    if hasattr(data, "column_names"):
        if column not in data.column_names:
            raise InvalidInput(f"{name}: name the text column with target=... Columns: {', '.join(data.column_names)}.")
        data = data[:][column]
    texts = list(data) if isinstance(data, Sequence) and not isinstance(data, str) else None
    if texts is None or not all(isinstance(text, str) for text in texts):
        raise InvalidInput(f"{name}: a language model needs a list of texts. Found {type(data).__name__}.")
    return texts


def _records(ids: Ints, mask: Ints, size: int) -> Records:
    batches = []
    for start in range(0, len(ids), size):
        part = slice(start, start + size)
        tokens, there = torch.from_numpy(ids[part]), torch.from_numpy(mask[part])
        inputs = {"input_ids": tokens, "attention_mask": there}
        batches.append(Batch(inputs, tokens.masked_fill(there == 0, IGNORED), len(tokens)))
    keys = [
        hashlib.blake2b(row[row_mask > 0].tobytes(), digest_size=8).digest()
        for row, row_mask in zip(ids, mask, strict=True)
    ]
    fingerprints = np.array([int.from_bytes(key, "little", signed=True) for key in keys], dtype=np.int64)
    return Records(tuple(batches), _bag(ids, mask), fingerprints)


def _bag(ids: Ints, mask: Ints) -> Floats:
    """Share of tokens in each bucket, and the length: what a comparison of texts looks at."""
    bag = np.zeros((len(ids), BUCKETS + 1))
    rows = np.repeat(np.arange(len(ids)), mask.sum(1))
    np.add.at(bag, (rows, ids[mask > 0] % BUCKETS), 1.0)
    bag[:, :BUCKETS] /= mask.sum(1, keepdims=True)
    bag[:, BUCKETS] = mask.sum(1)
    return bag


def _longest(model: nn.Module) -> int:
    config = getattr(model, "config", None)
    return int(getattr(config, "max_position_embeddings", None) or getattr(config, "n_positions", None) or 10**9)


def _vocabulary(model: nn.Module) -> int:
    return int(getattr(getattr(model, "config", None), "vocab_size", 0) or 50_000)
