import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput, StoreError, UnsupportedModel
from leaq.models.causal import IGNORED, TokenLoss, doubts_of, load_causal, refuse_lookahead, tokens_of
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
    np.testing.assert_allclose(loss.take().lowest, lowest, rtol=1e-12)
    assert len(loss.take().lowest) == 0


def test_surprise_is_measured_by_what_each_position_expects(monkeypatch):
    """Min-K%++ one position after the other; slices of positions change nothing."""
    monkeypatch.setattr("leaq.models.causal.SLICE", 4 * 7 * 3)
    torch.manual_seed(0)
    outputs, targets = torch.randn(4, 13, 7) * 3, torch.randint(7, (4, 13))
    targets[1, 5:] = IGNORED
    loss = TokenLoss()
    loss(outputs, targets)
    found = loss.take()
    for row in range(4):
        surprise = []
        for t in range(1, 13):
            if targets[row, t] != IGNORED:
                logp = torch.log_softmax(outputs[row, t - 1].double(), 0)
                mean = float((logp.exp() * logp).sum())
                spread = float((logp.exp() * (logp - mean) ** 2).sum()) ** 0.5
                surprise.append((float(logp[targets[row, t]]) - mean) / spread)
        assert found.normalised[row] == pytest.approx(np.mean(sorted(surprise)[: int(np.ceil(0.2 * len(surprise)))]))
        assert len(found.logp[row]) == len(surprise)


def test_no_more_texts_are_kept_than_asked_for():
    loss = TokenLoss(keep=5)
    for i in range(6):
        loss(torch.zeros(3, 4, 2), torch.full((3, 4), i % 2))
    assert 5 <= len(loss.take().logp) <= 7


def words(text, truncation, max_length):
    return {"input_ids": [len(word) for word in text.split()][:max_length]}


def test_texts_are_cut_and_known_by_the_whole():
    short, long = tokens_of(["a bb", "a bb ccc dddd"], words, length=3, name="texts")
    assert (short.ids.tolist(), short.cut) == ([1, 2], 0)
    assert (long.ids.tolist(), long.cut, long.whole.tolist()) == ([1, 2, 3], 1, [1, 2, 3, 4])
    words.truncation_side = "left"
    try:
        assert tokens_of(["a bb ccc dddd"], words, length=3, name="texts")[0].ids.tolist() == [2, 3, 4]
    finally:
        del words.truncation_side


def test_answers_are_scored_and_prompts_lose_their_beginning():
    whole, cut, tight = (
        tokens_of([("a bb ccc", " dddd eeeee")], words, length=length, name="texts")[0] for length in (9, 4, 2)
    )
    assert (whole.ids.tolist(), whole.start) == ([1, 2, 3, 4, 5], 3)
    assert (cut.ids.tolist(), cut.start) == ([2, 3, 4, 5], 2)
    assert (tight.ids.tolist(), tight.start) == ([3, 4], 1)


def test_an_answer_that_changes_the_last_token_begins_there():
    text = tokens_of([("a bb c", "cc dddd")], words, length=9, name="texts")[0]
    assert (text.ids.tolist(), text.start) == ([1, 2, 3, 4], 2)


def test_texts_without_a_next_token_are_refused():
    with pytest.raises(InvalidInput, match=r"at least two tokens, .* Text 1 \(counted from 0\) and 1 more have"):
        tokens_of(["a bb", "a", ""], words, length=3, name="texts")
    with pytest.raises(InvalidInput, match=r"every answer one. Text 0 \(counted from 0\) has fewer"):
        tokens_of([("a bb", "")], words, length=3, name="texts")


def test_pickled_and_absent_language_models_are_refused(tmp_path, monkeypatch):
    require("transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(StoreError, match="must hold the model's weights as safetensors. Found none. Pickled"):
        load_causal(tmp_path)


def test_a_folder_without_all_weights_is_refused_and_not_filled_with_random_ones(tmp_path):
    require("transformers")
    import tokenizers
    import transformers
    from safetensors.torch import load_file, save_file

    shape = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(vocab_size=20, **shape)).save_pretrained(tmp_path)
    plain = tokenizers.Tokenizer(tokenizers.models.WordLevel({"a": 0, "b": 1}, unk_token="a"))
    transformers.PreTrainedTokenizerFast(tokenizer_object=plain).save_pretrained(tmp_path)
    assert load_causal(tmp_path)[0].config.vocab_size == 20
    weights = load_file(tmp_path / "model.safetensors")
    name = "model.layers.0.self_attn.q_proj.weight"
    save_file({key: t for key, t in weights.items() if key != name}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(StoreError, match=f"must hold every weight of the model. Missing: {name}"):
        load_causal(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(StoreError, match="must be a folder with a causal language model"):
        load_causal(tmp_path)


def test_what_is_no_tokenizer_is_named():
    with pytest.raises(InvalidInput, match="tokenizer must turn a text into tokens .* int raised TypeError"):
        tokens_of(["a bb"], 5, length=3, name="texts")


def marked(text, **_):
    """A tokenizer that puts 0 before every text and knows the words 2 to 9."""
    return {"input_ids": [0, *(int(word) if word in "0123456789" else 1 for word in text.split())]}


marked.bos_token_id, marked.bos_token, marked.unk_token_id = 0, "<s>", 1


def test_marks_that_stand_twice_and_unknown_words_are_doubted():
    def doubts(*texts):
        return {flag.code: flag.text for flag in doubts_of(tokens_of(texts, marked, length=99, name="m"), marked)}

    assert doubts("2 3 4", "5 6") == {}
    assert "1 of 2 texts begin twice ('<s>')" in doubts("0 2 3", "5 6")["two-beginnings"]
    assert "2 of 8 tokens are words" in doubts("a b 2", "3 4 5")["unknown-tokens"]


def test_outputs_that_know_later_tokens_are_refused():
    batch = {"input_ids": torch.tensor([[1, 2, 3, 0]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    table = torch.randn(5, 7)
    refuse_lookahead(lambda one: table[one["input_ids"]].cumsum(1), batch)
    with pytest.raises(UnsupportedModel, match=r"must tell each token from those before it.*\(BERT\)"):
        refuse_lookahead(lambda one: table[one["input_ids"]].flip(1).cumsum(1).flip(1), batch)
    alike = {**batch, "input_ids": torch.tensor([[1, 1, 1, 0]])}
    refuse_lookahead(lambda one: table[one["input_ids"]].flip(1), alike)  # nothing to exchange
