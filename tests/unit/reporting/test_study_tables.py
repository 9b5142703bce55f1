import re

import pytest

from leaq.decisions.choosing import recommend
from leaq.reporting.html import render
from leaq.reporting.study_tables import (
    MOST_PAIRS,
    agreements,
    audit_names,
    by_data_set,
    by_quantizer,
    overview,
    pairs,
    study_sentences,
    study_verdict,
    study_winner,
)
from leaq.types import Flag
from tests.helpers import require
from tests.results import cell, nasty, row
from tests.unit.study.cells import cell as found_cell
from tests.unit.study.cells import row as found_row


def study():
    """Two tasks with two embedders each; the second task turns the order around."""
    turned = (
        row("none", "full precision", 0.10),
        row("uniform(bits=8)", "8-bit", 0.15),
        row("uniform(bits=3)", "3-bit", 0.20),
        row("sign", "sign", 0.40),
    )
    found = []
    for name, rows in (("one", ()), ("two", turned)):
        for embedder in ("ecfp4", "graph"):
            made = cell(*rows, name=name)
            found.append(cell(*rows, name=name, config={**made.config, "embedder": embedder}))
    return found


def test_audits_are_named_by_what_sets_them_apart():
    assert audit_names(study()) == ["one · ecfp4", "one · graph", "two · ecfp4", "two · graph"]
    assert audit_names([cell(name="one"), cell(name="two")]) == ["one", "two"]


def test_audits_that_differ_in_nothing_are_numbered():
    assert audit_names([cell(), cell()]) == ["toy (1)", "toy (2)"]


def test_only_embedders_of_one_task_are_compared_where_there_are_several():
    assert pairs(study()) == [(0, 1), (2, 3)]
    assert pairs([cell(name="one"), cell(name="two"), cell(name="three")]) == [(0, 1), (0, 2), (1, 2)]


def test_agreement_is_full_between_equal_orders_and_negative_between_turned_ones():
    same = agreements(study())
    assert [line[2] for line in same.values] == [1.0, 1.0]
    turned = agreements([study()[0], study()[2]])
    assert turned.values[0][2] < 0
    assert turned.rows[0][2] == "-1.00 [-1.00, -0.67]"
    assert turned.rows[0][3] == "4"
    assert any("4 quantizers" in str(line) for line in turned.footnotes)


def test_pairs_left_out_are_counted():
    many = [cell(name=f"task {at}") for at in range(13)]
    table = agreements(many)
    assert len(table.rows) == MOST_PAIRS
    assert any("The first 60 of 78 pairs" in str(line) for line in table.footnotes)


def test_audits_without_common_quantizers_have_no_agreement():
    assert agreements([cell(row("none", "full precision", 0.1)), cell(row("sign", "sign", 0.1), name="b")]) is None


def test_overview_has_one_line_an_audit():
    table = overview(study())
    assert [line[0] for line in table.rows] == audit_names(study())
    assert [line[5] for line in table.rows] == ["sign", "sign", "full precision", "full precision"]
    assert "a loss of 0.01 ROC-AUC" in str(table.footnotes[-1])


def test_verdict_counts_audits_and_claims_no_more():
    assert study_winner(study()) == "Sign gives away least in 2 of 4 audits, set apart from every other in 2."
    close = [cell(row("none", "full precision", 0.06, half=0.1), row("a", "a", 0.05, half=0.1), name=n) for n in "xy"]
    assert study_winner(close) == "A gives away least in 2 of 2 audits, in none of them set apart from every other."


def test_the_verdict_of_a_study_is_the_recommendation_over_all_its_audits():
    said = study_verdict(study())
    [found] = recommend(study())
    assert said.startswith("Classification (4 of 4 audits): within a loss of 0.01 ROC-AUC, take 8-bit")
    assert found.label == "8-bit"


def test_a_model_without_rivals_wins_no_contest():
    """Two of three rows predict nothing: the third is least of one, which is no victory."""
    flags = (Flag("no-skill", "Predicts nothing."),)
    alone = (row("none", "full precision", 0.02), row("a", "a", -0.03, flags=flags), row("b", "b", 0.003, flags=flags))
    counter = (row("none", "full precision", 0.3), row("a", "a", 0.05), row("b", "b", 0.2))
    said = "A gives away least in 1 of 2 audits, set apart from every other in 1. In 1 no two models"
    assert study_winner([cell(*alone, name="x"), cell(*counter, name="y")]).startswith(said)
    assert study_winner([cell(*alone, name=n) for n in "xy"]).startswith("In no audit do two models")
    assert [line[5:7] for line in overview([cell(*alone, name="x"), cell(*counter, name="y")]).rows] == [
        ("–", "–"),
        ("a", "0.050 [0.030, 0.070]"),
    ]


