from dataclasses import replace

from leaq.reporting.comparison import beside, verdicts
from tests.results import cell, row


def test_every_quantizer_of_either_run_has_a_row_in_the_order_of_the_first():
    other = cell(row("none", "full precision", 0.5), row("sign", "sign", 0.06), row("nf4", "NF4", 0.3))
    table = beside(cell(), other)
    found = {line[0]: line for line in table.rows}
    assert [line[0] for line in table.rows] == ["ternary 90% sparse", "sign", "3-bit", "8-bit", "full precision", "NF4"]
    assert found["full precision"][1:4] == ("0.300 [0.280, 0.320]", "0.500 [0.480, 0.520]", "yes")
    assert found["sign"][3] == "no"
    assert found["NF4"][1:4] == ("–", "0.300 [0.280, 0.320]", "–")


def test_what_keeps_the_two_from_being_compared_is_said():
    changed = cell(name="other", config={**cell().config, "seed": 4}, primary_attack="threshold")
    notes = " ".join(map(str, beside(cell(), changed).footnotes))
    assert "leading attacks differ" in notes
    assert "The data differ" in notes
    assert "seed 3 / 4" in notes
    assert "The same options in both." in str(beside(cell(), replace(cell())).footnotes[-1])


def test_each_says_what_to_release():
    assert [line[:3] for line in verdicts(cell(), cell())] == ["A: ", "B: "]
