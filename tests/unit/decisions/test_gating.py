from dataclasses import replace
from xml.etree import ElementTree

import pytest

from leaq.attacks.registry import parse_attacks
from leaq.decisions.gating import Limits, gate, junit
from leaq.errors import InvalidInput, UnknownName
from leaq.results.metrics import _METRICS, metric
from leaq.types import AttackResult, Estimate, NotComputed
from tests.unit.study.cells import cell, row

GOOD = cell([row("none", 0.5, 0.95), row("sign", 0.05, 0.9), row("uniform(bits=4)", 0.08, 0.92)])


def limits(**given):
    """Limits that ask for no other evidence than these made-up results hold."""
    return Limits(**{**({"require": ("lira",)} if "max_advantage" in given else {}), **given})


def test_passes_only_at_the_worse_end_of_the_interval():
    assert gate([GOOD], limits(max_advantage=0.091, min_metric=0.88)).passed
    verdict = gate([GOOD], limits(max_advantage=0.085))  # 0.08 passes, its upper limit 0.09 does not
    assert not verdict.passed
    assert "uniform(bits=4): the advantage of lira may be as large as 0.090, above 0.085" in verdict.reasons[0]
    verdict = gate([GOOD], limits(min_metric=0.895))
    assert "ROC-AUC may be as small as 0.890, below 0.895" in verdict.reasons[0]


def test_full_precision_is_judged_only_by_name():
    assert gate([GOOD], limits(max_advantage=0.1)).checked == 2
    assert not gate([GOOD], limits(max_advantage=0.1), quantizers=("none",)).passed


def test_missing_evidence_fails():
    verdict = gate([cell([row("sign", None, 0.9)])], limits(max_advantage=0.9))
    assert "lira was not computed (Add replicates), and missing evidence fails" in verdict.reasons[0]
    other = cell([row("sign", 0.05, 0.9, key="accuracy")], data="b")
    assert "accuracy was not computed" in gate([GOOD, other], limits(min_metric=0.1, metric="accuracy")).reasons[0]
    assert "nothing to judge" in gate([cell([row("none", 0.1, 0.9)])], limits(max_advantage=0.9)).reasons[0]


def test_one_bad_cell_fails_the_run():
    bad = cell([row("sign", 0.4, 0.9)], data="b")
    verdict = gate([GOOD, bad], limits(max_advantage=0.1))
    assert len(verdict.reasons) == 1
    assert verdict.reasons[0].startswith("b (ecfp4, seed 0)")
    assert verdict.worst_advantage == pytest.approx(0.41)


def test_a_gate_without_a_limit_is_refused():
    with pytest.raises(InvalidInput, match="A gate needs a limit. Found none"):
        gate([GOOD], limits())


@pytest.mark.parametrize(
    ("limit", "found"),
    [
        ({"max_advantage": 10}, "--max-leak: an advantage lies between -1 and 1. Found 10"),
        ({"max_advantage": float("nan")}, "Found nan"),
        ({"min_metric": 85}, "--min-metric: ROC-AUC lies between 0 and 1. Found 85. Per cent are hundredths"),
    ],
)
def test_a_limit_that_all_or_none_keep_to_is_refused(limit, found):
    with pytest.raises(InvalidInput, match=found):
        gate([GOOD], Limits(**limit))


def test_a_quantizer_that_was_not_measured_is_refused():
    with pytest.raises(UnknownName, match=r"Unknown quantizer in this run 'sgn'.*Did you mean 'sign'\?"):
        gate([GOOD], limits(max_advantage=1), quantizers=("sgn",))


def test_one_line_a_model_names_its_worst_attack_and_counts_the_others():
    bad = row("sign", 0.5, 0.7)
    worse = AttackResult("rmia", "outputs", "pool", Estimate(0.5, 0.4, 0.9, 40), Estimate(0.8, 0.7, 0.9, 40))
    bad = replace(bad, attacks={**bad.attacks, "rmia": worse})
    verdict = gate([cell([row("none", 0.5, 0.9), bad])], limits(max_advantage=0.1, min_metric=0.8))
    assert len(verdict.reasons) == 3
    assert verdict.failing == (
        "a (ecfp4, seed 0), sign: the advantage of rmia may be as large as 0.900, above 0.1 (2 attacks fail); "
        "ROC-AUC may be as small as 0.690, below 0.8",
    )


def test_what_a_standard_audit_runs_is_required_unless_told_otherwise():
    verdict = gate([GOOD], Limits(max_advantage=0.9))
    assert not verdict.passed
    missing = {reason.split("the attack ")[1].split(" was not")[0] for reason in verdict.reasons}
    assert missing == {one.spec() for one in parse_attacks(["default"])} - {"lira"}
    assert gate([GOOD], Limits(max_advantage=0.9, require=())).passed
    assert gate([GOOD], Limits(min_metric=0.5)).passed  # no advantage is asked about
    with pytest.raises(UnknownName, match="Unknown attack 'lyra'"):
        gate([GOOD], Limits(max_advantage=0.9, require=("lyra",)))


