from dataclasses import replace

import numpy as np
import pytest
from torch import nn

import leaq
from leaq.data import load
from leaq.pipeline import AuditConfig, audit, rows
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate


def test_the_finite_sample_leak_is_computed_alike_whoever_trained_the_model(monkeypatch):
    seen, real = [], rows.finite_sample

    def spied(table, *, options, **more):
        seen.append(replace(options, pool=0))  # members of a finished model are no part of a pool
        return real(table, options=options, **more)

    monkeypatch.setattr(rows, "finite_sample", spied)
    training = TrainingConfig(hidden=(8,), epochs=2, checkpoints=4)
    audit(AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=training, attacks=("threshold",)))
    trained, wine = len(seen), load("wine")
    order = np.random.default_rng(0).permutation(len(wine))
    inside, outside = ((wine.inputs[part], wine.targets[part]) for part in (order[:90], order[90:]))
    leaq.audit(nn.Linear(13, 3), members=inside, nonmembers=outside, quantizers=["sign"])
    assert 0 < trained < len(seen)
    assert all(options == seen[0] for options in seen)


def test_every_row_has_the_joint_numbers_and_those_of_each_task(result):
    assert (result.primary_metric, result.data["task"]) == ("skill", "multitask")
    assert [(one["name"], one["task"]) for one in result.data["tasks"]] == [
        ("task0", "classification"), ("task1", "regression"), ("task2", "classification"),
    ]  # fmt: skip
    for row in (*result.rows, *result.references):
        assert isinstance(row.metrics["skill"], Estimate)
        assert set(row.by_task) == {"task0", "task1", "task2"}
        skills = [row.by_task["task1"].metrics["r2"].value]
        skills += [2 * row.by_task[name].metrics["roc_auc"].value - 1 for name in ("task0", "task2")]
        assert row.metrics["skill"].value == pytest.approx(np.mean(skills), abs=1e-9)
        for one in row.by_task.values():
            assert all(isinstance(found, AttackResult) and found.risk is None for found in one.attacks.values())
    assert set(result.rows[1].by_task["task1"].drops) >= {"r2"}


def test_reading_all_labels_finds_more_than_the_best_single_task(result):
    full = result.rows[0]
    blind = "combined(sees=outputs)"
    joint = full.attacks[blind].advantage
    assert joint.low > 0.03
    assert joint.value > max(one.attacks[blind].advantage.value for one in full.by_task.values()) - 0.05
