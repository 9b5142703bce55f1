import json

import numpy as np
import pytest

from leaq.embedders import EMBEDDERS, embed
from leaq.embedders.cache import cache_key
from leaq.errors import InvalidInput
from leaq.types import Samples
from tests.helpers import ROUNDING32, require

VOCABULARY = ["<s>", "<pad>", "</s>", "<unk>", *"CNOc1=()#nos2[]+-H@"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny RoBERTa with a character tokenizer, built and saved here."""
    require("transformers")
    require("rdkit")
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast, RobertaConfig, RobertaModel

    path = tmp_path_factory.mktemp("tiny")
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        cls_token="<s>",
    ).save_pretrained(path)  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(0)
        config = RobertaConfig(
            vocab_size=len(VOCABULARY), hidden_size=16, num_hidden_layers=2, num_attention_heads=2,
            intermediate_size=32, max_position_embeddings=42, pad_token_id=1, bos_token_id=0, eos_token_id=2,
        )  # fmt: skip
        RobertaModel(config).save_pretrained(path)
    return path


def build(folder, **options):
    text = "".join(f", {key}={value!r}" for key, value in options.items())
    return EMBEDDERS.build(f"huggingface(model={str(folder)!r}{text})")


def test_a_local_folder_embeds(folder):
    found = build(folder).encode(["CCO", "c1ccncc1", "CC(=O)N"])
    assert found.features.shape == (3, 16)
    assert not found.failed
    assert np.ptp(found.features, axis=0).max() > 1e-3


def test_the_mean_is_over_the_molecule_and_not_over_the_padding(folder):
    """The slow twin: one molecule at a time, no padding, the mean written out."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    smiles = ["CCO", "C", "c1ccncc1CCCCCCC"]
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder).eval()
    with torch.no_grad():
        states = [network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0] for text in smiles]
    mean, first = ([pool(state).numpy() for state in states] for pool in (lambda s: s.mean(0), lambda s: s[0]))
    np.testing.assert_allclose(build(folder).encode(smiles).features, mean, rtol=1e-4, atol=1e-5)
    found = build(folder, pooling="cls", batch=2).encode(smiles).features
    np.testing.assert_allclose(found, first, rtol=1e-4, atol=1e-5)
    assert np.abs(np.array(mean) - np.array(first)).max() > 1e-2  # the two poolings are told apart


def test_the_batch_changes_nothing(folder):
    smiles = ["C" * (i % 7 + 1) + "O" for i in range(20)]
    np.testing.assert_allclose(
        build(folder, batch=1).encode(smiles).features, build(folder, batch=64).encode(smiles).features, **ROUNDING32
    )


def test_what_does_not_fit_is_named_and_not_cut(folder):
    found = build(folder).encode(["CCO", "C" * 39, "CCBr", "no molecule", "C" * 38])
    assert found.failed == {
        1: "it has more than the model's 40 tokens",
        2: "it has characters the model's tokenizer does not know",
        3: "RDKit cannot read it",
    }


def test_the_cache_sees_other_weights(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    key = cache_key(build(copy), ["CCO"])
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "layer_norm_eps": 1e-3}))
    assert cache_key(build(copy), ["CCO"]) != key


def test_a_folder_without_safetensors_is_refused(folder, tmp_path):
    import shutil

    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    with pytest.raises(InvalidInput, match=r"cannot be loaded .*model\.safetensors; pickled weights and code"):
        build(copy).encode(["CCO"])


def test_a_name_without_network_asks_for_a_folder(monkeypatch):
    require("transformers")
    require("rdkit")
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(InvalidInput, match=r"The encoder 'nobody/nothing' cannot be loaded .*Without a network name a"):
        EMBEDDERS.build("huggingface(model='nobody/nothing')").encode(["CCO"])


def test_unknown_pretraining_is_flagged(folder):
    smiles = np.array(["C" * (i + 1) + "O" for i in range(24)])
    samples = Samples(inputs=smiles, targets=np.arange(24) / 7, task="regression")
    assert embed(samples, build(folder)).flags[-1].code == "unknown-pretraining"


def test_a_model_must_be_named():
    with pytest.raises(InvalidInput, match="option 'model' is required"):
        EMBEDDERS.build("huggingface")
