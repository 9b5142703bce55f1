"""The file attack: what members' statistics give away is found, what says nothing stays quiet."""

from dataclasses import replace

import numpy as np
import pytest

from leaq.attacks.base import Context
from leaq.attacks.file import File, members_from_statistics
from leaq.attacks.registry import attack_families
from leaq.attacks.scoring import Resampling
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.stats.roc import auc
from leaq.types import LossTable, NotComputed
from tests.attack_tables import file_scores, paired_members, planted, with_file


def area(scores, members):
    return float(np.mean([auc(row, inside) for row, inside in zip(scores, members, strict=True)]))


def only(table, *kinds):
    return replace(table, numbers={kind: table.numbers[kind] for kind in kinds})


def test_scalers_of_the_members_name_them_all(rng):
    table, features = with_file(rng, planted(rng, leak=0.0))
    assert area(file_scores(only(table, "scaler.mean"), features), table.members) > 0.99
    assert File()(table, features=features, resampling=Resampling(draws=50)).advantage.low > 0.9


def test_survivors_by_column_name_members_where_nothing_else_does(rng):
    """The mask of a sparse first layer alone: more weights survive in columns that members set."""
    table, features = with_file(rng, planted(rng, leak=0.0))
    bits = (features > 0).astype(float)
    counts = table.members @ (bits - bits.mean(0))
    kept = 0.1 + 0.02 * (counts / counts.std() + 0.5 * rng.normal(size=counts.shape))
    masked = replace(table, numbers={"columns.mask": kept})
    assert area(file_scores(masked, bits), table.members) > 0.8
    silent = replace(table, numbers={"columns.mask": rng.normal(0.1, 0.02, size=counts.shape)})
    assert area(file_scores(silent, bits), table.members) < 0.6


def test_noise_in_what_is_published_is_weighed_not_believed(rng):
    """Blurred sums say something; joined with exact ones they take nothing away."""
    table, features = with_file(rng, planted(rng, leak=0.0))
    blurred = area(file_scores(only(table, "columns.mean"), features), table.members)
    joined = area(file_scores(only(table, "columns.mean", "scaler.mean"), features), table.members)
    assert 0.6 < blurred < 0.99 < joined


