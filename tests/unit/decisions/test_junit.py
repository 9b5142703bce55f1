from dataclasses import replace
from xml.etree import ElementTree

from leaq.decisions.gating import gate
from leaq.decisions.junit import junit
from tests.unit.decisions.test_gating import limits
from tests.unit.study.cells import cell, row


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
