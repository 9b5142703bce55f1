"""What an audit does with its records and models."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.data.tables import from_arrays
from leaq.errors import InvalidInput
from leaq.models.nets.layout import GRAPHS
from leaq.pipeline import audit_samples
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import asked, elsewhere, set_aside
from leaq.quantizers import build
from leaq.training import TrainingConfig
from leaq.types import Estimate, NotComputed, Samples


def records(n=40, groups=None):
    samples = from_arrays(np.arange(2.0 * n).reshape(n, 2), np.arange(n) % 2)
    return samples if groups is None else Samples(**{**vars(samples), "groups": groups})


def config(**options):
    return AuditConfig(source="x", replicates=4, **options)


def specs(quantizers):
    return [quantizer.spec() for quantizer in quantizers]


def test_releases_of_a_set_are_quantizers_of_the_audit_and_repetitions_are_released_only():
    todo = asked(config(quantizers=("sign",), together=("sign + twn", "stochastic(bits=2) x2/3")), records())
    assert specs(todo.quantizers) == ["none", "sign", "twn", "stochastic(bits=2)"]
    assert specs(todo.releases) == ["stochastic(bits=2, seed=1)", "stochastic(bits=2, seed=2)"]
    assert todo.contrasts["leak_vs_single"]["sign + twn"] == ("sign", "twn")
    assert todo.aside is None
    assert len(todo.pool) == 40


def test_each_calibrated_quantizer_is_followed_by_itself_calibrated_elsewhere():
    todo = asked(config(quantizers=("gptq(bits=2)", "sign(bias=corrected)", "twn")), records())
    assert specs(todo.quantizers) == [
        "none", "gptq(bits=2)", "gptq(bits=2, calibrated=elsewhere)", "sign(bias=corrected)",
        "sign(bias=corrected, calibrated=elsewhere)", "twn",
    ]  # fmt: skip
    assert todo.contrasts["leak_vs_elsewhere"]["gptq(bits=2)"] == ("gptq(bits=2, calibrated=elsewhere)",)
    assert (len(todo.pool), len(todo.aside)) == (32, 8)
    assert set(todo.pool.ids) | set(todo.aside.ids) == set(range(1, 41))
    assert todo.members.shape == (4, 32)


def test_calibrated_elsewhere_alone_has_no_twin():
    todo = asked(config(quantizers=("gptq(bits=2, calibrated=elsewhere)",)), records())
    assert specs(todo.quantizers) == ["none", "gptq(bits=2, calibrated=elsewhere)"]
    assert len(todo.aside) == 8


def test_calibration_on_members_and_elsewhere_looks_at_equally_many_records():
    todo = asked(config(quantizers=("gptq(bits=2)",)), records())
    here = build("gptq(bits=2)")
    own = todo.calibration(None, slice(2, 4), here, seed=0)
    other = todo.calibration(None, slice(2, 4), elsewhere(here), seed=0)
    assert own.rows.shape[1] == other.rows.shape[1] == 8
    assert own.source == "members"
    assert (own.first, other.first) == (2, 0)  # whichever chunk: the same records for every model
    assert all(members[rows].all() for members, rows in zip(todo.members[2:4], own.rows, strict=True))


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_whole_groups_are_set_aside(share):
    groups = np.repeat(np.arange(10), 4)
    pool, aside = set_aside(records(groups=groups), share=share, seed=3)
    assert not set(pool.groups) & set(aside.groups)
    assert len(aside) == 4 * max(1, int(10 * share))
    again = set_aside(records(groups=groups), share=share, seed=3)[1]
    assert np.array_equal(again.ids, aside.ids)
    assert not np.array_equal(
        set_aside(records(), share=share, seed=4)[1].ids, set_aside(records(), share=share, seed=3)[1].ids
    )


def test_public_records_calibrate_where_there_are_any_and_none_is_asked_about():
    samples = records()
    known = replace(samples.take(np.arange(20)), inputs=samples.inputs[:20] + 7.0)
    mixed = replace(
        known,
        inputs=np.concatenate([known.inputs, samples.inputs[:5]]),
        targets=np.concatenate([known.targets, samples.targets[:5]]),
        ids=np.arange(1, 26),
        groups=np.arange(25),
    )
    todo = asked(config(quantizers=("gptq(bits=4)",)), replace(samples, public=mixed))
    assert len(todo.pool) == len(samples)
    np.testing.assert_array_equal(todo.aside.inputs, known.inputs)
    elsewhere = todo.quantizers[2]
    assert todo.calibration(None, slice(0, 2), elsewhere, seed=0).source == "public records"
    assert [flag.code for flag in todo.flags] == ["public-records"]


def test_public_records_that_are_all_asked_about_are_refused():
    samples = records()
    with pytest.raises(InvalidInput, match="Public records must be others than those asked about"):
        asked(config(quantizers=("gptq(bits=4)",)), replace(samples, public=samples))


def test_of_a_large_pool_some_records_are_asked_about_and_all_train():
    groups = np.repeat(np.arange(40), 3)
    samples = records(120, groups)
    todo = asked(AuditConfig(source="memory", judged=50, replicates=6), samples)
    assert len(todo.pool) == len(samples) == 120
    assert 47 < len(todo.judged) <= 50
    asked_about = np.isin(samples.ids, todo.judged.ids)
    assert all(asked_about[groups == group].all() or not asked_about[groups == group].any() for group in groups)
    np.testing.assert_array_equal(todo.judged_members, todo.members[:, asked_about])
    assert [flag.code for flag in todo.flags] == ["judged-sample"]
    whole = asked(AuditConfig(source="memory", judged=120, replicates=6), samples)
    np.testing.assert_array_equal(whole.members, todo.members)
    assert whole.judged is whole.pool
    assert whole.flags == ()


def test_attackers_know_columns_but_not_how_alike_packed_graphs_are(rng):
    samples = from_arrays(rng.normal(size=(40, 3)), rng.normal(size=40))
    config = AuditConfig(source="x", quantizers=("sign",), replicates=4)
    assert asked(config, samples).features.shape == (40, 3)
    assert asked(config, replace(samples, flags=(GRAPHS,))).features is None


def test_a_sample_of_the_pool_gives_what_the_pool_gives_within_its_interval(rng):
    """Told apart by a signal that every record has: on a fifth of the records as on all of them."""
    x = rng.normal(size=(1500, 4)).astype(np.float32)
    samples = from_arrays(x, (x[:, 0] + rng.normal(size=1500) > 0).astype(int))
    training = TrainingConfig(hidden=(32,), epochs=40, checkpoints=2)
    options = {"quantizers": ("uniform(bits=8)",), "training": training}
    few, every = (
        audit_samples(samples, AuditConfig(source="x", replicates=8, judged=judged, **options))
        for judged in (400, 5000)
    )
    for part, whole in zip(few.rows, every.rows, strict=True):
        found, known = part.attacks["combined"].advantage, whole.attacks["combined"].advantage
        assert found.low < known.value < found.high
        assert part.metrics["accuracy"].low < whole.metrics["accuracy"].value < part.metrics["accuracy"].high
        assert isinstance(part.measures["finite_sample"], Estimate | NotComputed)
    assert (few.data["n"], few.data["n_train"]) == (1500, 750)
    assert "judged-sample" in [flag.code for flag in few.flags]
    assert len(few.private["ids"]) == 400