def test_the_solution_is_that_of_the_normal_equations(rng):
    """One number a model and a design of one column: the posterior mean can be written down."""
    members = paired_members(rng, 8, 20)
    x = rng.normal(size=20)
    sums = members @ (x - x.mean()) + rng.normal(size=8)
    table = LossTable(rng.random((8, 1, 20)), members, "classification", "pool", 10)
    found = file_scores(replace(table, numbers={"scaler.mean": sums[:, None]}), x[:, None])
    # All records lie along one direction, whose sign and size the target's number decides.
    for target, row in enumerate(found):
        shadows = [m for m in range(8) if m // 2 != target // 2]
        level = sums[shadows].mean()
        counts = (members - 0.5) @ (x - x.mean())
        gap = sums[target] - level
        assert abs(np.corrcoef(row, x)[0, 1]) == pytest.approx(1.0)
        slope = np.polyfit(counts[shadows], sums[shadows], 1)[0]
        expected = np.sign(slope) * np.sign(gap + slope * counts[shadows].mean())
        assert np.sign(row @ (x - x.mean())) == expected


def test_numbers_that_say_nothing_find_nothing(rng):
    """Fresh memberships that nobody trained on: blind guessing, and few false alarms."""
    found, alarms = [], 0
    for run in range(12):
        table, features = with_file(rng, planted(rng, leak=0.0, models=8), leak=0.0)
        advantage = File()(table, features=features, resampling=Resampling(draws=50, seed=run)).advantage
        found.append(advantage.value)
        alarms += advantage.low > 0
    assert abs(np.mean(found)) < 4 * np.std(found) / np.sqrt(12) + 0.01
    assert alarms <= 2


def test_real_signals_under_fake_memberships_find_nothing(rng):
    table, features = with_file(rng, planted(rng, leak=0.0, n=200))
    fake = replace(table, members=paired_members(rng, 12, 200))
    assert area(file_scores(fake, features), fake.members) == pytest.approx(0.5, abs=0.05)


def test_equal_numbers_in_all_models_drop_out(rng):
    """Public statistics beside the others change nothing; alone they are blind guessing."""
    table, features = with_file(rng, planted(rng, leak=0.0))
    public = {"scaler.scale": np.tile(features.std(0) + 1, (12, 1)), "scaler.mean": np.ones((12, 80))}
    silent = file_scores(replace(table, numbers=public), features)
    assert (silent == 0).all()
    beside = replace(table, numbers={**public, "columns.mean": table.numbers["columns.mean"]})
    np.testing.assert_array_equal(file_scores(beside, features), file_scores(only(table, "columns.mean"), features))


def test_scales_add_the_squares_where_columns_are_no_bits(rng):
    table = planted(rng, leak=0.0, n=80)
    features = rng.normal(size=(80, 50))
    inside = table.members / table.members.sum(1, keepdims=True)
    mean, square = inside @ features, inside @ features**2
    numbers = {"scaler.mean": mean, "scaler.scale": np.sqrt(square - mean**2)}
    alone = area(file_scores(replace(table, numbers={"scaler.mean": mean}), features), table.members)
    both = area(file_scores(replace(table, numbers=numbers), features), table.members)
    assert alone < 0.98
    assert both > 0.999


def test_the_target_scaler_of_a_regression_is_read(rng):
    table = planted(rng, leak=0.0, task="regression", n=12, models=16)
    inside = table.members / table.members.sum(1, keepdims=True)
    numbers = {"target.mean": inside @ table.targets[:, None]}
    assert area(file_scores(replace(table, numbers=numbers), np.zeros((12, 3))), table.members) > 0.6


def test_biases_that_resemble_the_shadows_are_read(rng):
    table = planted(rng, leak=0.0, models=16, n=40)
    biases = (table.members - 0.5) @ rng.normal(size=(40, 300)) + 0.5 * rng.normal(size=(16, 300))
    assert area(file_scores(replace(table, numbers={"bias": biases}), np.zeros((40, 2))), table.members) > 0.55


def test_the_complement_never_serves_as_a_shadow(rng):
    """Its numbers can be anything: the target's scores stay what they are."""
    table, features = with_file(rng, planted(rng, leak=0.0))
    before = file_scores(table, features, targets=[0])
    numbers = {kind: values.copy() for kind, values in table.numbers.items()}
    numbers["scaler.mean"][1] += 5.0
    numbers["bias"][1] -= 5.0
    np.testing.assert_allclose(file_scores(replace(table, numbers=numbers), features, targets=[0]), before, rtol=1e-9)


def test_published_statistics_need_no_shadow_models(rng):
    pool = rng.normal(size=(60, 40))
    inside = np.arange(60) < 30
    found = members_from_statistics(pool, pool[inside].mean(0), pool[inside].std(0), members=30)
    assert auc(found, inside) == 1.0
    assert found[inside].min() > 0.8
    assert found[~inside].max() < 0.2
    blurred = members_from_statistics(pool, pool[inside].mean(0), members=30, precision=10.0)
    assert np.abs(blurred - 0.5).max() < 0.2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": np.zeros(3)}, "as many means and scales. Found (60, 40), (3,)"),
        ({"mean": np.full(40, np.nan)}, "must be finite"),
        ({"members": 60}, "between 1 and 59"),
    ],
)
def test_published_statistics_refuse_what_does_not_fit(rng, change, message):
    given = {"mean": np.zeros(40), "members": 30, **change}
    with pytest.raises(InvalidInput, match=message.replace("(", r"\(").replace(")", r"\)")):
        members_from_statistics(rng.normal(size=(60, 40)), **given)


def test_bad_input_is_named(rng):
    table, features = with_file(rng, planted(rng, leak=0.0))
    with pytest.raises(NotEnoughEvidence, match="with_numbers adds it"):
        File()(replace(table, numbers=None), features=features)
    with pytest.raises(InvalidInput, match=r"features must be \(60, d\)"):
        File()(table, features=features[:5])
    with pytest.raises(InvalidInput, match="80 numbers and 79 features"):
        File()(table, features=features[:, 1:])
    spoilt = {**table.numbers, "bias": np.full((12, 5), np.inf)}
    with pytest.raises(InvalidInput, match=r"numbers\[.bias.\] must be finite"):
        File()(replace(table, numbers=spoilt), features=features)
    few = with_file(rng, planted(rng, leak=0.0, models=4))
    with pytest.raises(NotEnoughEvidence, match="at least 4 shadow models"):
        File()(few[0], features=few[1])


def test_it_is_a_default_attack_and_names_its_missing_ingredient(rng):
    table, features = with_file(rng, planted(rng, leak=0.0))
    assert "file" in attack_families()["default"]
    found = File().run(Context(table, features=features, resampling=Resampling(draws=20)))
    assert found.attacker.startswith("holds the released file")
    assert "10 shadow models" in found.attacker
    for context, missing in (
        (Context(table), "features"),
        (Context(planted(rng), features=features), "what the released file holds beside codes"),
    ):
        reason = File().run(context)
        assert isinstance(reason, NotComputed)
        assert missing in reason.reason