def test_an_attack_that_must_be_there_may_not_fall_back_to_a_weaker_one():
    weak = row("sign", 0.01, 0.9)
    weak = replace(weak, attacks={"threshold": weak.attacks["lira"], "lira": NotComputed("8 models.")})
    result = replace(cell([row("none", 0.5, 0.9), weak]), primary_attack="threshold")
    assert gate([result], limits(max_advantage=0.05, require=())).passed
    [reason] = gate([result], limits(max_advantage=0.05)).reasons
    assert "the attack lira was not computed (8 models), and missing evidence fails." in reason


ERRORS = {"none": 2.0, "sign": 3.5, "uniform(bits=4)": 2.2}


def regression():
    rows = [replace(row(name, 0.1, 0.5, key="r2"), metrics={"rmse": Estimate(value, value - 0.1, value + 0.1, 40)})
            for name, value in ERRORS.items()]  # fmt: skip
    return cell(rows, task="regression")


@pytest.mark.parametrize("name", ["rmse", "RMSE"])
def test_a_metric_of_which_less_is_better_passes_the_better_models(name):
    verdict = gate([regression()], limits(max_metric=3.0, metric=name))
    assert [one.where for one in verdict.models if one.reasons] == ["a (ecfp4, seed 0), sign"]
    assert "RMSE may be as large as 3.600, above 3." in verdict.reasons[0]
    assert verdict.worst_metric == pytest.approx(3.6)
    assert not gate([regression()], limits(max_metric=2.25, metric=name)).passed


@pytest.mark.parametrize("key", [key for key, one in _METRICS.items()])
def test_a_limit_against_the_direction_of_a_metric_is_refused(key):
    wrong, right = ("max_metric", "min_metric") if metric(key).larger_is_better else ("min_metric", "max_metric")
    with pytest.raises(InvalidInput, match=rf"{metric(key).name} is better the .* it is\. Give --{right[:3]}-metric\."):
        gate([GOOD], limits(**{wrong: 0.5, "metric": key}))
    gate([cell([row("sign", 0.05, 0.9, key=key)])], limits(**{right: 1.0, "metric": key}))


@pytest.mark.parametrize(("given", "said"), [
    ({"min_metric": 0.5, "metric": "r2"}, r"--metric must be one that this run measured. Found R². Measured: ROC-AUC."),
    ({"max_advantage": 0.5, "metric": "accuracy"}, "Found none for accuracy. Give --min-metric"),
    ({"max_advantage": 0.5, "metric": "rmse"}, "Found none for RMSE. Give --max-metric"),
    ({"min_metric": 0.5, "require": ("lira",)}, "--require names attacks that --max-leak asks for"),
])  # fmt: skip
def test_what_no_limit_is_about_is_refused(given, said):
    """R² of a classifier failed for want of evidence; beside a limit of the leak alone it was passed over."""
    with pytest.raises(InvalidInput, match=said):
        gate([GOOD], Limits(**given))


def test_a_metric_nobody_knows_is_refused_because_its_direction_is_a_guess():
    with pytest.raises(UnknownName, match="Unknown metric 'rmsd'. Did you mean 'rmse'"):
        gate([GOOD], limits(min_metric=0.5, metric="rmsd"))


def test_every_name_that_is_printed_is_understood():
    rows = [row("none", 0.1, 0.9), row("ternary(sparsity=0.9)", 0.1, 0.9), row("uniform(bits=4)", 0.1, 0.9)]
    labelled = [
        replace(one, label=label) for one, label in zip(rows, ("full precision", "Ternary 90%", "4-bit"), strict=True)
    ]
    result = cell(labelled)
    for name in ("full precision", "ternary 90%", "4-bit", "uniform(bits=4)", " uniform( bits = 4 )", "int4", "none"):
        assert gate([result], limits(max_advantage=0.5), quantizers=(name,)).checked == 1, name


def test_junit_has_a_case_for_every_model_with_its_reasons():
    bad = replace(row("sign", 0.5, 0.7), label="<sign> & co")
    verdict = gate([cell([bad, row("uniform(bits=4)", 0.01, 0.9)])], limits(max_advantage=0.1, min_metric=0.8))
    suite = ElementTree.fromstring(junit(verdict))
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed, passed = suite
    assert failed.get("name") == "a (ecfp4, seed 0), <sign> & co"
    assert "may be as large as 0.510, above 0.1" in failed.find("failure").get("message")
    assert failed.find("failure").text.count("\n") == 1
    assert passed.find("failure") is None


def test_junit_fails_where_there_is_nothing_to_judge():
    suite = ElementTree.fromstring(junit(gate([cell([row("none", 0.1, 0.9)])], limits(max_advantage=0.9))))
    assert (suite.get("failures"), suite[0].get("name")) == ("1", "the run")
