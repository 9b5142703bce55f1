"""Causal language models: loading, texts as tokens, and the loss of a text."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from leaq.errors import InvalidInput, StoreError, UnsupportedModel, need, reason_of
from leaq.models.causal_folder import empty_causal, open_causal_folder, refuse_lacking
from leaq.models.causal_gguf import open_causal_gguf, stays_in_gguf
from leaq.types import Flag, Floats, Ints

IGNORED = -100
"""Target of positions that carry no token, or one of a prompt."""
UNKNOWN = 0.1
"""Share of tokens that the tokenizer does not know from which it may be another model's."""
SLICE = 2**20
"""Logits that are turned into double precision at once."""

Told = str | tuple[str, str]
"""A text, or a prompt and its answer."""


def load_causal(name: str | Path, *, in_file: bool = False) -> tuple[Any, Any]:
    """Return a causal language model and its tokenizer, by name or from a local folder.

    Only safetensors weights are read and no code from the model's repository is run. A GGUF file is dequantized by
    transformers' own rules; its tokenizer comes out of it too.

    Parameters
    ----------
    in_file : leave the matrices of a GGUF file, or of the files of a folder, there: read by every operation that needs
        them, where the rules of the architecture allow it.

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
        if in_file and options and stays_in_gguf(Path(name)):
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
            return open_causal_gguf(Path(name)), tokenizer
        if in_file and not options and (empty := empty_causal(Path(place))) is not None:
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
            return open_causal_folder(Path(place), empty), tokenizer
        model, found = transformers.AutoModelForCausalLM.from_pretrained(
            place,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
            **(options or {"use_safetensors": True}),
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False, **options)
    except StoreError:
        raise
    except Exception as err:  # transformers, tokenizers and safetensors have a dozen of their own
        said = (str(err).strip().splitlines() or [type(err).__name__])[0]
        raise StoreError(
            f"{place!r} must be a folder with a causal language model and its tokenizer, or the name of one that "
            f"can be reached. {said}"
        ) from None
    refuse_lacking(place, sorted(found.get("missing_keys", ())))  # transformers would put random numbers there
    return model.eval(), tokenizer


@dataclass(frozen=True)
class Text:
    """One text as the model reads it.

    Attributes
    ----------
    ids : (t,) tokens that are read, at most the model's length.
    start : first token whose probability counts; those before it are a prompt. At least 1: the first has no context.
    whole : tokens of the whole text, which tell it from others.
    """

    ids: Ints
    start: int
    whole: Ints

    @property
    def cut(self) -> int:
        """Tokens that are not read."""
        return len(self.whole) - len(self.ids)


def tokens_of(texts: Sequence[Told], tokenizer: Any, *, length: int, name: str) -> list[Text]:
    """Return the tokens of texts, cut to `length`: a prompt loses its beginning, everything else its end.

    Which side a text without a prompt loses is the tokenizer's to say (`truncation_side`).

    Raises
    ------
    InvalidInput
        If a text has no token to be scored: its loss would be of nothing.
    """
    side = getattr(tokenizer, "truncation_side", "right")
    found = [
        _alone(_ids(text, tokenizer), length, side) if isinstance(text, str) else _answered(*text, tokenizer, length)
        for text in texts
    ]
    short = [i for i, text in enumerate(found) if len(text.ids) <= text.start]
    if short:
        more = f" and {len(short) - 1} more have" if len(short) > 1 else " has"
        raise InvalidInput(
            f"{name}: every text must have at least two tokens, and every answer one. Text {short[0]} (counted from "
            f"0){more} fewer. Remove them, or read more of them with length=..."
        )
    return found


def doubts_of(texts: Sequence[Text], tokenizer: Any) -> tuple[Flag, ...]:
    """Say what tokens tell of a tokenizer that is not the one the model was trained with, or of texts it got twice."""
    flags = []
    start, unknown = (getattr(tokenizer, name, None) for name in ("bos_token_id", "unk_token_id"))
    twice = sum(len(text.ids) > 1 and text.ids[0] == text.ids[1] == start for text in texts)
    if twice:
        text = (
            f"{twice} of {len(texts)} texts begin twice ({tokenizer.bos_token!r}): they hold the mark that the "
            "tokenizer puts before them, as a chat template's do. If the model was not trained so, take it out of them."
        )
        flags.append(Flag("two-beginnings", text))
    odd = sum(int((text.whole == unknown).sum()) for text in texts)
    total = sum(len(text.whole) for text in texts)
    if odd > UNKNOWN * total:
        text = (
            f"{odd} of {total} tokens are words that the tokenizer does not know, which all read alike: it may be "
            "another model's."
        )
        flags.append(Flag("unknown-tokens", text))
    return tuple(flags)


def refuse_lookahead(run: Callable[[Mapping[str, Tensor]], Tensor], batch: Mapping[str, Tensor]) -> None:
    """Refuse a model whose outputs depend on tokens that come later: what it tells of the next one it has read.

    Parameters
    ----------
    run : returns outputs (n, t, v) of inputs (n, t).
    batch : some texts, padded on the right; the first one's last token is exchanged.

    Raises
    ------
    UnsupportedModel
        If outputs before that token change with it.
    """
    one = {name: tensor[:1] for name, tensor in batch.items()}
    t = int(one["attention_mask"].sum())
    others = [token for token in one["input_ids"][0, : t - 1].tolist() if token != int(one["input_ids"][0, t - 1])]
    if not others:
        return
    changed = one["input_ids"].clone()
    changed[0, t - 1] = others[0]
    first, second = (run({**one, "input_ids": ids})[:, : t - 1].double() for ids in (one["input_ids"], changed))
    off = float((first - second).abs().max())
    if off > 1e-4 * float(first.abs().max()):
        raise UnsupportedModel(
            "A causal language model must tell each token from those before it. Here outputs before a text's last "
            f"token changed by up to {off:.3g} with that token, as those of a masked language model (BERT) or of one "
            "without a causal mask do. Its loss says nothing of how likely a text is."
        )


def _ids(text: str, tokenizer: Any) -> list[int]:
    try:
        return [int(token) for token in tokenizer(text, truncation=False, max_length=None)["input_ids"]]
    except Exception as err:  # whatever a tokenizer, or something that is none, raises
        raise InvalidInput(
            "tokenizer must turn a text into tokens as those of transformers do, tokenizer(text)['input_ids']. "
            f"{type(tokenizer).__name__} raised {reason_of(err)}."
        ) from err


def _alone(ids: list[int], length: int, side: str) -> Text:
    read = ids[-length:] if side == "left" else ids[:length]
    return Text(np.array(read, dtype=np.int64), 1, np.array(ids, dtype=np.int64))


def _answered(prompt: str, answer: str, tokenizer: Any, length: int) -> Text:
    """Join a prompt and its answer as the model saw them; the answer begins where the tokens first differ."""
    before, ids = _ids(prompt, tokenizer), _ids(prompt + answer, tokenizer)
    same = [a == b for a, b in zip(before, ids, strict=False)]
    start = same.index(False) if False in same else len(same)
    drop = min(max(0, len(ids) - length), max(0, start - 1))
    read = np.array(ids[drop : drop + length], dtype=np.int64)
    return Text(read, max(1, start - drop), np.array(ids, dtype=np.int64))


@dataclass(frozen=True)
class Tokens:
    """What single tokens tell of texts, beside their mean loss.

    Attributes
    ----------
    lowest : (n,) mean log-probability of each text's least likely fifth.
    normalised : (n,) the same of log-probabilities in standard deviations from the mean of their position.
    logp : n arrays, log-probability of every scored token.
    """

    lowest: Floats
    normalised: Floats
    logp: tuple[Floats, ...]


class TokenLoss:
    """Mean token loss of each text in nats, (outputs (n, t, v), targets (n, t)) -> (n,).

    Also keeps what single tokens of the last `keep` texts tell, so that a second pass over the model is not needed.

    Examples
    --------
    >>> loss = TokenLoss()
    >>> loss(torch.zeros(1, 3, 4), torch.tensor([[1, 2, 3]])).round(decimals=4)
    tensor([1.3863], dtype=torch.float64)
    """

    share = 0.2

    def __init__(self, keep: int = 10**9) -> None:
        self._keep = keep
        self._kept: list[Tokens] = []

    def __call__(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Loss of each position's next token, averaged over the text."""
        wanted = targets[:, 1:]
        there = wanted != IGNORED
        picked, normalised = self._positions(outputs[:, :-1], wanted.clamp_min(0))
        count = there.sum(1)
        rows = picked.cpu().numpy()
        logp = tuple(row[mask] for row, mask in zip(rows, there.cpu().numpy(), strict=True))
        self._kept.append(Tokens(self._lowest(picked, there), self._lowest(normalised, there), logp))
        while len(self._kept) > 1 and sum(len(part.logp) for part in self._kept[1:]) >= self._keep:
            del self._kept[0]
        mean: Tensor = -picked.masked_fill(~there, 0.0).sum(1) / count
        return mean

    @staticmethod
    def _positions(outputs: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
        """Return each next token's log-probability (n, t), and how many standard deviations it is above the mean.

        A slice of positions at a time: in double precision all logits of long texts would not fit into memory.
        """
        n, t, v = outputs.shape
        step = max(1, SLICE // (n * v))
        parts = []
        for start in range(0, t, step):
            logp = torch.log_softmax(outputs[:, start : start + step].double(), dim=-1)
            picked = logp.gather(-1, wanted[:, start : start + step].unsqueeze(-1)).squeeze(-1)
            share = logp.exp()
            mean = (share * logp).sum(-1)
            variance = ((share * logp.square()).sum(-1) - mean.square()).clamp_min(torch.finfo(logp.dtype).tiny)
            parts.append((picked, (picked - mean) / variance.sqrt()))
        return torch.cat([part[0] for part in parts], 1), torch.cat([part[1] for part in parts], 1)

    def _lowest(self, values: Tensor, there: Tensor) -> Floats:
        """Return the mean (n,) of each text's lowest fifth of its values (n, t)."""
        ordered = values.masked_fill(~there, torch.inf).sort(dim=1).values
        few = (self.share * there.sum(1)).ceil().long().clamp_min(1)
        low = torch.arange(ordered.shape[1], device=ordered.device) < few.unsqueeze(1)
        return np.asarray((ordered.masked_fill(~low, 0.0).sum(1) / few).cpu().numpy())

    def take(self) -> Tokens:
        """Return what was kept since the last call, in the order of the texts."""
        kept, self._kept = self._kept, []
        lowest, normalised = (
            np.concatenate([getattr(part, name) for part in kept]) if kept else np.empty(0)
            for name in ("lowest", "normalised")
        )
        return Tokens(lowest, normalised, tuple(row for part in kept for row in part.logp))
