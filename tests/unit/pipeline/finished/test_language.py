"""A language model small enough for a test: two-word chains it either memorised or never saw."""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.types import AttackResult, Estimate
from tests.helpers import require
from tests.unit.pipeline.finished.models import audit_finished

QUICK = {"quantizers": ("uniform(bits=4)",), "draws": 40, "neighbours": 6}


class Tiny(nn.Module):
    """Next token from the last two; takes and returns what transformers' models do."""

    def __init__(self, vocabulary=20, width=24):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.body = nn.Linear(2 * width, 64)
        self.head = nn.Linear(64, vocabulary)

    def forward(self, input_ids, attention_mask=None):
        here = self.embed(input_ids)
        before = torch.cat([torch.zeros_like(here[:, :1]), here[:, :-1]], dim=1)
        return {"logits": self.head(torch.relu(self.body(torch.cat([here, before], -1))))}


def tokenizer(text, truncation, max_length):
    return {"input_ids": [int(word) for word in text.split()][:max_length]}


def texts(rng, n=40):
    return [" ".join(map(str, rng.integers(20, size=rng.integers(6, 10)))) for _ in range(n)]


def fitted(lines):
    torch.manual_seed(0)
    model = Tiny()
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    rows = [torch.tensor(tokenizer(line, True, 99)["input_ids"])[None] for line in lines]
    for _ in range(12):
        for row in rows:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(row)["logits"][0, :-1], row[0, 1:]).backward()
            optimizer.step()
    return model


@pytest.fixture(scope="module")
def cast():
    rng = np.random.default_rng(0)
    inside, outside, elsewhere = texts(rng), texts(rng), texts(rng)
    return fitted(inside), fitted(elsewhere), inside, outside


@pytest.fixture(scope="module")
def result(cast):
    model, reference, inside, outside = cast
    return audit_finished(model, inside, outside, tokenizer=tokenizer, reference=reference, **QUICK)


def test_memorised_texts_are_found_by_every_attack(result):
    assert result.primary_attack == "reference"
    for name in ("threshold", "reference", "min-k", "min-k++", "wbc"):
        assert result.rows[0].attacks[name].advantage.low > 0.2, name
        assert isinstance(result.rows[1].attacks[name], AttackResult)


def test_the_loss_is_the_mean_token_loss_of_each_text(cast, result):
    model, _, _, outside = cast
    losses = []
    for line in outside:
        row = torch.tensor(tokenizer(line, True, 99)["input_ids"])[None]
        with torch.no_grad():
            losses.append(float(nn.functional.cross_entropy(model(row)["logits"][0, :-1], row[0, 1:])))
    assert result.rows[0].metrics["loss"].value == pytest.approx(np.mean(losses), rel=1e-5)
    assert result.rows[0].metrics["perplexity"].value == pytest.approx(np.exp(np.mean(losses)), rel=1e-5)


def test_short_and_long_texts_go_through_in_batches_of_their_own_width(cast, monkeypatch):
    model, reference, inside, outside = cast
    whole = audit_finished(model, inside, [*outside, "1 2 3 4 5 6 7 8 9 10 11 12"], tokenizer=tokenizer, **QUICK)
    monkeypatch.setattr("leaq.evaluation.texts.LOGITS", 20 * 9 * 50_000)  # a few texts at a time
    parts = audit_finished(
        model, inside, [*outside, "1 2 3 4 5 6 7 8 9 10 11 12"], tokenizer=tokenizer, reference=reference, **QUICK
    )
    for row, other in zip(whole.rows, parts.rows, strict=True):
        assert other.metrics["loss"].value == pytest.approx(row.metrics["loss"].value, rel=1e-5)
        for name in ("threshold", "min-k", "min-k++"):
            assert other.attacks[name].advantage.value == pytest.approx(row.attacks[name].advantage.value)
    assert isinstance(parts.rows[0].attacks["wbc"], AttackResult)


def test_quantizers_act_through_the_same_contract(result):
    assert result.rows[1].quantizer == "uniform(bits=4)"
    assert isinstance(result.rows[1].measures["r"], Estimate)
    assert result.data["task"] == "language"


def test_without_a_reference_the_ingredient_is_named(cast):
    model, _, inside, outside = cast
    result = audit_finished(model, inside, outside, tokenizer=tokenizer, **QUICK)
    assert result.primary_attack == "threshold"
    assert "has not seen the members" in result.not_computed["reference"]
    assert "has not seen the members" in result.not_computed["wbc"]


def test_texts_given_twice_and_other_inputs_are_refused(cast):
    model, _, inside, outside = cast
    with pytest.raises(InvalidInput, match="Of the nonmembers, 1 row"):
        audit_finished(model, inside, [*outside, inside[0]], tokenizer=tokenizer, **QUICK)
    with pytest.raises(InvalidInput, match="members: a language model needs a list of texts, .* Found ndarray"):
        audit_finished(model, np.zeros(3), outside, tokenizer=tokenizer, **QUICK)
    with pytest.raises(InvalidInput, match="nonmembers: .* Found list with a int at position 1"):
        audit_finished(model, inside, ["1 2 3", 4], tokenizer=tokenizer, **QUICK)


