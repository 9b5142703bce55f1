"""A Llama that is fine-tuned on texts and released as GGUF, GPTQ or NF4: shadow models go the way of the file."""

import copy
import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

import leaq
from leaq.quantizers import build
from leaq.types import AttackResult
from tests.helpers import require
from tests.unit.models.formats import producers

pytestmark = pytest.mark.filterwarnings("ignore")
N, WORDS = 48, 60


def texts_of(seed, n):
    rng = np.random.default_rng(seed)
    return [" ".join(f"w{i}" for i in rng.integers(3, WORDS, size=12)) for _ in range(n)]


def tuned(model, ids, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.005)
    for _ in range(steps):
        optimizer.zero_grad()
        model(ids, labels=ids).loss.backward()
        optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def tokenizer():
    require("transformers")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    table = Tokenizer(models.WordLevel({"?": 0, **{f"w{i}": i for i in range(1, 64)}}, unk_token="?"))
    table.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=table, unk_token="?")


@pytest.fixture(scope="module")
def recipe(tokenizer):
    """Fine-tunes a base that learnt other texts; the same call again gives what it gave before."""

    def read(texts):
        return torch.tensor([tokenizer(text)["input_ids"] for text in texts])

    torch.manual_seed(0)
    base, made = tuned(producers.llama(), read(texts_of(1, 64)), 30), {}

    def finetune(records, seed):
        key = (*records.inputs, seed)
        if key not in made:
            made[key] = tuned(copy.deepcopy(base), read(records.inputs), 40)
        return made[key], tokenizer

    return finetune


@pytest.fixture(scope="module")
def case(recipe):
    """Texts, which of them trained the released model, and the model."""
    texts, inside = texts_of(3, N), np.random.default_rng(2).permutation(np.arange(N) % 2 == 0)
    return texts, inside, recipe(SimpleNamespace(inputs=tuple(itertools.compress(texts, inside))), 7)[0]


def gguf(folder, model):
    producers.gguf_file(folder / "m.gguf", model, "Q4_0", arch="llama")
    return folder / "m.gguf", "gguf(type=Q4_0)"


def gptq(folder, model):
    """Codes of 4 bits in words along the inputs, scales per 32 of them, as AutoRound rounds without records."""
    stored = producers.others(model, [name for name in producers.layers(model) if name != "lm_head"])
    for name, part in producers.layers(model).items():
        if name == "lm_head":
            continue
        blocks = part.weight.detach().reshape(len(part.weight), -1, 32)
        low, high = blocks.amin(-1), blocks.amax(-1)
        step = (torch.where(high < -low, -low, -high) / 8).half()
        codes = (blocks / step.unsqueeze(-1)).round().clamp(-8, 7).long().add(8).flatten(1).T  # (in, out)
        words = sum(codes[k::8] << (4 * k) for k in range(8))
        stored[f"{name}.qweight"] = (words - (words >= 2**31) * 2**32).to(torch.int32)
        stored[f"{name}.scales"] = step.T.contiguous()
        stored[f"{name}.qzeros"] = torch.full((step.shape[1], len(step) // 8), 0x77777777, dtype=torch.int32)
    save_file({name: tensor.contiguous() for name, tensor in stored.items()}, folder / "model.safetensors")
    settings = {"quant_method": "gptq", "bits": 4, "group_size": 32, "sym": True}
    (folder / "config.json").write_text(json.dumps({"quantization_config": settings}))
    return folder, "auto_round(bits=4, group=32, last=full)"


def nf4(folder, model):
    producers.bitsandbytes(folder / "m.safetensors", model, "nf4")
    return folder / "m.safetensors", "bitsandbytes.nf4"


@pytest.mark.parametrize("write", [gguf, gptq, nf4])
def test_a_fine_tuned_llama_is_attacked_as_the_file_it_ships_as(tmp_path, recipe, case, write):
    texts, inside, released = case
    path, spec = write(tmp_path, released)
    result = leaq.audit(texts, recipe=recipe, released=path, members=inside, quantizers="sign", replicates=8, draws=20)
    row = next(row for row in result.rows if build(row.quantizer).model_copy(update={"others": ""}).spec() == spec)
    found = row.attacks["combined"]
    assert isinstance(found, AttackResult)
    assert found.advantage.low > 0.4
    assert any(flag.code == "already-quantized" and row.quantizer in flag.text for flag in result.flags)
    assert row.size.bits < result.rows[0].size.bits / 2
    # What the file holds is not rounded once more in its own row: the attacked losses are those of the file.
    assert row.metrics["loss"] == result.rows[0].metrics["loss"]
