from dataclasses import replace

import pytest

from leaq.errors import InvalidInput, UnknownName
from leaq.study.gating import gate
from leaq.types import AttackResult, Estimate
from tests.unit.study.cells import cell, row

GOOD = cell([row("none", 0.5, 0.95), row("sign", 0.05, 0.9), row("uniform(bits=4)", 0.08, 0.92)])


def test_passes_only_at_the_worse_end_of_the_interval():
    assert gate([GOOD], max_advantage=0.091, min_metric=0.88).passed
    verdict = gate([GOOD], max_advantage=0.085)  # 0.08 passes, its upper limit 0.09 does not
    assert not verdict.passed
    assert "uniform(bits=4): the advantage of lira may be as large as 0.090, above 0.085" in verdict.reasons[0]
    verdict = gate([GOOD], min_metric=0.895)
    assert "roc_auc may be as small as 0.890, below 0.895" in verdict.reasons[0]


def test_full_precision_is_judged_only_by_name():
    assert gate([GOOD], max_advantage=0.1).checked == 2
    assert not gate([GOOD], max_advantage=0.1, quantizers=("none",)).passed


def test_missing_evidence_fails():
    verdict = gate([cell([row("sign", None, 0.9)])], max_advantage=0.9)
    assert "lira was not computed, and missing evidence fails" in verdict.reasons[0]
    assert "accuracy was not computed" in gate([GOOD], min_metric=0.1, metric="accuracy").reasons[0]
    assert "nothing to judge" in gate([cell([row("none", 0.1, 0.9)])], max_advantage=0.9).reasons[0]


def test_one_bad_cell_fails_the_run():
    bad = cell([row("sign", 0.4, 0.9)], data="b")
    verdict = gate([GOOD, bad], max_advantage=0.1)
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("b (ecfp4, seed 0)")
    assert verdict.worst_advantage == pytest.approx(0.41)


def test_a_gate_without_a_limit_is_refused():
    with pytest.raises(InvalidInput, match="A gate needs a limit. Found none"):
        gate([GOOD])


def test_a_quantizer_that_was_not_measured_is_refused():
    with pytest.raises(UnknownName, match=r"Unknown quantizer in this run 'sgn'.*Did you mean 'sign'\?"):
        gate([GOOD], max_advantage=1, quantizers=("sgn",))


def test_one_line_a_model_names_its_worst_attack_and_counts_the_others():
    bad = row("sign", 0.5, 0.7)
    worse = AttackResult("rmia", "outputs", "pool", Estimate(0.5, 0.4, 0.9, 40), Estimate(0.8, 0.7, 0.9, 40))
    bad = replace(bad, attacks={**bad.attacks, "rmia": worse})
    verdict = gate([cell([row("none", 0.5, 0.9), bad])], max_advantage=0.1, min_metric=0.8)
    assert len(verdict.reasons) == 3
    assert verdict.failing == (
        "a (ecfp4, seed 0), sign: the advantage of rmia may be as large as 0.900, above 0.1 (2 attacks fail); "
        "roc_auc may be as small as 0.690, below 0.8",
    )
