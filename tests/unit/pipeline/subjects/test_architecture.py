import numpy as np
import pytest

import leaq
from leaq.errors import InvalidInput
from leaq.quantizers import build
from tests.helpers import require
from tests.unit.pipeline.subjects.cases import N, leak, net, nn, quick


def test_a_network_of_ones_own_gets_the_whole_audit(table):
    result = leaq.audit(table, model=net, **quick())
    assert [row.label for row in result.rows] == ["full precision", "sign"]
    assert leak(result).low > 0.2
    full = result.rows[0]
    assert full.measures["forecast"].value > 0.1
    assert full.measures["r"].n > 0  # candidates along training are recorded as for the perceptron
    assert result.config["model"] == "net in memory"


def test_activations_and_calibration_work_on_a_network_of_ones_own(table):
    specs = "uniform(bits=8, activations=8), gptq(bits=3)"
    assert build("gptq(bits=3)").needs.calibration
    result = leaq.audit(table, model=net, **quick(quantizers=specs, replicates=4))
    assert [row.label for row in result.rows][1:]


def test_a_graph_network_is_named_and_reads_packed_graphs(tmp_path):
    require("rdkit")
    lines = [f"{'C' * n}{tail},{n}" for n in range(1, 11) for tail in ("O", "N", "Cl", "F")]
    (tmp_path / "m.csv").write_text("\n".join(["smiles,y", *lines]) + "\n")
    given = {"smiles": "smiles", "target": "y", "quantizers": "sign", "replicates": 2, "training": {"epochs": 2}}
    result = leaq.audit(str(tmp_path / "m.csv"), model="gin(hidden=4)", **given)
    assert (result.config["model"], result.config["embedder"]) == ("gin(hidden=4)", "molgraph")
    assert [row.label for row in result.rows] == ["full precision", "sign"]
    assert not any(flag.code == "not-stacked" for flag in result.flags)
    with pytest.raises(InvalidInput, match="Unknown network 'dmpn'. Did you mean 'dmpnn'"):
        leaq.audit(str(tmp_path / "m.csv"), model="dmpn", **given)
    with pytest.raises(InvalidInput, match="must read file.py:function"):
        leaq.audit(str(tmp_path / "m.csv"), model="nets.py", **given)


def test_a_graph_network_needs_molecules(table):
    with pytest.raises(InvalidInput, match="gcn reads molecules. Found a table of numbers; name its SMILES column."):
        leaq.audit(table, model="gcn", **quick())


def images(rng):
    x = rng.normal(size=(N, 1, 4, 4))
    return x, (x.mean((1, 2, 3)) + 0.1 * rng.normal(size=N) > 0).astype(int)


def test_images_reach_a_network_in_their_shape_and_the_perceptron_as_rows(rng, tmp_path):
    x, y = images(rng)
    np.savez(tmp_path / "images.npz", x=x, y=y)
    shapes = []

    def convolution(shape, outputs):
        shapes.append(shape)
        return nn.Sequential(nn.Conv2d(shape[0], 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, outputs))

    for source, target in (((x, y), None), (tmp_path / "images.npz", "y")):
        result = leaq.audit(source, model=convolution, **{**quick(replicates=4), "target": target})
        assert set(shapes) == {(1, 4, 4)}
        assert result.data["features"] == 16
    plain = leaq.audit((x, y), **{**quick(replicates=4), "target": None})
    assert plain.data["features"] == 16


def test_lazy_layers_take_their_shapes_from_the_records(table):
    def lazy(outputs):
        return nn.Sequential(nn.LazyLinear(24), nn.ReLU(), nn.LazyLinear(outputs))

    few = quick(replicates=2, training={"epochs": 2, "checkpoints": 2}, attacks="threshold")
    said = [leaq.audit(table, model=make, **few).rows[0].metrics["accuracy"].value for make in (lazy, net)]
    assert said[0] == said[1]  # the same layers, drawn by the same seeds


def test_a_network_that_stands_ready_is_no_function_that_builds_one(table):
    with pytest.raises(InvalidInput, match="must be named by the function or class that builds it.*Found a Sequential"):
        leaq.audit(table, model=net(), **quick())
