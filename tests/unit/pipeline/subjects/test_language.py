"""Language models that a recipe trains on texts: the target and its shadows, and the same audit over them."""

import json

import numpy as np
import pytest
import torch

import leaq
from leaq.errors import InvalidInput
from leaq.types import AttackResult, NotComputed
from tests.helpers import require

N = 60
QUICK = {"quantizers": "sign", "replicates": 8, "draws": 20}


@pytest.fixture
def texts(rng):
    require("transformers")
    return [" ".join(map(str, rng.integers(20, size=10))) for _ in range(N)]


def small(seed):
    """A language model of one small layer over twenty words, and its tokenizer."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    about = {"vocab_size": 22, "n_positions": 16, "n_embd": 16, "n_layer": 1, "n_head": 2}
    model = GPT2LMHeadModel(GPT2Config(**about, bos_token_id=0, eos_token_id=0))
    table = Tokenizer(models.WordLevel({"?": 0, **{str(i): i + 1 for i in range(20)}}, unk_token="?"))
    table.pre_tokenizer = pre_tokenizers.Whitespace()
    return model, PreTrainedTokenizerFast(tokenizer_object=table, unk_token="?")


def trained(said, seed, steps=60):
    model, tokenizer = small(seed)
    ids = torch.tensor([tokenizer(text)["input_ids"] for text in said])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    return model.eval(), tokenizer


def recipe(records, seed):
    return trained(records.inputs, seed)


pytestmark = pytest.mark.filterwarnings("ignore")


def test_texts_and_a_recipe_give_the_whole_audit(texts):
    result = leaq.audit(texts, recipe=recipe, **QUICK)
    assert result.data["task"] == "language"
    assert result.primary_metric == "loss"
    full, sign = result.rows
    found = full.attacks["combined"]
    assert isinstance(found, AttackResult)
    assert found.advantage.low > 0.5  # it learnt its texts by heart, and the others' models did not
    assert "6 shadow models" in found.attacker
    assert sign.drops["loss"].n > 0
    assert isinstance(full.metrics["roc_auc"], NotComputed)


def test_a_model_that_saw_no_text_gives_nothing_away(texts):
    result = leaq.audit(texts, recipe=lambda _, seed: small(seed), **QUICK)
    found = result.rows[0].attacks["combined"].advantage
    assert found.low < 0.05
    assert abs(found.value) < 0.2


def test_a_released_language_model_is_the_target(texts, tmp_path):
    inside = np.random.default_rng(1).permutation(np.arange(N) % 2 == 0)
    model, _ = trained([text for text, there in zip(texts, inside, strict=True) if there], 3)
    model.save_pretrained(tmp_path / "lm")
    (tmp_path / "all.txt").write_text("\n".join(texts))
    (tmp_path / "in.jsonl").write_text(
        "\n".join(json.dumps({"text": text}) for text, there in zip(texts, inside, strict=True) if there)
    )
    options = {"recipe": recipe, **QUICK}
    by_file = leaq.audit(tmp_path / "all.txt", released=tmp_path / "lm", members=tmp_path / "in.jsonl", **options)
    in_memory = leaq.audit(texts, released=model, members=inside, **options)
    for result in (by_file, in_memory):
        assert result.data["game"] == "released"
        assert result.data["n_train"] == N // 2
        assert result.rows[0].attacks["combined"].advantage.low > 0.4
    assert by_file.rows[0].attacks["combined"].advantage == in_memory.rows[0].attacks["combined"].advantage
    torch.jit.script(torch.nn.Linear(2, 2)).save(tmp_path / "m.ts")
    with pytest.raises(InvalidInput, match="m.ts: a released language model must be weights .* Found a program"):
        leaq.audit(texts, released=tmp_path / "m.ts", members=inside, **{**options, "recipe": pytest.fail})


@pytest.mark.parametrize(("options", "said"), [
    ({}, "so its training must be named with recipe .* If this is a table, name its target"),
    ({"recipe": lambda *_: torch.nn.Linear(2, 2)}, "the trained causal language model and its tokenizer, a pair"),
    ({"recipe": recipe, "references": "forest"}, "Of texts, references has no meaning"),
    ({"recipe": recipe, "group": "a", "ignore": "b"}, "Of texts, group and ignore have no meaning"),
    ({"recipe": recipe, "quantizers": "gptq(bits=4)"}, r"quantizers has no meaning \(gptq\(bits=4\) looks at arrays"),
])  # fmt: skip
def test_what_texts_cannot_be_audited_with_is_refused(texts, options, said):
    with pytest.raises(InvalidInput, match=said):
        leaq.audit(texts, **{**QUICK, **options})
