"""The recipes of examples/recipes: each is a whole audit of a network trained by the framework's own loop."""

from pathlib import Path

import pytest

import leaq
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
