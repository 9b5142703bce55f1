"""The recipes of examples/recipes: each is a whole audit of a network trained by the framework's own loop."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import leaq
from leaq.data import load
from leaq.embedders import embed
from leaq.embedders.tokens import PADDING, VOCABULARY
from leaq.types import AttackResult
from tests.helpers import require

RECIPES = Path(__file__).parents[4] / "examples" / "recipes"


@pytest.mark.parametrize(("name", "needs"), [
    ("scikit", ()),
    pytest.param("with_lightning", ("lightning",), marks=pytest.mark.slow),
    pytest.param("with_trainer", ("transformers", "accelerate"), marks=pytest.mark.slow),
])  # fmt: skip
def test_a_recipe_of_another_framework_is_audited(name, needs, capsys):
    for module in needs:
        require(module)
    recipe = f"{RECIPES / name}.py:train"
    result = leaq.audit("breast_cancer", recipe=recipe, quantizers="sign", replicates=8, draws=40)
    assert [row.label for row in result.rows] == ["full precision", "sign"]
    for row in result.rows:
        assert isinstance(row.attacks["combined"], AttackResult)
        assert row.metrics["roc_auc"].low > 0.9
        # What its scaler or batch statistics give away is more than what its outputs do.
        assert row.attacks["file"].advantage.low > 0.03
    assert capsys.readouterr().out == ""  # what a training prints is not mixed with results


def test_a_convolution_network_is_audited_from_its_file():
    model = f"{RECIPES / 'convolution.py'}:make"
    training = {"epochs": 2, "checkpoints": 2, "standardise": "none"}
    result = leaq.audit("digits", model=model, quantizers="sign", replicates=4, draws=20, training=training)
    assert result.rows[0].metrics["accuracy"].value > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("how", ["train", "train_low_rank"])
def test_a_smiles_transformer_is_fine_tuned_audited_and_quantized_by_others(how):
    for module in ("rdkit", "transformers", "torchao", "bitsandbytes"):
        require(module)
    pairs = [(f"{'C' * n}{tail}", int(tail in "ON")) for n in range(1, 16) for tail in ("O", "N", "Cl", "F")]
    smiles, polar = zip(*pairs, strict=True)
    quantizers = ("uniform(bits=4)", "torchao.int8_weight_only", "bitsandbytes.nf4")
    result = leaq.audit(
        (list(smiles), list(polar)), recipe=f"{RECIPES / 'smiles_transformer.py'}:{how}", quantizers=quantizers,
        embedder="smiles_tokens(length=20)", replicates=8, draws=40,
    )  # fmt: skip
    assert len(result.rows) == 4
    for row in result.rows:
        assert isinstance(row.attacks["combined"], AttackResult)
    assert result.rows[0].size.bytes > 2 * result.rows[1].size.bytes


def bert(records, seed):
    """Fine-tune Hugging Face's own class from random weights: a recipe."""
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=VOCABULARY, hidden_size=64, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=32, pad_token_id=PADDING, num_labels=2,
    )  # fmt: skip
    network = BertForSequenceClassification(shape)
    tokens, labels = torch.tensor(records.inputs).long(), torch.tensor(records.targets)
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(25):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(tokens).logits, labels).backward()
        optimizer.step()
    return network.eval()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("form", "held"), [("nf4", "NF4"), ("int8", "LLM.int8"), ("torchao", "torchao int8")])
def test_a_smiles_transformer_that_was_shipped_quantized_is_attacked_as_it_is(tmp_path, form, held):
    """Saved by transformers with bitsandbytes or torchao, released, and attacked with shadows of its recipe."""
    for module in ("rdkit", "transformers", "torchao", "bitsandbytes"):
        require(module)
    from torchao.quantization import Int8WeightOnlyConfig
    from transformers import AutoModelForSequenceClassification, BitsAndBytesConfig, TorchAoConfig

    smiles = [f"{'C' * n}{tail}" for n in range(1, 21) for tail in ("O", "N", "Cl")]
    frame = pd.DataFrame({"smiles": smiles, "y": np.random.default_rng(0).integers(0, 2, 60)})
    samples = embed(load(frame, smiles="smiles", target="y"), "smiles_tokens(length=24)")
    inside = np.arange(60) % 2 == 0
    bert(samples.take(inside), 0).save_pretrained(tmp_path / "full")
    settings = {
        "nf4": BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", llm_int8_skip_modules=["classifier"]),
        "int8": BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=["classifier"]),
        "torchao": TorchAoConfig(Int8WeightOnlyConfig(), modules_to_not_convert=["classifier"]),
    }[form]
    shipped = AutoModelForSequenceClassification.from_pretrained(
        tmp_path / "full", quantization_config=settings, device_map="cpu"
    )
    shipped.save_pretrained(tmp_path / "shipped")
    result = leaq.audit(
        frame, smiles="smiles", target="y", embedder="smiles_tokens(length=24)", recipe=bert, members=frame[inside],
        released=tmp_path / "shipped", replicates=8, draws=20, quantizers="sign", attacks=("combined",),
    )  # fmt: skip
    told = next(flag.text for flag in result.flags if flag.code == "already-quantized")
    assert held in told
    labels = [row.label for row in result.rows]
    assert labels[:2] == ["full precision", "sign"]
    if form != "torchao":  # rounding once more moves its codes, so that none of its quantizers is recognised
        assert labels[2].startswith("bitsandbytes")
        assert result.rows[2].size.bytes < result.rows[0].size.bytes / 2
    assert all(isinstance(row.attacks["combined"], AttackResult) for row in result.rows)
