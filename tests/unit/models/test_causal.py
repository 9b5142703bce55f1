import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput, StoreError
from leaq.models.causal import IGNORED, TokenLoss, load_causal, tokens_of
from tests.helpers import require


def by_hand(outputs, targets):
    """Mean token loss and mean of the least likely fifth, one text and one token after the other."""
    losses, lowest = [], []
    for logits, text in zip(outputs.double(), targets, strict=True):
        logp = [float(torch.log_softmax(logits[t - 1], 0)[text[t]]) for t in range(1, len(text)) if text[t] != IGNORED]
        losses.append(-np.mean(logp))
        lowest.append(np.mean(sorted(logp)[: max(1, int(np.ceil(0.2 * len(logp))))]))
    return np.array(losses), np.array(lowest)


def test_token_losses_agree_with_one_token_after_the_other():
    torch.manual_seed(0)
    outputs, targets = torch.randn(4, 13, 7), torch.randint(7, (4, 13))
    targets[1, 5:] = IGNORED
    targets[2, 2:] = IGNORED
    loss = TokenLoss()
    losses, lowest = by_hand(outputs, targets)
    np.testing.assert_allclose(loss(outputs, targets).numpy(), losses, rtol=1e-12)
    np.testing.assert_allclose(loss.take(), lowest, rtol=1e-12)
    assert len(loss.take()) == 0


def words(text, truncation, max_length):
    return {"input_ids": [len(word) for word in text.split()][:max_length]}


def test_texts_are_padded_and_cut():
    ids, mask = tokens_of(["a bb", "a bb ccc dddd"], words, length=3, name="texts")
    assert ids.tolist() == [[1, 2, 0], [1, 2, 3]]
    assert mask.tolist() == [[1, 1, 0], [1, 1, 1]]


def test_texts_without_a_next_token_are_refused():
    with pytest.raises(InvalidInput, match=r"at least two tokens. Text 1 \(counted from 0\) and 1 more"):
        tokens_of(["a bb", "a", ""], words, length=3, name="texts")


def test_pickled_and_absent_language_models_are_refused(tmp_path, monkeypatch):
    require("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(StoreError, match="must hold the model's weights as safetensors. Found none. Pickled"):
        load_causal(tmp_path)
