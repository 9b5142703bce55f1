"""A language model small enough for a test: two-word chains it either memorised or never saw."""

import numpy as np
import pytest
import torch
from torch import nn

from leaq.auditing import audit_finished
from leaq.errors import InvalidInput
from leaq.types import AttackResult, Estimate

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
    for name in ("threshold", "reference", "min-k"):
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


def test_quantizers_act_through_the_same_contract(result):
    assert result.rows[1].quantizer == "uniform(bits=4)"
    assert isinstance(result.rows[1].measures["r"], Estimate)
    assert result.data["task"] == "language"


def test_without_a_reference_the_ingredient_is_named(cast):
    model, _, inside, outside = cast
    result = audit_finished(model, inside, outside, tokenizer=tokenizer, **QUICK)
    assert result.primary_attack == "threshold"
    assert "has not seen the members" in result.not_computed["reference"]


def test_texts_given_twice_and_other_inputs_are_refused(cast):
    model, _, inside, outside = cast
    with pytest.raises(InvalidInput, match="Of the nonmembers, 1 row"):
        audit_finished(model, inside, [*outside, inside[0]], tokenizer=tokenizer, **QUICK)
    with pytest.raises(InvalidInput, match="members: a language model needs a list of texts. Found ndarray"):
        audit_finished(model, np.zeros(3), outside, tokenizer=tokenizer, **QUICK)
