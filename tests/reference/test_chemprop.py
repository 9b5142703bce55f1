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


def loaders(targets, *, batch=32):
    """Two halves of some molecules as chemprop's own loaders; targets (n, t)."""
    from chemprop import data

    points = [data.MoleculeDatapoint.from_smi(text, y) for text, y in zip(CHAINS, targets, strict=True)]
    return [
        data.build_dataloader(data.MoleculeDataset(points[at::2]), batch_size=batch, shuffle=False) for at in (0, 1)
    ]


CHAINS = [f"{'C' * n}{tail}" for n in range(1, 17) for tail in ("O", "N", "Cl", "C(=O)O")]
LENGTHS = np.array([[float(len(text))] for text in CHAINS])


@pytest.mark.filterwarnings("default")
def test_modules_batches_and_loaders_are_records_and_its_trainer_is_recorded():
    from chemprop import models, nn
    from lightning import pytorch as pl

    import leaq
    from leaq.training.recording.callbacks import lightning_callback

    require("rdkit")
    pl.seed_everything(0, verbose=False)
    net = models.MPNN(nn.BondMessagePassing(d_h=8), nn.NormAggregation(), nn.RegressionFFN(input_dim=8, hidden_dim=8))
    seen, unseen = loaders(LENGTHS)
    callback = lightning_callback(every=1)
    trainer = pl.Trainer(
        max_epochs=3, logger=False, enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        accelerator="cpu", callbacks=[callback],
    )  # fmt: skip
    trainer.fit(net, seen)
    assert callback.recorder.checkpoints.batch == (1, 3)
    before = {name: weight.clone() for name, weight in net.state_dict().items()}
    options = {"quantizers": ["sign"], "draws": 20, "checkpoints": callback.recorder.checkpoints}
    result = leaq.audit(net, members=seen, nonmembers=unseen, **options)
    assert [row.label for row in result.rows] == ["full precision", "sign"]
    with torch.no_grad():
        outputs = torch.cat([net.eval()(batch.bmg, batch.V_d, batch.X_d) for batch in unseen]).numpy()
    y = LENGTHS[1::2]
    expected = 1 - ((outputs - y) ** 2).mean() / y.var()
    assert result.rows[0].metrics["r2"].value == pytest.approx(expected, abs=1e-4)
    assert all(torch.equal(before[name], weight) for name, weight in net.state_dict().items())


@pytest.mark.filterwarnings("default")
def test_lightnings_checkpoint_is_read_like_chemprops_own_file(tmp_path):
    from chemprop import models, nn
    from chemprop.models import save_model
    from lightning import pytorch as pl

    require("rdkit")
    net = models.MPNN(nn.BondMessagePassing(d_h=8), nn.NormAggregation(), nn.RegressionFFN(input_dim=8, hidden_dim=8))
    seen, _ = loaders(LENGTHS)
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, "accelerator": "cpu"}
    trainer = pl.Trainer(max_epochs=1, enable_checkpointing=False, **quiet)
    trainer.fit(net, seen)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    save_model(tmp_path / "best.pt", net, ["y"])
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode(CHAINS).features)
    found = [read_chemprop(tmp_path / name)(rows) for name in ("last.ckpt", "best.pt")]
    torch.testing.assert_close(*found)
    with torch.no_grad():
        expected = torch.cat([net.eval()(batch.bmg, batch.V_d, batch.X_d) for batch in seen])
    torch.testing.assert_close(found[0][::2].detach(), expected, rtol=1e-4, atol=1e-5)
