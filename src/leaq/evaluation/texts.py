"""Texts as batches of tokens, and the losses of language models that read them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput
from leaq.evaluation.batches import Batch
from leaq.evaluation.losses import checked
from leaq.evaluation.tables import Evaluator, candidates, origin
from leaq.models import ModuleModel, checkpoints_of
from leaq.models.causal import IGNORED, Text, TokenLoss, doubts_of, refuse_lookahead, tokens_of
from leaq.models.roles import roles_of
from leaq.models.several import joint_margin
from leaq.types import Activations, Bools, Checkpoints, Flag, LossTable, Role, Samples
from leaq.types.arrays import trained_on

LOGITS = 2**22
"""Logits a forward pass may return before fewer texts go through at once."""


def token_batches(texts: Sequence[Text], vocabulary: int, *, logits: int | None = None) -> tuple[Batch, ...]:
    """Return texts as batches, each padded on the right to its longest.

    Parameters
    ----------
    logits : what a batch may have of them, where that is more than usual.
    """
    most = max(LOGITS, logits or 0)
    batches, start = [], 0
    while start < len(texts):
        stop, width = start, 0
        while stop < len(texts):
            wider = max(width, len(texts[stop].ids))
            if stop > start and (stop + 1 - start) * wider * vocabulary > most:
                break
            stop, width = stop + 1, wider
        batches.append(_batch(texts[start:stop], width))
        start = stop
    return tuple(batches)


def _batch(texts: Sequence[Text], width: int) -> Batch:
    tokens = torch.zeros((len(texts), width), dtype=torch.int64)
    there = torch.zeros((len(texts), width), dtype=torch.int64)
    targets = torch.full((len(texts), width), IGNORED)
    for row, text in enumerate(texts):
        ids = torch.from_numpy(text.ids)
        tokens[row, : len(ids)], there[row, : len(ids)] = ids, 1
        targets[row, text.start : len(ids)] = ids[text.start :]
    return Batch({"input_ids": tokens, "attention_mask": there}, targets, len(texts), "a batch of texts")


def longest(model: nn.Module) -> int:
    """Return how many tokens a model takes, as its configuration says; models without positions take any number."""
    names = ("max_position_embeddings", "n_positions", "max_seq_len", "max_sequence_length", "seq_length", "n_ctx")
    return _setting(model, names) or 10**9


def vocabulary_of(model: nn.Module) -> int:
    """Return how many tokens a model knows, as its configuration says."""
    return _setting(model, ("vocab_size",)) or 50_000


def refuse_other_tokens(texts: Sequence[Text], model: nn.Module, *, name: str) -> None:
    """Refuse tokens that a model has no number for: its tokenizer is another one.

    Raises
    ------
    InvalidInput
        If there are.
    """
    largest, known = max(int(text.ids.max()) for text in texts), _setting(model, ("vocab_size",))
    if 0 < known <= largest:
        raise InvalidInput(
            f"{name} must know every token. Found token {largest}, of {known} that it knows: the tokenizer belongs to "
            "another model."
        )


def _setting(model: nn.Module, names: tuple[str, ...]) -> int:
    """Return the first of some settings that a model's configuration, or that of its text part, has; 0 if none."""
    config = getattr(model, "config", None)
    parts = (config, getattr(config, "text_config", None))
    found = (getattr(part, name, None) for part in parts for name in names)
    return next((value for value in found if isinstance(value, int) and value > 0), 0)


@dataclass(frozen=True)
class LanguageModel:
    """A causal language model with its tokenizer as evaluation wants it; one candidate runs after the other.

    Attributes
    ----------
    module : the architecture; its own weights are not used.
    tokenizer : turns a text into tokens.
    texts : what is read, each a text or a pair of a prompt and its answer; the answer alone is scored.
    """

    module: nn.Module
    tokenizer: Any
    texts: tuple[Any, ...]

    @cached_property
    def tokens(self) -> list[Text]:
        """The texts as the model reads them."""
        return tokens_of(self.texts, self.tokenizer, length=longest(self.module), name="the source")

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What of the texts is not read, or read as it may not have been trained."""
        doubts = doubts_of(self.tokens, self.tokenizer)
        cut = sum(text.cut > 0 for text in self.tokens)
        if not cut:
            return doubts
        said = f"{cut} of {len(self.tokens)} texts are longer than the model's {longest(self.module)} tokens, and cut."
        return (Flag("cut-texts", said), *doubts)

    def check(self) -> None:
        """Refuse a module that does not know the tokens, or that looks at later ones."""
        refuse_other_tokens(self.tokens, self.module, name="The model")
        model = ModuleModel(self.module, vectorised=False)
        own = checkpoints_of(self.module, copied=False).params
        refuse_lookahead(
            lambda inputs: model.forward(own, inputs)[0], _batch(self.tokens[:1], len(self.tokens[0].ids)).inputs
        )

    @property
    def roles(self) -> Mapping[str, Role]:
        """Role of every parameter, in forward order."""
        return roles_of(self.module)

    def forward(self, params: Mapping[str, Tensor], inputs: Any, *, activations: Activations | None = None) -> Tensor:
        """Run stacked weights (m, ...) on a batch of tokens -> logits (m, n, t, v)."""
        return ModuleModel(self.module, vectorised=False).forward(params, inputs, activations=activations)


def evaluate_texts(
    model: LanguageModel,
    checkpoints: Checkpoints,
    samples: Samples,
    members: Bools,
    *,
    quantizer: str = "none",
) -> LossTable:
    """Return the loss of every text, the mean of its tokens' in nats; scores are the log-odds of that mean.

    Parameters
    ----------
    checkpoints : batch (s, c), quantized.
    members : (s, n), True where the text trained the model.
    """
    loss = TokenLoss(keep=0)

    def judge(outputs: Tensor, targets: Tensor) -> Tensor:
        return torch.stack([checked(loss(one, targets), len(targets), "the token loss") for one in outputs])

    run, stacked, (s, c) = candidates(model, checkpoints)
    batches = token_batches(model.tokens, vocabulary_of(model.module))
    evaluator = Evaluator(run, judge, keep=lambda _: None)
    losses, _ = evaluator(stacked, batches, batch=(s, c), quantizer=quantizer)
    return LossTable(
        losses=losses,
        members=members,
        task="classification",
        n_train=trained_on(members),
        scores=joint_margin(torch.from_numpy(np.ascontiguousarray(losses[:, -1]))).numpy(),
        ids=samples.ids,
        groups=samples.groups,
        flags=samples.flags,
        **origin(samples, quantizer=quantizer, size=c),
    )
