"""Several targets with holes, from records to a row: trained, attacked, stored."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812

import leaq
from leaq.attacks.combined import Combined
from leaq.data import load
from leaq.data.splits import halves
from leaq.errors import InvalidInput
from leaq.evaluation import evaluate_checkpoints, with_whitebox
from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.results import CellResult
from leaq.results.redaction import cleaned
from leaq.study import audit_into
from leaq.training import MLP, TrainingConfig, train, train_modules
from leaq.types import Checkpoints
from tests.helpers import ROUNDING, require
from tests.unit.pipeline.cases import QUICK, table


def test_one_task_of_two_classes_without_holes_is_trained_as_logistic_regression_is():
    """Against torch.nn and torch.optim, one model at a time."""
    samples = load(table())
    config = TrainingConfig(hidden=(8,), epochs=2, checkpoints=1, dtype="float64", batch_size=240, standardise="none")
    members = halves(samples, 2, seed=0)
    mlp, checkpoints = train(samples, members, config, seed=0)
    start = mlp.init(0, [0, 1], dtype=torch.float64)
    for model, inside in enumerate(members):
        weights = {name: start[name][model].clone().requires_grad_() for name in start if name.startswith("layers")}
        optimizer = torch.optim.Adam(weights.values(), lr=config.learning_rate)
        x, y = torch.tensor(samples.inputs[inside]), torch.tensor(samples.targets[inside])
        for _ in range(2):
            hidden = torch.relu(x @ weights["layers.0.weight"].T + weights["layers.0.bias"])
            out = hidden @ weights["layers.1.weight"].T + weights["layers.1.bias"]
            there = [~y[:, at].isnan() for at in range(3)]
            losses = F.binary_cross_entropy_with_logits(out[there[0], 0], y[there[0], 0], reduction="sum")
            losses = losses + ((out[there[1], 1] - y[there[1], 1]) ** 2).sum()
            losses = losses + F.cross_entropy(out[there[2], 2:], y[there[2], 2].long(), reduction="sum")
            optimizer.zero_grad()
            (losses / sum(map(torch.sum, there))).backward()
            optimizer.step()
        for name, value in weights.items():
            np.testing.assert_allclose(checkpoints.params[name][model, -1], value.detach(), rtol=1e-7, atol=1e-9)


def test_a_module_and_the_perceptron_learn_the_same_from_several_targets():
    samples = load(table())
    config = TrainingConfig(hidden=(), epochs=4, checkpoints=1, dtype="float64", standardise="pool", optimizer="sgd")
    members = halves(samples, 2, seed=0)
    mlp, heads = train(samples, members, config, seed=0)

    def make():
        module = torch.nn.Linear(12, 5).double()
        start = mlp.init(0, [0], dtype=torch.float64)
        with torch.no_grad():
            module.weight.copy_(start["layers.0.weight"][0])
            module.bias.copy_(start["layers.0.bias"][0])
        return module

    _, modules = train_modules(make, samples, members[:1], config, seed=0)
    # The perceptron's loss is in units of its own targets' scale, a module's in those of the pool: with pool the same.
    np.testing.assert_allclose(heads.params["layers.0.weight"][0], modules.params["module.weight"][0], rtol=1e-6)


def test_scalers_are_those_of_the_records_that_have_a_value():
    samples = load(table())
    members = halves(samples, 2, seed=0)
    _, checkpoints = train(samples, members, TrainingConfig(**QUICK, standardise="members"), seed=0)
    inside = samples.targets[members[0], 1]
    mean, scale = (checkpoints.params[f"output.{part}"][0, -1].numpy() for part in ("mean", "scale"))
    np.testing.assert_allclose([mean[1], scale[1]], [np.nanmean(inside), np.nanstd(inside)], rtol=1e-5)
    assert mean[[0, 2, 3, 4]].tolist() == [0] * 4
    assert scale[[0, 2, 3, 4]].tolist() == [1] * 4


def test_white_box_statistics_of_the_perceptron_are_those_of_a_module():
    samples = load(table(80))
    mlp = MLP.of(samples, (6,))
    weights = {name: t.double() for name, t in mlp.init(0, range(2)).items()}
    weights["output.mean"][:, 1], weights["output.scale"][:, 1] = 10.0, 4.0
    released = Checkpoints(weights, mlp.roles, (2,))
    members = halves(samples, 2, seed=0)
    found = with_whitebox(evaluate_checkpoints(mlp, released, samples, members), mlp, released, samples).whitebox
    grads = []
    for i in range(len(samples)):
        own = {n: weights[n][:1].clone().requires_grad_() for n in ("layers.0.weight", "layers.1.weight")}
        x = torch.tensor(samples.inputs[i : i + 1])
        out = mlp.forward({**{n: t[:1] for n, t in weights.items()}, **own}, x)[0, 0]
        y = samples.targets[i]
        losses = []
        if not np.isnan(y[0]):
            losses.append(F.binary_cross_entropy_with_logits(out[0], torch.tensor(y[0])))
        if not np.isnan(y[1]):
            losses.append(((out[1] - y[1]) / 4) ** 2)
        if not np.isnan(y[2]):
            losses.append(F.cross_entropy(out[2:], torch.tensor(int(y[2]))))
        (sum(losses) / len(losses)).backward()
        grads.append(np.concatenate([own[n].grad.numpy().ravel() for n in own]))
    size = np.linalg.norm(np.stack(grads), axis=1)
    alive = size > 0  # a record that no hidden unit answers to has no gradient by these weights
    assert alive.sum() > 60
    np.testing.assert_allclose(found[0, alive, 1], np.log(size[alive]), rtol=1e-5, atol=1e-6)


def test_results_survive_the_round_trip_and_cleaned_ones_name_no_column(result):
    again = CellResult.from_json(result.to_json())
    assert again.rows[1].by_task["task1"].metrics["r2"] == result.rows[1].by_task["task1"].metrics["r2"]
    text = cleaned(result).to_json()
    assert "task0" not in text
    assert "COLUMN 1" in text
    frame = result.frame()
    assert {"task1: r2", "task0: threshold.advantage"} <= set(frame["name"])


def test_what_nobody_trained_on_is_not_found():
    """Memberships drawn anew: no attack on several targets finds anything."""
    x, y = table(400)
    samples = load((x, y))
    mlp = MLP.of(samples, (16,))
    config = TrainingConfig(**QUICK)
    members = halves(samples, 16, seed=0)
    _, trained = train(samples, members, config, seed=0)
    found = evaluate_checkpoints(mlp, trained.last(), samples, halves(samples, 16, seed=99))
    for attack in (Combined(sees="outputs"),):
        assert abs(attack(found).advantage.value) < 0.06


def test_a_run_folder_gives_the_same_numbers(tmp_path):
    config = AuditConfig(source="t.csv", target="a,b,c", quantizers=("sign",), replicates=8, training=QUICK)
    x, y = table(120)
    rows = [",".join(["a", "b", "c", *(f"x{i}" for i in range(12))])]
    rows += [",".join("" if np.isnan(v) else repr(float(v)) for v in (*b, *a)) for a, b in zip(x, y, strict=True)]
    (tmp_path / "t.csv").write_text("\n".join(rows))
    config = config.model_copy(update={"source": str(tmp_path / "t.csv")})
    direct = audit(config)
    kept = audit_into(config, tmp_path / "run")
    again = CellResult.from_json(direct.to_json())
    for one, other in zip(kept.rows, again.rows, strict=True):
        assert one.metrics == other.metrics
        assert one.by_task["b"].drops == other.by_task["b"].drops


def test_a_network_and_a_training_of_the_users_own():
    x, y = table()

    def make(features, outputs):
        return torch.nn.Sequential(torch.nn.Linear(features, 8), torch.nn.ReLU(), torch.nn.Linear(8, outputs))

    def recipe(records, seed):
        torch.manual_seed(seed)
        assert records.targets.shape[1] == 3
        assert np.isnan(records.targets).any()
        return make(12, 5)

    quick = {"quantizers": "sign", "replicates": 4, "training": QUICK, "attacks": ("threshold",)}
    for how in ({"model": make}, {"recipe": recipe}):
        found = leaq.audit((x, y), **how, **quick)
        assert set(found.rows[1].by_task) == {"task0", "task1", "task2"}
    with pytest.raises(InvalidInput, match="A model of 3 targets must return 5 outputs"):
        leaq.audit((x, y), model=lambda features: torch.nn.Linear(features, 3), **quick)


def test_what_has_no_account_for_several_targets_is_refused():
    with pytest.raises(InvalidInput, match="DP-SGD trains perceptrons of one target"):
        leaq.audit(table(), dp_sgd=("1",), replicates=4)
    with pytest.raises(InvalidInput, match="Found several targets. Choose pool"):
        leaq.audit(table(), replicates=4, quantizers="sign", training={**QUICK, "standardise": "private"})


def test_a_model_whose_members_lack_a_class_is_refused():
    samples = load(table(60))
    members = np.isnan(samples.targets[:, 0]) | (samples.targets[:, 0] == 0)
    with pytest.raises(InvalidInput, match="Class '1' of 'task0' is absent from model 0"):
        train(samples, members[None], TrainingConfig(**QUICK), seed=0)


def test_the_stored_numbers_of_one_target_are_what_they_were():
    """A single target keeps the arithmetic it had: one class's logit is never folded."""
    wine = load("wine")
    mlp = MLP.of(wine, (4,))
    assert (mlp.k, mlp.layout) == (3, None)
    params = mlp.init(0, [0])
    np.testing.assert_allclose(mlp.standard(params, torch.zeros(2, 1)), torch.zeros(1, 2, 1), **ROUNDING)


def test_chemprops_network_is_trained_on_several_targets(tmp_path):
    require("rdkit")
    lines = [
        f"{'C' * n}{tail},{n},{'' if n % 3 else int(tail in 'ON')}"
        for n in range(1, 11)
        for tail in ["O", "N", "Cl", "F"]
    ]
    (tmp_path / "m.csv").write_text("\n".join(["smiles,length,polar", *lines]) + "\n")
    config = AuditConfig(
        source=str(tmp_path / "m.csv"), smiles="smiles", target="length,polar", model="chemprop(hidden=8)", task="auto",
        quantizers=("sign",), replicates=4, attacks=("threshold",), draws=20, training={"epochs": 3, "checkpoints": 1},
    )  # fmt: skip
    result = audit(config)
    assert result.config["training"]["batch_size"] == 64
    assert set(result.rows[1].by_task) == {"length", "polar"}
