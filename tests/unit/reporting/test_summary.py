"""A study summed up: one row a quantizer and one a data set, a data set counting once."""

import pytest

from leaq.reporting.summary import by_data_set, by_quantizer
from tests.unit.study.cells import cell, row


def cells(leaks=((0.1, 0.3), (0.2, 0.5), (0.3, 0.7)), flags=()):
    found = []
    for data, (sign, full) in zip("abc", leaks, strict=True):
        for seed in range(3 if data == "a" else 1):
            rows = [row("none", full, 0.9, flags=flags if data == "c" else ()), row("sign", sign, 0.8, drop=-0.1)]
            found.append(cell(rows, data=data, seed=seed))
    return found


def test_a_data_set_counts_once_whatever_its_seeds():
    (table,) = by_quantizer(cells())
    assert table.title == "classification: quantizers over 5 cells of 3 data sets"
    assert [line[0] for line in table.rows] == ["sign", "none"]
    assert table.rows[0][1].startswith("0.20 [-0.05, 0.45]")  # t with 2 degrees of freedom over 0.1, 0.2, 0.3
    assert table.rows[0][5] == "5"
    assert "over 3 data sets" in table.footnotes[0].text


def test_cells_without_skill_in_full_precision_keep_their_leak_and_leave_the_metric():
    (table,) = by_quantizer(cells(flags=("no-skill",)))
    assert table.values[0][1] == pytest.approx(0.2)
    assert table.rows[1][6] == "1"
    assert table.footnotes[1].text == "ROC-AUC and change leave out 1 cell without skill in full precision."


def test_one_data_set_has_no_interval():
    (table,) = by_quantizer(cells()[:3])
    assert table.rows[0][1] == "0.100"
    assert "without interval" in table.footnotes[0].text


def test_no_interval_reaches_beyond_what_its_number_can_be():
    """Two data sets of 0.9 and 0.5: Student's t with one degree of freedom gave a ROC-AUC of 0.7 [-1.8, 3.2]."""
    found = [cell([row("none", leak, auc), row("sign", leak, auc - at, drop=-at)], data=name)
             for name, leak, auc, at in (("a", 0.9, 0.9, 0.4), ("b", 0.1, 0.5, 0.0))]  # fmt: skip
    (table,) = by_quantizer(found)
    (full,) = [line for line in table.rows if line[0] == "none"]
    assert full[1:3] == ("0.5 [-1.0, 1.0]", "0.7 [0.0, 1.0]")
    (sign,) = [line for line in table.rows if line[0] == "sign"]
    assert sign[3] == "-0.2 [-1.0, 1.0]"


def test_least_of_one_is_no_win():
    rows = [row("none", 0.02, 0.5), row("sign", -0.03, 0.5, flags=("no-skill",))]
    (line,) = by_data_set([cell(rows, data="a")]).rows
    assert line[7:] == ("–", "0 of 1")


def test_tasks_are_never_pooled():
    other = cell([row("none", 0.5, 0.6, key="r2"), row("sign", 0.1, 0.5, key="r2")], data="d", task="regression")
    assert [table.title.split(":")[0] for table in by_quantizer([*cells(), other])] == ["classification", "regression"]


def test_one_row_a_data_set():
    table = by_data_set(cells())
    assert [line[0] for line in table.rows] == ["a", "b", "c"]
    assert table.rows[0][4:] == ("3", "ROC-AUC 0.90 (0.90 to 0.90)", "0.30 (0.30 to 0.30)", "sign", "3 of 3")
    assert table.rows[1][6] == "0.50"