def test_what_is_cut_is_counted_and_records_are_told_by_their_whole_text(cast):
    model, _, inside, outside = cast
    prompt = "1 2 3 4 5 "
    longer = [prompt + text for text in inside], [prompt + text for text in outside]
    result = audit_finished(model, *longer, tokenizer=tokenizer, length=5, **QUICK)
    text = next(flag.text for flag in result.flags if flag.code == "cut-texts")
    behind = sum(len(line.split()) for line in [*inside, *outside])
    assert text.startswith(f"80 of 80 texts are longer than 5 tokens; {behind} of {behind + 400} tokens were not read")
    assert "40 non-members read exactly like a member" in text
    assert result.rows[0].attacks["threshold"].advantage.value == 0
    assert audit_finished(model, *longer, tokenizer=tokenizer, **QUICK).data["longest"] > 10


@pytest.mark.parametrize("form", [tuple, list, dict, "columns"])
def test_answers_alone_are_scored(cast, form):
    model, _, inside, outside = cast

    def told(texts):
        pairs = [("3 1", " " + text) for text in texts]
        if form == "columns":
            return Columns(prompt=[pair[0] for pair in pairs], completion=[pair[1] for pair in pairs])
        return [{"prompt": a, "completion": b} if form is dict else form((a, b)) for a, b in pairs]

    result = audit_finished(model, told(inside), told(outside), tokenizer=tokenizer, **QUICK)
    losses = []
    for line in outside:
        row = torch.tensor([3, 1, *map(int, line.split())])[None]
        with torch.no_grad():
            losses.append(float(nn.functional.cross_entropy(model(row)["logits"][0, 1:-1], row[0, 2:])))
    assert result.rows[0].metrics["loss"].value == pytest.approx(np.mean(losses), rel=1e-5)
    assert "80 of them behind a prompt" in next(flag.text for flag in result.flags if flag.code == "answers-scored")
    assert result.data["scored_tokens"] == sum(len(line.split()) for line in [*inside, *outside])


class Columns:
    """What a Hugging Face data set looks like from outside."""

    def __init__(self, **columns):
        self.columns = columns
        self.column_names = list(columns)

    def __getitem__(self, rows):
        return {name: values[rows] for name, values in self.columns.items()}


def test_a_fine_tuned_transformer_is_told_from_its_base():
    """A real architecture, trained in a second: what it learnt by heart stands out against its base, also in 4 bits."""
    require("transformers")
    import transformers

    torch.manual_seed(0)
    base = transformers.LlamaForCausalLM(
        transformers.LlamaConfig(
            vocab_size=32, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
            num_key_value_heads=2, max_position_embeddings=24, bos_token_id=1, eos_token_id=2,
        )
    )  # fmt: skip
    rng = np.random.default_rng(1)
    lines = [" ".join(map(str, rng.integers(3, 32, size=20))) for _ in range(60)]
    model = copy.deepcopy(base).train()
    rows = torch.tensor([[int(word) for word in line.split()] for line in lines[:30]])
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    for _ in range(40):
        optimizer.zero_grad()
        model(input_ids=rows, labels=rows).loss.backward()
        optimizer.step()
    result = audit_finished(
        model.eval(), lines[:30], lines[30:], tokenizer=tokenizer, reference=base.eval(), **{**QUICK, "neighbours": 2}
    )
    assert result.data["length"] == 24
    for row in result.rows:
        for name in ("threshold", "reference", "wbc", "min-k", "min-k++"):
            assert row.attacks[name].advantage.value > 0.5, (row.label, name)


def test_texts_may_stand_in_arrays_and_frames():
    import pandas as pd

    from leaq.data.texts import texts_of

    lines = ["a b", "c d"]
    for data in (lines, np.array(lines), pd.Series(lines), pd.DataFrame({"text": lines})):
        assert texts_of(data, None, "members") == lines
    assert texts_of(pd.DataFrame({"prompt": ["a"], "completion": ["b"]}), None, "members") == [("a", "b")]


def test_only_line_feeds_end_a_text(tmp_path):
    from leaq.data.texts import read_texts

    (tmp_path / "t.txt").write_bytes("one\u2028still one\r\ntwo\x0bstill two\n".encode())
    assert read_texts(tmp_path / "t.txt") == ["one\u2028still one", "two\x0bstill two"]


class Both(Tiny):
    """One that reads the next token too."""

    def forward(self, input_ids, attention_mask=None):
        return super().forward(torch.cat([input_ids[:, 1:], input_ids[:, :1]], 1))


def test_models_that_are_not_causal_and_references_of_other_tokens_are_told(cast):
    model, _, inside, outside = cast
    with pytest.raises(UnsupportedModel, match="must tell each token from those before it"):
        audit_finished(Both(), inside, outside, tokenizer=tokenizer, **QUICK)
    smaller = Tiny(vocabulary=19)
    smaller.config = SimpleNamespace(vocab_size=19)
    with pytest.raises(InvalidInput, match="The reference must know every token. Found token 19, of 19"):
        audit_finished(model, inside, outside, tokenizer=tokenizer, reference=smaller, **QUICK)
    lost = Tiny()
    lost.config = SimpleNamespace(vocab_size=20)
    with torch.no_grad():
        lost.head.bias[0] = 20.0
    row = audit_finished(model, inside, outside, tokenizer=tokenizer, reference=lost, **QUICK).rows[0]
    assert "poor-reference" in {flag.code for flag in row.attacks["reference"].flags}
