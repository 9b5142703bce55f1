"""Files as chemprop writes them, made here without it: read without running anything, and refused where they differ."""

import argparse
import os
import sys
import tempfile
from types import ModuleType

import pytest
import torch

from leaq.embedders import EMBEDDERS
from leaq.errors import InvalidInput, StoreError
from leaq.models.nets import NETS
from leaq.models.nets.chemprop import chemprop_files, is_chemprop, read_chemprop, said_by
from leaq.models.nets.networks import Unscale
from tests.helpers import require

CLASSES = {
    "chemprop.nn.message_passing.base": ("BondMessagePassing", "AtomMessagePassing"),
    "chemprop.nn.agg": ("MeanAggregation", "NormAggregation"),
    "chemprop.nn.predictors": ("RegressionFFN", "BinaryClassificationFFN", "MulticlassClassificationFFN", "MveFFN"),
    "chemprop.nn.transforms": ("GraphTransform",),
    "elsewhere": ("Trap",),
}


@pytest.fixture
def named(monkeypatch):
    """Classes under chemprop's names, as pickle looks them up when it writes."""
    found = {}
    for package in ("chemprop", "chemprop.nn", "chemprop.nn.message_passing"):
        monkeypatch.setitem(sys.modules, package, ModuleType(package))
    for place, classes in CLASSES.items():
        module = ModuleType(place)
        for name in classes:
            kind = type(name, (), {"__module__": place})
            setattr(module, name, kind)
            found[name] = kind
        monkeypatch.setitem(sys.modules, place, module)
    return found


@pytest.fixture
def rows():
    require("rdkit")
    return torch.tensor(EMBEDDERS.build("molgraph").encode(["CCO", "c1ccccc1Cl", "CC(=O)O"]).features)


def written(path, named, *, end="RegressionFFN", hidden=6, tasks=1, change=(), seed=0, columns=("y",), **more):
    """Write a file as chemprop's save_model does; return the network whose weights are in it."""
    torch.manual_seed(seed)
    net = NETS.build(f"dmpnn(hidden={hidden})")(more.get("n_classes") or tasks)
    if end == "RegressionFFN":
        net.predictor.output_transform = Unscale(tasks)
        net.predictor.output_transform.mean.fill_(5.0)
        net.predictor.output_transform.scale.fill_(2.0)
    transform = named["GraphTransform"]()
    transform._modules = {"V_transform": torch.nn.Identity(), "E_transform": torch.nn.Identity()}
    messages = {
        "d_v": 72, "d_e": 14, "d_h": hidden, "depth": 3, "bias": False, "undirected": False, "d_vd": 0,
        "activation": torch.nn.ReLU(), "graph_transform": transform, "cls": named["BondMessagePassing"],
    }  # fmt: skip
    predictor = {
        "n_tasks": tasks, "input_dim": hidden, "hidden_dim": [hidden], "n_layers": 1, "activation": "relu",
        "cls": named[end], **more,
    }  # fmt: skip
    options = {"message_passing": messages, "agg": {"cls": named["NormAggregation"], "norm": 100}, "batch_norm": False}
    options["predictor"] = predictor
    for part, key, value in change:
        options[part][key] = value
    state = {
        **net.state_dict(),
        "metrics.0.task_weights": torch.ones(1),
        "predictor.criterion.task_weights": torch.ones(1),
    }
    torch.save({"hyper_parameters": options, "state_dict": state, "output_columns": [*columns]}, path)
    return net.eval()


@pytest.mark.parametrize(
    "options",
    [
        {"end": "RegressionFFN"},
        {"end": "RegressionFFN", "tasks": 2},
        {"end": "BinaryClassificationFFN", "tasks": 2},
        {"end": "MulticlassClassificationFFN", "n_classes": 3},
    ],
)
def test_a_file_becomes_the_network_in_it(tmp_path, named, rows, options):
    path = tmp_path / "best.pt"
    net = written(path, named, **options)
    read = read_chemprop(path)
    assert is_chemprop(path)
    torch.testing.assert_close(read(rows), net(rows), rtol=0, atol=0)
    assert not read.training
    assert read.targets == (("y",) if options.get("tasks", 1) == 1 else ())  # as many names as targets, or none


def test_what_trains_networks_like_those_of_a_file_is_said(tmp_path, named):
    for name, hidden in (("a", 6), ("b", 6), ("c", 4)):
        written(tmp_path / f"{name}.pt", named, hidden=hidden, seed=len(name), tasks=2, columns=("logS", "tox"))
    one, both = read_chemprop(tmp_path / "a.pt"), read_chemprop(tmp_path / "a.pt", tmp_path / "b.pt")
    assert said_by(one) == "chemprop(hidden=6, depth=3, aggregation=norm)"
    assert said_by(both) == "chemprop(hidden=6, depth=3, aggregation=norm, ensemble=2)"
    assert one.targets == both.targets == ("logS", "tox")
    assert NETS.build(said_by(both)).ensemble == 2
    with pytest.raises(InvalidInput, match="of one architecture. Found hidden=6.* and hidden=4.*as the source"):
        said_by(read_chemprop(tmp_path / "a.pt", tmp_path / "c.pt"))


