"""Where models come from: one's own network, one's own training, a released file - and the same audit over all."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.tree import DecisionTreeClassifier

import leaq
from leaq.errors import InvalidInput, NotEnoughEvidence, UnsupportedModel
from leaq.quantizers import build
from leaq.types import AttackResult, Checkpoints, NotComputed
from tests.helpers import require

nn = torch.nn
N = 80


@pytest.fixture
def table(rng):
    x = rng.normal(size=(N, 6))
    frame = pd.DataFrame(x, columns=[f"c{i}" for i in range(6)])
    return frame.assign(y=rng.permutation(np.arange(N) % 2))


def quick(**more):
    return {
        "target": "y",
        "quantizers": "sign",
        "replicates": 8,
        "training": {"epochs": 60, "learning_rate": 0.02, "checkpoints": 3},
        **more,
    }


def net(features=6, outputs=2):
    return nn.Sequential(nn.Linear(features, 24), nn.ReLU(), nn.Linear(24, outputs))


def overfit(records, seed, steps=120):
    """Learn the members by heart, by a loop of one's own."""
    torch.manual_seed(seed)
    model = net()
    x, y = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return model


def leak(result, row=0):
    found = result.rows[row].attacks[result.primary_attack]
    assert isinstance(found, AttackResult), found
    return found.advantage


def test_a_network_of_ones_own_gets_the_whole_audit(table):
    result = leaq.audit(table, model=net, **quick())
    assert [row.label for row in result.rows] == ["full precision", "sign"]
    assert leak(result).low > 0.2
    full = result.rows[0]
    assert full.measures["forecast"].value > 0.1
    assert full.measures["r"].n > 0  # candidates along training are recorded as for the perceptron
    assert result.config["model"] == "net in memory"


def test_a_training_of_ones_own_gets_the_whole_audit(table):
    result = leaq.audit(table, recipe=overfit, **quick())
    assert leak(result).low > 0.2
    assert isinstance(result.rows[0].measures["r"], NotComputed)
    assert any(flag.code == "no-checkpoints" for flag in result.flags)


def test_candidates_that_a_recipe_recorded_are_used(table):
    def recorded(records, seed):
        early, late = overfit(records, seed, steps=20), overfit(records, seed)
        first, last = early.state_dict(), late.state_dict()
        both = {name: torch.stack([first[name], last[name]])[None] for name in first}
        roles = {name: "linear" if "weight" in name else "bias" for name in both}
        return late, Checkpoints(both, roles, (1, 2), (20, 120))

    result = leaq.audit(table, recipe=recorded, **quick())
    assert result.rows[0].measures["r"].n > 0
    assert all(flag.code != "no-checkpoints" for flag in result.flags)


def test_the_same_seed_gives_the_same_numbers_and_leaves_the_generators_alone(table):
    def drawn(records, seed):
        torch.rand(1), np.random.rand()  # noqa: NPY002 - what recipes do
        return overfit(records, int(np.random.randint(100)), steps=5)  # noqa: NPY002

    np.random.seed(1)  # noqa: NPY002
    before = np.random.get_state()[1][0]  # noqa: NPY002
    first, again = (leaq.audit(table, recipe=drawn, **quick(replicates=4)) for _ in range(2))
    assert np.random.get_state()[1][0] == before  # noqa: NPY002
    assert first.rows[0].metrics == again.rows[0].metrics


def test_scikit_learn_networks_are_read_with_the_scalers_in_front_of_them(table, rng):
    def logistic(records, _seed):
        return make_pipeline(StandardScaler(), LogisticRegression(C=1e4)).fit(records.inputs, records.targets)

    result = leaq.audit(table, recipe=logistic, **quick())
    file = result.rows[0].attacks["file"]
    assert file.advantage.low > 0.1  # six means and six scales of the members say who is one
    values = table.assign(y=rng.normal(size=N))

    def perceptron(records, seed):
        model = MLPRegressor(hidden_layer_sizes=(8,), max_iter=30, random_state=seed)
        return make_pipeline(MinMaxScaler(), model).fit(records.inputs, records.targets)

    regressed = leaq.audit(values, recipe=perceptron, **quick(replicates=4))
    assert regressed.primary_metric == "r2"
    assert any(flag.code == "recipe-warning" for flag in regressed.flags)  # it did not converge


