"""One cell front to back on real data, small enough for seconds."""

import json

import numpy as np
import pytest

from leaq.pipeline import audit
from leaq.pipeline.cell import AuditConfig
from leaq.training import TrainingConfig
from leaq.types import AttackResult, Estimate

QUICK = TrainingConfig(hidden=(16,), epochs=8, checkpoints=6, learning_rate=1e-2)
QUANTIZERS = ("sign", "ternary(sparsity=0.9)", "uniform(bits=4)")


def quick(source="wine", **options):
    training = options.pop("training", QUICK)
    return AuditConfig(source=source, quantizers=QUANTIZERS, replicates=8, training=training, draws=50, **options)


@pytest.fixture(scope="module")
def wine():
    return audit(quick())


@pytest.fixture(scope="module")
def diabetes():
    return audit(quick("diabetes"))


def test_one_row_a_quantizer_full_precision_first(wine):
    assert [row.quantizer for row in wine.rows] == ["none", *QUANTIZERS]


def test_rows_are_ordered_by_the_attack_named(wine):
    leaks = [row.attacks[wine.primary_attack].advantage.value for row in wine.ranked()]
    assert wine.primary_attack == "combined"
    assert leaks == sorted(leaks)


@pytest.mark.parametrize("which", ["wine", "diabetes"])
def test_every_number_carries_an_interval_and_its_n(which, request):
    for row in request.getfixturevalue(which).rows:
        numbers = [*row.metrics.values(), *row.drops.values(), *row.measures.values()]
        for attack in row.attacks.values():
            assert isinstance(attack, AttackResult)
            numbers += [attack.advantage, attack.auc, *attack.tpr.values()]
        for number in numbers:
            if isinstance(number, Estimate):
                assert number.low <= number.value <= number.high
                assert number.n > 0
            else:
                assert number.reason


def test_metrics_belong_to_the_task(wine, diabetes):
    assert {"roc_auc", "accuracy"} <= set(wine.rows[0].metrics)
    assert {"r2", "rmse", "mae", "spearman"} <= set(diabetes.rows[0].metrics)


def test_a_trained_model_has_skill(wine, diabetes):
    assert wine.rows[0].metrics["roc_auc"].value > 0.9
    assert diabetes.rows[0].metrics["r2"].value > 0.2


def test_drops_are_measured_against_full_precision(wine):
    reference, coarse = wine.rows[0], wine.rows[2]
    assert reference.drops == {}
    expected = coarse.metrics["accuracy"].value - reference.metrics["accuracy"].value
    assert coarse.drops["accuracy"].value == pytest.approx(expected)


def test_bits_and_bytes_shrink_with_the_levels(wine):
    full, sign, ternary, four = wine.rows
    assert full.size.bits == 32
    assert 1 <= sign.size.bits < ternary.size.bits < four.size.bits < 32
    assert sign.size.bytes < ternary.size.bytes < four.size.bytes < full.size.bytes


def test_the_same_seed_gives_the_same_numbers_and_another_one_does_not(wine):
    assert audit(quick()).to_json(timings=False) == wine.to_json(timings=False)
    assert audit(quick(seed=1)).to_json(timings=False) != wine.to_json(timings=False)


def test_the_written_configuration_gives_the_same_numbers(wine):
    again = AuditConfig.from_dict(json.loads(json.dumps(dict(wine.config))))
    assert audit(again).to_json(timings=False) == wine.to_json(timings=False)


def test_chunks_of_models_change_nothing_beyond_rounding(wine):
    """In float64: float32 differs in the last bits when other models share a matrix product."""
    whole = audit(quick(training=TrainingConfig(**{**QUICK.to_dict(), "dtype": "float64"})))
    split = audit(quick(training=TrainingConfig(**{**QUICK.to_dict(), "dtype": "float64", "chunk": 3})))
    for a, b in zip(whole.rows, split.rows, strict=True):
        assert a.attacks["threshold"].auc.value == pytest.approx(b.attacks["threshold"].auc.value, abs=1e-9)
        assert a.metrics["roc_auc"].value == pytest.approx(b.metrics["roc_auc"].value, abs=1e-9)


def test_progress_is_reported_to_the_end():
    seen = {}
    audit(quick(), progress=lambda what, done, total: seen.update({what: (done, total)}))
    assert {"training", "evaluating", "measuring"} <= set(seen)
    assert all(done == total for done, total in seen.values())


def test_data_description_holds_aggregates_only(wine):
    assert wine.data["n"] == 178
    assert sum(wine.data["classes"].values()) == 178
    assert not any(isinstance(value, list | np.ndarray) for value in wine.data.values())


def test_few_models_fall_back_to_the_attack_that_needs_none():
    result = audit(AuditConfig(source="wine", quantizers=("sign",), replicates=2, training=QUICK, draws=20))
    assert result.primary_attack == "threshold"
    assert "Add --replicates" in result.rows[0].attacks["lira"].reason


def test_a_run_folder_gives_the_risk_of_records_back_until_it_is_cleaned(tmp_path):
    from leaq.study import audit_into
    from leaq.study.cleaning import clean

    config = AuditConfig(source="wine", quantizers=("sign",), replicates=8, training=QUICK, draws=20)
    for _ in range(2):  # computed, then read
        result = audit_into(config, tmp_path / "run")
        assert len(result.private["ids"]) == 178
        assert result.rows[1].attacks["lira"].risk.shape == (178,)
    clean(tmp_path / "run")
    assert audit_into(config, tmp_path / "run").private == {}


@pytest.mark.parametrize("which", ["wine", "diabetes"])
def test_the_forecast_stands_beside_the_attack_and_says_how_far_apart_they_are(which, request):
    result = request.getfixturevalue(which)
    for row in result.rows:
        assert isinstance(row.measures["forecast"], Estimate)
        said, gap = row.measures["forecast"], row.measures["forecast_gap"]
        assert said.n == 8
        assert gap.low <= gap.value <= gap.high
    risk = np.asarray(result.private["forecast_risk"]["none"], dtype=float)
    assert risk.shape == (result.data["n"],)
    assert (risk[np.isfinite(risk)] >= 0).all()


def test_four_models_are_enough_for_the_forecast_and_two_are_told_so():
    few = AuditConfig(source="wine", quantizers=("sign",), replicates=4, training=QUICK, draws=20)
    row = audit(few).rows[1]
    assert isinstance(row.measures["forecast"], Estimate)
    assert "forecast_gap" not in row.measures
    two = audit(AuditConfig.from_dict({**few.to_dict(), "replicates": 2}))
    assert "at least 4 replicates" in two.not_computed["forecast"]
    assert "not_forecast" in two.private


def test_who_holds_several_files_reads_the_numbers_of_each():
    """Scalers of the members, in every file: hardly trained models give nothing else away."""
    training = TrainingConfig(hidden=(4,), epochs=1, checkpoints=1, standardise="members")
    config = AuditConfig(
        source="wine",
        quantizers=("sign",),
        together=("sign + uniform(bits=4)",),
        attacks=("combined(sees=outputs)", "combined"),
        replicates=12,
        training=training,
        draws=50,
    )
    attacks = audit(config).together[0].attacks
    assert attacks["combined"].advantage.low > 0.1
    assert attacks["combined"].advantage.value > attacks["combined(sees=outputs)"].advantage.value + 0.1