@pytest.mark.parametrize("end", ["RegressionFFN", "BinaryClassificationFFN", "MulticlassClassificationFFN"])
def test_an_ensemble_is_one_release(tmp_path, named, rows, end):
    more = {"n_classes": 3} if end.startswith("Multi") else {}
    nets = [written(tmp_path / f"{hidden}.pt", named, end=end, hidden=hidden, **more) for hidden in (4, 6)]
    both = read_chemprop(tmp_path / "4.pt", tmp_path / "6.pt")(rows)
    if end == "RegressionFFN":
        torch.testing.assert_close(both, (nets[0](rows) + nets[1](rows)) / 2)
    elif end == "BinaryClassificationFFN":
        torch.testing.assert_close(torch.sigmoid(both), sum(torch.sigmoid(net(rows)) for net in nets) / 2)
    else:
        torch.testing.assert_close(torch.softmax(both, 1), sum(torch.softmax(net(rows), 1) for net in nets) / 2)


def test_what_is_read_is_audited_like_any_module(tmp_path, named):
    require("rdkit")
    from leaq.api import audit

    written(tmp_path / "best.pt", named)
    smiles = [f"{'C' * length}{tail}" for length in range(1, 21) for tail in ("O", "N", "Cl")]
    x = EMBEDDERS.build("molgraph").encode(smiles).features
    y = x[:, 0].astype(float)
    found = audit(
        read_chemprop(tmp_path / "best.pt"),
        members=(x[::2], y[::2]),
        nonmembers=(x[1::2], y[1::2]),
        quantizers=["sign"],
    )
    assert [row.label for row in found.rows] == ["full precision", "sign"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("message_passing", "cls", "AtomMessagePassing"), "Found message passing by AtomMessagePassing"),
        (("message_passing", "d_v", 133), "133 and 14 numbers .another featuriser"),
        (("message_passing", "d_vd", 3), "Found extra atom descriptors"),
        (("message_passing", "undirected", True), "Found undirected messages"),
        (("predictor", "input_dim", 9), "Found extra descriptors of molecules"),
        (("predictor", "cls", "MveFFN"), "Found predictions by MveFFN.*loss=...., .*, loss='gaussian'.$"),
        (("predictor", "activation", "tanh"), "Found an activation other than ReLU"),
        (("agg", "cls", "MveFFN"), "Found aggregation by MveFFN"),
        (("message_passing", "d_h", 5), "Found extra descriptors|weights must be those"),
    ],
)
def test_other_parts_are_refused(tmp_path, named, change, message):
    path = tmp_path / "best.pt"
    part, key, value = change
    written(path, named, change=[(part, key, named.get(value, value))])
    with pytest.raises(InvalidInput, match=message):
        read_chemprop(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"message_passing": {"blocks": [], "n_components": 2, "shared": False}}, "Found several molecules a record"),
        (
            {"predictor": None, "atom_predictor": {}},
            "Found targets of atoms or bonds.*in a module that returns one row",
        ),
    ],
)
def test_records_that_are_no_single_molecules_are_refused(tmp_path, named, change, message):
    path = tmp_path / "best.pt"
    written(path, named)
    content = {"hyper_parameters": {"message_passing": {}, "predictor": {}, "agg": {}, **change}, "state_dict": {}}
    options = content["hyper_parameters"]
    content["hyper_parameters"] = {key: value for key, value in options.items() if value is not None}
    torch.save(content, path)
    with pytest.raises(InvalidInput, match=f"properties of one molecule. {message}"):
        read_chemprop(path)


@pytest.mark.parametrize("function", [os.mkdir, tempfile.mkdtemp])
def test_nothing_a_file_names_is_run(tmp_path, named, function):
    class Harm:
        def __reduce__(self):
            return function, (str(tmp_path / "harm"),)

    path = tmp_path / "best.pt"
    written(path, named, change=[("agg", "extra", Harm())])
    with pytest.raises(
        InvalidInput, match="names classes of chemprop, lightning and torch alone. Found '.*mk.*', which"
    ):
        read_chemprop(path)
    assert sorted(found.name for found in tmp_path.iterdir()) == ["best.pt"]


def test_other_files_are_refused(tmp_path):
    with pytest.raises(StoreError, match="nowhere.pt: cannot be read"):
        read_chemprop(tmp_path / "nowhere.pt")
    (tmp_path / "text.pt").write_text("no network")
    torch.save({"weights": torch.ones(2)}, tmp_path / "plain.pt")
    torch.save({"args": {"a": 1}, "state_dict": {}}, tmp_path / "older.pt")
    for name, message in (
        ("text.pt", "a file that torch cannot read safely"),
        ("plain.pt", "saved by chemprop 2. Found another file.$"),
        ("older.pt", "one of chemprop 1, .* Convert it .'chemprop convert -i older.pt -o v2.pt'"),
    ):
        assert not is_chemprop(tmp_path / name)
        with pytest.raises(InvalidInput, match=message):
            read_chemprop(tmp_path / name)
    with pytest.raises(InvalidInput, match="at least one file"):
        read_chemprop()


def test_a_file_of_chemprop_1_is_told_by_its_names_alone(tmp_path):
    """As chemprop 1 saves: options in a namespace, which torch reads only unsafely, and weights under other names."""
    content = {"args": argparse.Namespace(depth=3), "state_dict": {"encoder.encoder.0.W_i.weight": torch.ones(2, 2)}}
    torch.save(content, tmp_path / "model.pt")
    with pytest.raises(InvalidInput, match="one of chemprop 1, whose features are others. Convert it"):
        chemprop_files(tmp_path / "model.pt")
    torch.save({"args": argparse.Namespace(depth=3), "state_dict": {}}, tmp_path / "another.pt")
    assert not chemprop_files(tmp_path / "another.pt")
