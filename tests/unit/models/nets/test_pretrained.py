"""Pretrained networks fine-tuned end to end, here from files of random weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from leaq.data import load
from leaq.data.splits import halves
from leaq.embedders import EMBEDDERS, embed
from leaq.errors import InvalidInput
from leaq.models.nets import NETS
from leaq.models.nets.pretrained import GraphNetwork
from leaq.models.roles import roles_of
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.subjects import origin_digest
from leaq.training import StackedModule, TrainingConfig, train_modules
from tests.helpers import require
from tests.unit.models.nets.test_graphs import SMILES

KINDS = {
    "gcn_contextpred": "gcn",
    "graphsage_contextpred": "graphsage",
    "gat_contextpred": "gat",
    "molclr_gcn": "molclr",
}
QUICK = TrainingConfig(epochs=1, checkpoints=1)


def random_file(path, kind, *, seed=0):
    generator = torch.Generator().manual_seed(seed)
    state = GraphNetwork(kind).state_dict()
    tensors = {name: 0.1 * torch.randn(tensor.shape, generator=generator) for name, tensor in state.items()}
    save_file(
        {name: tensor.abs() + 0.5 if name.endswith("running_var") else tensor for name, tensor in tensors.items()}, path
    )
    return path


@pytest.fixture(scope="module")
def specs(tmp_path_factory):
    """Specifications by name, each with a file of random weights."""
    folder = tmp_path_factory.mktemp("weights")
    return {
        name: f"{name}(weights={str(random_file(folder / f'{name}.safetensors', kind))!r})"
        for name, kind in KINDS.items()
    }


@pytest.fixture
def rows():
    require("rdkit")
    return torch.tensor(EMBEDDERS.build("molgraph(vocabulary=words)").encode(SMILES).features, dtype=torch.float64)


@pytest.fixture
def molecules(tmp_path):
    require("rdkit")
    path = tmp_path / "alkanes.csv"
    rows = [f"{'C' * n}{tail},{n + 0.1 * len(tail)}" for n in range(1, 13) for tail in ("O", "N", "Cl")]
    path.write_text("smiles,y\n" + "\n".join(rows) + "\n")
    return path


@pytest.mark.parametrize("name", KINDS)
def test_a_record_does_not_depend_on_its_batch_and_depends_on_every_weight(specs, rows, name):
    net = NETS.build(specs[name])(outputs=2).double()
    outputs = net(rows)
    torch.testing.assert_close(net(rows.flip(0)).flip(0), outputs)
    torch.testing.assert_close(torch.cat([net(row.unsqueeze(0)) for row in rows]), outputs)
    torch.testing.assert_close(net.train()(rows), outputs)  # nothing in it is of a batch
    outputs.square().sum().backward()
    assert [name for name, weight in net.named_parameters() if not weight.grad.abs().any()] == []


@pytest.mark.parametrize("name", KINDS)
def test_stacked_gradients_are_those_of_each_model_alone(specs, rows, name):
    make = NETS.build(specs[name])
    model = StackedModule(lambda: make(2).double(), "classification", rows[:2])
    assert model.note is None
    params = model.init(0, [0, 1], dtype=torch.float64)
    batches, targets = torch.stack([rows[:4], rows[4:]]), torch.tensor([[0, 1, 0, 1], [1, 1, 0, 0]])
    weights = torch.full((2, 4), 0.25, dtype=torch.float64)
    together = model.gradient(params, batches, targets, weights)
    for i in range(2):
        one = make(2).double()
        one.load_state_dict({name: tensor[i] for name, tensor in params.items()})
        torch.nn.functional.cross_entropy(one(batches[i]), targets[i]).backward()
        for parameter, weight in one.named_parameters():
            torch.testing.assert_close(together[parameter][i], weight.grad, msg=parameter)


def test_models_start_from_the_same_weights_but_for_the_last_layer(specs, rows):
    model = StackedModule(lambda: NETS.build(specs["gcn_contextpred"])(2), "classification", rows[:2].float())
    params = model.init(0, [0, 1])
    own = {name for name, tensor in params.items() if not torch.equal(tensor[0], tensor[1])}
    assert own == {"graph_pred_linear.weight", "graph_pred_linear.bias"}


def test_a_molecule_far_from_all_others_is_limited(specs):
    require("rdkit")
    rows = torch.tensor(EMBEDDERS.build("molgraph(vocabulary=words)").encode(["N", "CCO"]).features)
    net = NETS.build(specs["gcn_contextpred"])(1)
    seen = []
    for norm in net.gnn.batch_norms:
        norm.running_var.fill_(1e-6)  # everything is far out
        norm.register_forward_hook(lambda norm, _, h: seen.append(((h - norm.bias) / norm.weight).abs().max()))
    net(rows)
    assert max(seen) <= 10.001
    assert len(seen) == 5


def test_quantizers_touch_every_matrix(specs):
    roles = roles_of(NETS.build(specs["molclr_gcn"])(outputs=1))
    matrices = {name for name, role in roles.items() if role in ("linear", "embedding")}
    assert all(("embedding" in name or "lin" in name) for name in matrices)
    assert {name for name in roles if name.endswith(("linear.weight", "lin.weight"))} <= matrices
    assert {role for name, role in roles.items() if "running" in name} == {"norm"}


def test_training_moves_the_pretrained_weights_and_keeps_their_statistics(specs, molecules):
    net = NETS.build(specs["gcn_contextpred"])
    samples = embed(load(str(molecules), smiles="smiles", target="y"), net.embedder)
    model, checkpoints = train_modules(lambda: net(1), samples, halves(samples, 2, seed=0), QUICK, seed=0)
    start, end = net(1).state_dict(), checkpoints.last().params
    moved = {name for name in start if not torch.equal(end[name][0].float(), start[name])}
    assert model.note is None
    assert "gnn.x_embedding1.weight" in moved
    assert "gnn.gnns.0.linear.weight" in moved
    assert not any("running" in name for name in moved)


def test_it_is_audited_by_name_and_says_whose_weights_they_are(specs, molecules, monkeypatch, tmp_path):
    spec = specs["gcn_contextpred"]
    config = AuditConfig(
        source=str(molecules), smiles="smiles", target="y", model=spec, quantizers=("sign",), replicates=2,
        attacks=("threshold",), training=QUICK, draws=10,
    )  # fmt: skip
    result = audit(config)
    assert result.config["embedder"] == "molgraph(vocabulary=words)"
    assert [row.label for row in result.rows] == ["full precision", "sign"]
    assert "unverified-weights" in [flag.code for flag in result.flags]
    other = f"gcn_contextpred(weights={str(random_file(tmp_path / 'b.safetensors', 'gcn', seed=1))!r})"
    assert origin_digest(config) != origin_digest(config.but(model=other))


def test_what_was_pretrained_with_labels_is_flagged():
    assert [flag.code for flag in NETS.build("graphsage_supervised_contextpred").flags()] == ["pretrained-on-labels"]
    assert NETS.build("gcn_contextpred").flags() == ()


def test_rows_of_another_vocabulary_are_refused(specs):
    require("rdkit")
    rows = torch.tensor(EMBEDDERS.build("molgraph").encode(SMILES).features)
    words = torch.tensor(EMBEDDERS.build("molgraph(vocabulary=words)").encode(SMILES).features)
    with pytest.raises(InvalidInput, match="in the network's own vocabulary"):
        NETS.build("dmpnn(hidden=4)")(1)(words)
    with pytest.raises(InvalidInput, match="in the network's own vocabulary"):
        NETS.build(specs["gcn_contextpred"])(1)(rows)
    assert np.isfinite(NETS.build(specs["gcn_contextpred"])(1)(words).detach().numpy()).all()


def test_weights_that_are_nowhere_are_named(monkeypatch, tmp_path):
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path))
    with pytest.raises(InvalidInput, match="There is no weights file 'nowhere.safetensors'"):
        NETS.build("gcn_contextpred(weights='nowhere.safetensors')")(1)
