"""A model that stays in its folder is the one that transformers reads from it."""

import json

import pytest
import torch

from leaq.errors import StoreError
from leaq.models.causal import load_causal
from leaq.models.causal_folder import empty_causal
from tests.helpers import require
from tests.unit.models.formats.producers import llama
from tests.unit.models.test_causal_gguf import assert_same_model

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers


def saved(folder, model, *, shards="8KB"):
    """Write a model with a tokenizer of words."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    model.save_pretrained(folder, max_shard_size=shards)
    words = Tokenizer(models.WordLevel({f"w{i}": i for i in range(64)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=words, unk_token="w0").save_pretrained(folder)
    return folder


def tied():
    """Its outputs are looked up in the table of its inputs, and its matrices are stored (in, out)."""
    require("transformers")
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(0)
    return GPT2LMHeadModel(GPT2Config(vocab_size=64, n_embd=16, n_layer=2, n_head=2, n_positions=32)).eval()


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("make", [llama, tied])
def test_weights_in_the_folder_are_those_that_transformers_reads(tmp_path, make, kind):
    folder = saved(tmp_path / "lm", make().to(getattr(torch, kind)))
    assert len(list(folder.glob("*.safetensors"))) > 1
    whole, _ = load_causal(folder)
    left, tokenizer = load_causal(folder, in_file=True)
    assert tokenizer("w3 w4")["input_ids"] == [3, 4]
    assert_same_model(left, whole)


def test_what_transformers_has_to_make_of_a_folder_is_left_to_it(tmp_path):
    folder = saved(tmp_path / "lm", llama())
    assert all(tensor.is_meta for tensor in empty_causal(folder).parameters())
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**settings, "quantization_config": {"quant_method": "gptq"}}))
    assert empty_causal(folder) is None
    (folder / "config.json").write_text(json.dumps(settings))
    index = json.loads((folder / "model.safetensors.index.json").read_text())
    (folder / index["weight_map"]["model.layers.1.mlp.down_proj.weight"]).unlink()
    assert empty_causal(folder) is None
    with pytest.raises(StoreError, match="must be a folder with a causal language model"):
        load_causal(folder, in_file=True)
    (folder / "config.json").unlink()
    assert empty_causal(folder) is None
    assert empty_causal(tmp_path) is None
    assert empty_causal(tmp_path / "none") is None