def test_two_models_of_one_recipe_are_what_scikit_learn_predicts(table, rng):
    from leaq.data import load
    from leaq.pipeline.subjects.recipe import OwnTraining
    from leaq.types import silent

    samples = load(table, target="y")
    fitted = {}

    def logistic(records, seed):
        fitted[seed] = make_pipeline(StandardScaler(), LogisticRegression()).fit(records.inputs, records.targets)
        return fitted[seed]

    members = np.tile(np.arange(N) < N // 2, (2, 1))
    members[1] = ~members[1]
    made = OwnTraining(logistic, seed=0).train(samples, members, which=slice(0, 2), progress=silent)
    outputs = made.model.forward(made.checkpoints.last().params, torch.tensor(samples.inputs, dtype=torch.float64))
    for one, estimator in zip(outputs, fitted.values(), strict=True):
        np.testing.assert_allclose(one.softmax(1).numpy(), estimator.predict_proba(samples.inputs), atol=1e-6)


@pytest.fixture
def released(table, tmp_path):
    """A file that ships, and who trained it: half of the table."""
    inside = np.zeros(N, dtype=bool)
    inside[np.random.default_rng(3).permutation(N)[: N // 2]] = True
    rows = table[inside]
    records = leaq.Samples(
        rows.drop(columns="y").to_numpy(), rows["y"].to_numpy(), "classification", classes=("0", "1")
    )
    module = overfit(records, 7)
    save_file(module.state_dict(), tmp_path / "model.safetensors")
    return module, inside, tmp_path / "model.safetensors"


def test_a_released_file_is_attacked_with_shadows_from_the_recipe(table, released):
    module, inside, path = released
    result = leaq.audit(table, recipe=overfit, released=path, members=inside, **quick(replicates=16))
    assert result.data["n_train"] == N // 2
    assert result.data["game"] == "released"
    full = result.rows[0].attacks["combined"]
    assert full.advantage.low > 0.1
    assert full.game == "released"
    assert "16 shadow models" in full.attacker
    held = module(torch.tensor(table.drop(columns="y").to_numpy()[~inside], dtype=torch.float32)).argmax(1).numpy()
    assert result.rows[0].metrics["accuracy"].value == pytest.approx((held == table["y"][~inside]).mean())
    other = leaq.audit(table, recipe=overfit, released=module, members=table[inside], **quick(replicates=16))
    assert other.rows[0].attacks["combined"].advantage == full.advantage


def test_members_nobody_trained_on_are_not_found(table, released, rng):
    _, _, path = released
    wrong = []
    for _ in range(4):
        drawn = np.zeros(N, dtype=bool)
        drawn[rng.permutation(N)[: N // 2]] = True
        result = leaq.audit(table, recipe=overfit, released=path, members=drawn, **quick(replicates=16))
        wrong.append(leak(result).value)
    assert abs(np.mean(wrong)) < 0.15


def test_a_quantized_file_finds_its_quantizer_and_shadows_go_through_it(rng, tmp_path):
    gguf = pytest.importorskip("gguf")
    x, y = rng.normal(size=(N, 32)), rng.permutation(np.arange(N) % 2)

    def trained(records, seed):
        torch.manual_seed(seed)
        inputs, targets = torch.tensor(records.inputs, dtype=torch.float32), torch.tensor(records.targets)
        model = nn.Sequential(nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 2))
        optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
        for _ in range(40):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(inputs), targets).backward()
            optimizer.step()
        return model

    inside = rng.permutation(np.arange(N) % 2 == 0)
    module = trained(leaq.Samples(x[inside], y[inside], "classification", classes=("0", "1")), 1)
    writer, kind = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "leaq"), gguf.GGMLQuantizationType.Q8_0
    for name, tensor in module.state_dict().items():
        if tensor.ndim == 2:
            writer.add_tensor(name, gguf.quants.quantize(tensor.numpy(), kind), raw_dtype=kind)
        else:
            writer.add_tensor(name, tensor.numpy())
    for step in (writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file, writer.close):
        step()
    options = {"recipe": trained, "released": tmp_path / "m.gguf", "members": inside, "replicates": 12}
    result = leaq.audit((x, y), quantizers="sign", **options)
    assert any(flag.code == "already-quantized" and "gguf(type=Q8_0)" in flag.text for flag in result.flags)
    row = next(row for row in result.rows if row.quantizer == "gguf(type=Q8_0)")
    assert row.attacks["combined"].advantage.low > 0.3
    assert row.drops["accuracy"].value == 0  # rounding again what is rounded changes nothing


def test_a_released_file_is_read_once_and_another_size_ends_the_audit_at_once(table, released, monkeypatch):
    from leaq.pipeline.subjects import artefact

    _, inside, path = released
    read, calls = artefact.filled_from, []
    monkeypatch.setattr(artefact, "filled_from", lambda *args: calls.append("file") or read(*args))
    leaq.audit(table, recipe=overfit, released=path, members=inside, **quick(replicates=4, quantizers="none"))
    assert calls == ["file"]

    def grows(records, seed):
        calls.append("model")
        return net() if calls.count("model") < 2 else nn.Sequential(nn.Linear(6, 25), nn.ReLU(), nn.Linear(25, 2))

    options = {"recipe": grows, "released": path, "members": inside}
    with pytest.raises(InvalidInput, match="must have one architecture. Found models of .* bytes"):
        leaq.audit(table, **options, **quick(replicates=8, quantizers="none"))
    assert calls.count("model") == 2  # the other six are not trained


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    save_file(net().state_dict(), "m.safetensors")


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(("options", "said"), [
    ({"recipe": lambda *_: 3}, "A recipe must return the trained model"),
    ({"recipe": lambda *_: 1 / 0}, r"failed on model 0 \(40 records\) with ZeroDivisionError.*test_origins.py, line"),
    ({"recipe": lambda *_: nn.Linear(6, 5)}, "one output a class, 2. Found 5"),
    ({"recipe": lambda *_: nn.Linear(7, 2)}, "must run on the records"),
    ({"recipe": lambda r, _: net() if r.ids.min() == 1 else nn.Linear(6, 2)}, "must have one architecture"),
    ({"model": lambda: "net"}, "must return a torch.nn.Module. Found str"),
    ({"model": lambda needed: needed}, "may take features, outputs, task and shape"),
    ({"model": lambda: nn.Sequential(nn.Linear(6, 2), nn.Softmax(1))}, "must return logits. Found probabilities"),
    ({"model": net, "recipe": overfit}, "Found both. Name one of them"),
    ({"model": "nowhere.py:make"}, "There is no file"),
    ({"recipe": overfit, "released": "m.safetensors"}, "needs the records that trained it"),
    ({"recipe": overfit, "released": "n.safetensors", "members": [1]}, "no released file .* Did you mean"),
    ({"released": "m.safetensors", "members": np.arange(N) % 2 == 0}, "so its training must be named"),
    ({"recipe": overfit, "released": "m.safetensors", "members": np.arange(N) < 5}, "at least 20 members. Found 5"),
    ({"recipe": overfit, "released": "m.safetensors", "members": [0, 1]}, "row numbers must lie in 1..80"),
    ({"recipe": overfit, "released": "m.safetensors", "members": pd.DataFrame({"c0": [1.0]})}, "Missing: c1"),
])  # fmt: skip
def test_what_cannot_be_audited_is_refused_in_words(table, options, said):
    with pytest.raises((InvalidInput, NotEnoughEvidence), match=said):
        leaq.audit(table, **quick(replicates=4), **options)


def test_steps_that_are_no_scalers_and_models_without_weights_are_refused(table):
    def tree(records, _seed):
        return DecisionTreeClassifier().fit(records.inputs, records.targets)

    with pytest.raises(UnsupportedModel, match="Found DecisionTreeClassifier"):
        leaq.audit(table, recipe=tree, **quick(replicates=4))


def test_members_are_rows_of_the_source_or_added_to_them(table, released):
    from leaq.data import load

    _, inside, _ = released
    source = table[~inside]
    samples = load(source, target="y", members=table[inside])
    assert len(samples) == N
    assert samples.released_on.sum() == N // 2
    np.testing.assert_array_equal(samples.ids[samples.released_on], np.arange(N // 2, N) + 1)
    whole = load(table, target="y", members=table[inside].sample(frac=1, random_state=0))
    np.testing.assert_array_equal(whole.released_on, inside)
    numbered = load(table, target="y", members=np.flatnonzero(inside) + 1)
    np.testing.assert_array_equal(numbered.released_on, inside)


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


def test_a_released_file_of_a_network_that_leaq_trains_stands_before_all_its_shadows(table, released):
    """Shadow models of a network are trained several at a time, beside the file."""
    _, inside, path = released
    result = leaq.audit(table, model=net, released=path, members=inside, **quick(replicates=8))
    assert result.data["game"] == "released"
    assert leak(result).low > 0.2