def test_sentences_name_extremes_and_useless_quantizers():
    text = " ".join(study_sentences(study()))
    assert "4 audits (4 classification) of 2 data sets with 2 embedders." in text
    assert "largest for one · ecfp4, 0.300 [0.280, 0.320]" in text
    assert "No better than guessing: ternary 90% sparse in 2 of 4 audits" in text


@pytest.fixture(scope="module")
def html():
    for module in ("jinja2", "vl_convert"):
        require(module)
    return render([*study()[:2], nasty()], "internal")


def test_study_report_holds_all_its_parts(html):
    for part in ("overview", "agreement", "audits", "method", "reproduce", "a0-ranking", "a2-ranking"):
        assert f'id="{part}"' in html
    assert html.count('class="audit-details"') == 3
    assert "Kendall" in html


def test_study_report_escapes_every_string(html):
    assert "<script>alert" not in html
    assert html.count("<script") == 1


def test_study_report_asks_for_nothing_outside_itself(html):
    links = re.findall(r'(?:href|src)="([^"]*)"', html)
    assert all(link.startswith(("#", "data:")) for link in links)


def test_a_large_study_stays_below_six_megabytes(html):
    rows = [row("none", "full precision", 0.3), *(row(f"q{i}", f"quantizer {i}", i / 100, -i / 100) for i in range(19))]
    two = render([cell(*rows, name="one"), cell(*rows, name="two")])
    own = html.index("</style>") + len(html) - html.rindex("<script>")
    assert own + (len(two.encode()) - own) / 2 * 60 < 6e6, "60 audits of 20 quantizers"


def cells(leaks=((0.1, 0.3), (0.2, 0.5), (0.3, 0.7)), flags=()):
    found = []
    for data, (sign, full) in zip("abc", leaks, strict=True):
        for seed in range(3 if data == "a" else 1):
            rows = [
                found_row("none", full, 0.9, flags=flags if data == "c" else ()),
                found_row("sign", sign, 0.8, drop=-0.1),
            ]
            found.append(found_cell(rows, data=data, seed=seed))
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
    found = [found_cell([found_row("none", leak, auc), found_row("sign", leak, auc - at, drop=-at)], data=name)
             for name, leak, auc, at in (("a", 0.9, 0.9, 0.4), ("b", 0.1, 0.5, 0.0))]  # fmt: skip
    (table,) = by_quantizer(found)
    (full,) = [line for line in table.rows if line[0] == "none"]
    assert full[1:3] == ("0.5 [-1.0, 1.0]", "0.7 [0.0, 1.0]")
    (sign,) = [line for line in table.rows if line[0] == "sign"]
    assert sign[3] == "-0.2 [-1.0, 1.0]"


def test_least_of_one_is_no_win():
    rows = [found_row("none", 0.02, 0.5), found_row("sign", -0.03, 0.5, flags=("no-skill",))]
    (line,) = by_data_set([found_cell(rows, data="a")]).rows
    assert line[7:] == ("–", "0 of 1")


def test_quantizers_that_leak_least_equally_often_are_all_named():
    one = found_cell([found_row("none", 0.5, 0.9), found_row("sign", 0.1, 0.9), found_row("four", 0.2, 0.9)], data="a")
    two = found_cell([found_row("none", 0.5, 0.9), found_row("sign", 0.3, 0.9), found_row("four", 0.2, 0.9)], data="a")
    assert by_data_set([one, two]).rows[0][7:] == ("sign and four", "1 of 2 each")
    assert by_data_set([one, one, two]).rows[0][7:] == ("sign", "2 of 3")


def test_tasks_are_never_pooled():
    other = found_cell(
        [found_row("none", 0.5, 0.6, key="r2"), found_row("sign", 0.1, 0.5, key="r2")], data="d", task="regression"
    )
    assert [table.title.split(":")[0] for table in by_quantizer([*cells(), other])] == ["classification", "regression"]


def test_one_row_a_data_set():
    table = by_data_set(cells())
    assert [line[0] for line in table.rows] == ["a", "b", "c"]
    assert table.rows[0][4:] == ("3", "ROC-AUC 0.90 (0.90 to 0.90)", "0.30 (0.30 to 0.30)", "sign", "3 of 3")
    assert table.rows[1][6] == "0.50"
