"""leaq's directed message-passing network beside chemprop itself: the same features, weights, outputs and gradients."""

import numpy as np
import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.models.nets import NETS
from leaq.models.nets.chemprop import read_chemprop
from leaq.models.nets.networks import Unscale
from tests.helpers import require

chemprop = pytest.importorskip("chemprop", reason="chemprop is not installed (the extra chemprop)")
SMILES = [
    "CCO", "C", "c1ccccc1Cl", "CC(=O)[O-].[Na+]", "F/C=C/F", "F/C=C\\F", "C[C@H](N)C(=O)O", "C[C@@H](N)C(=O)O",
    "O=S(=O)(C)C", "C1CC1", "C[N+](C)(C)C", "[U]", "CC[Se]C", "C->[Cu]", "FS(F)(F)(F)(F)F", "C#N", "[2H]C", "[CH3]",
    "c1ccc2c(c1)[nH]c1ccccc12", "O=C1c2ccccc2C(=O)N1C1CCC(=O)NC1=O", "B(O)(O)c1ccccc1", "[I-].[K+]",
]  # fmt: skip


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("task", ["classification", "regression"])
def test_outputs_and_gradients_equal_chemprops(task):
    from chemprop import data, models, nn

    require("rdkit")
    torch.manual_seed(0)
    ends = {
        "classification": nn.BinaryClassificationFFN,
        "regression": lambda: nn.RegressionFFN(output_transform=nn.UnscaleTransform([3.0], [2.0])),
    }
    theirs = models.MPNN(nn.BondMessagePassing(), nn.NormAggregation(), ends[task]()).double().eval()
    ours = NETS.build("dmpnn")(1)
    if task == "regression":
        ours.predictor.output_transform = Unscale(1)
    ours, state = ours.double().eval(), theirs.state_dict()
    ours.load_state_dict({name: state[name] for name in ours.state_dict()})
    graphs = [chemprop.featurizers.SimpleMoleculeMolGraphFeaturizer()(point.mol) for point in map(
        data.MoleculeDatapoint.from_smi, SMILES
    )]  # fmt: skip
    batch = data.BatchMolGraph(graphs)
    batch.V, batch.E = batch.V.double(), batch.E.double()
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode(SMILES).features, dtype=torch.float64)
    expected = theirs.predictor.ffn(theirs.fingerprint(batch)).flatten()
    expected = expected * 2 + 3 if task == "regression" else expected
    found = ours(rows).flatten()
    np.testing.assert_allclose(found.detach(), expected.detach(), rtol=1e-6, atol=1e-8)  # masses are float32
    found.square().sum().backward()
    expected.square().sum().backward()
    for name, weight in ours.named_parameters():
        np.testing.assert_allclose(weight.grad, theirs.get_parameter(name).grad, rtol=1e-4, atol=1e-7)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("kind", ["regression", "binary", "classes"])
def test_saved_networks_are_read_as_chemprop_reads_them(tmp_path, kind):
    from chemprop import data, models, nn
    from chemprop.models import load_model, save_model

    require("rdkit")
    torch.manual_seed(0)
    ends = {
        "regression": lambda: nn.RegressionFFN(output_transform=nn.UnscaleTransform([3.0], [2.0])),
        "binary": lambda: nn.BinaryClassificationFFN(n_layers=2, hidden_dim=32),
        "classes": lambda: nn.MulticlassClassificationFFN(3),
    }
    net = models.MPNN(nn.BondMessagePassing(depth=4), nn.MeanAggregation(), ends[kind](), batch_norm=True).eval()
    save_model(tmp_path / "best.pt", net, ["y"])
    featurize = chemprop.featurizers.SimpleMoleculeMolGraphFeaturizer()
    batch = data.BatchMolGraph([featurize(data.MoleculeDatapoint.from_smi(text).mol) for text in SMILES])
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode(SMILES).features)
    with torch.no_grad():
        expected = load_model(tmp_path / "best.pt").eval()(batch)
        found = read_chemprop(tmp_path / "best.pt")(rows)
    found = {"regression": found, "binary": torch.sigmoid(found), "classes": torch.softmax(found, -1)}[kind]
    np.testing.assert_allclose(found.flatten(), expected.flatten(), rtol=1e-4, atol=1e-6)
