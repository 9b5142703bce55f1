from dataclasses import replace

import numpy as np
import pytest

from leaq.reporting.asides import about_tasks
from leaq.reporting.card import privacy_card
from leaq.reporting.html import render
from leaq.reporting.tables import MISSING, by_task, indicators, ranking, size_words, text
from leaq.stats.digits import format_estimate
from leaq.types import Flag, NotComputed
from tests.results import NASTY, attack, cell, estimate, row


def column(table, title):
    at = [item.title for item in table.columns].index(title)
    return [line[at] for line in table.rows]


def lines(table):
    return [str(note) for note in table.footnotes]


def test_ranking_puts_least_leak_first_and_says_so():
    table = ranking(cell())
    assert column(table, "Quantizer") == ["ternary 90% sparse", "sign", "3-bit", "8-bit", "full precision"]
    assert "least leak first" in table.order
    assert "95%" in table.order


def test_ranking_has_the_columns_a_reader_needs():
    titles = [item.title for item in ranking(cell()).columns]
    assert titles == ["Quantizer", "LiRA", "Change", "ROC-AUC", "Size", "Loss threshold", "Bits", "r", "n·r",
                      "Flags"]  # fmt: skip
    assert all(item.explanation for item in ranking(cell()).columns)


def test_the_row_that_leaks_least_is_not_compared_with_itself():
    rows = [row(spec, spec, leak) for spec, leak in (("sign", 0.1), ("none", 0.3))]
    gaps = (estimate(0.0, 0.0), estimate(0.2, 0.1))
    rows = [replace(one, measures={**one.measures, "leak_vs_least": gap}) for one, gap in zip(rows, gaps, strict=True)]
    assert column(ranking(cell(*rows)), "vs least")[0] == ""


def test_digits_follow_the_interval():
    wide, narrow = row("none", "wide", 0.3123, half=0.2), row("sign", "narrow", 0.3123, half=0.0002)
    cells = dict(zip(["wide", "narrow"], column(ranking(cell(wide, narrow)), "LiRA"), strict=True))
    assert cells["wide"] == "+0.31 [0.11, 0.51]"
    assert cells["narrow"] == "+0.31230 [0.31210, 0.31250]"


def test_every_cell_has_a_value_to_sort_by():
    table = ranking(cell())
    assert len(table.values) == len(table.rows) == len(table.keys)
    leaks = [line[1] for line in table.values]
    assert leaks == sorted(leaks)


def test_flags_become_lettered_notes_once_each():
    flag = Flag("odd", "Something is odd")
    marked = [row(spec, spec, 0.1, flags=(flag,)) for spec in ("sign", "int4")]
    table = ranking(cell(row("none", "full precision", 0.3), *marked))
    assert column(table, "Flags") == ["a", "a", ""]
    assert [note.text for note in table.footnotes if note.mark] == ["Something is odd."]
    assert "Biases stay in full precision." in lines(table)


def test_a_doubt_of_every_row_is_said_once_and_marks_none():
    flag = Flag("odd", "Something is odd")
    table = ranking(cell(*(row(spec, spec, 0.1, flags=(flag,)) for spec in ("none", "sign"))))
    assert column(table, "Flags") == ["", ""]
    assert "Every row: Something is odd." in lines(table)


def test_more_than_26_notes_get_two_letters():
    flags = tuple(Flag(f"f{i}", f"Doubt {i}.") for i in range(28))
    table = ranking(cell(row("none", "full precision", 0.3, flags=flags)))
    assert [note.mark for note in table.footnotes if note.mark][-2:] == ["aa", "ab"]


def test_what_is_not_computed_is_a_dash_with_its_reason():
    bare = row("none", "full precision", 0.3)
    bare.measures["r"] = NotComputed("r needs two checkpoints")
    table = ranking(cell(bare))
    assert column(table, "r") == [MISSING]
    assert "a  r needs two checkpoints" in lines(table)


def test_flags_on_the_advantage_reach_the_table():
    odd = row("none", "full precision", 0.3)
    found = odd.attacks["lira"]
    few = replace(found, advantage=found.advantage.flagged(Flag("few", "Few models.")))
    odd = replace(odd, attacks={**odd.attacks, "lira": few})
    assert "a  Few models." in lines(ranking(cell(odd)))


def test_infinite_rates_are_written_as_such():
    sure = row("none", "full precision", 0.3)
    sure.measures["r"] = replace(estimate(0.1), value=np.inf, high=np.inf)
    assert column(ranking(cell(sure)), "r")[0].startswith("∞")


def test_drop_says_which_way_is_worse():
    heads = {item.title: item.explanation for item in ranking(cell()).columns}
    assert "negative: worse" in heads["Change"]
    rmse = row("none", "full precision", 0.3)
    rmse.metrics["rmse"] = estimate(1.0)
    heads = {item.title: item.explanation for item in ranking(cell(rmse, primary_metric="rmse")).columns}
    assert "positive: worse" in heads["Change"]


def test_indicators_are_in_a_fixed_order_whatever_the_file_says():
    shuffled = row("none", "full precision", 0.3)
    shuffled = replace(shuffled, measures=dict(sorted(shuffled.measures.items())))
    titles = [item.title for item in indicators(cell(shuffled)).columns]
    assert titles == ["Quantizer", "r", "n·r", "distortion", "Flags"]


@pytest.mark.parametrize(("count", "words"), [(999, "999 B"), (1000, "1 kB"), (49656, "49.7 kB"), (3.2e9, "3.2 GB")])
def test_sizes_are_written_as_people_say_them(count, words):
    assert size_words(count) == words


def test_text_holds_every_row_every_note_and_the_reading():
    printed = text(cell())
    for wanted in (
        "full precision",
        "ternary 90% sparse",
        "Biases stay in full precision.",
        "least leak first",
        "sign leaks least",
    ):
        assert wanted in printed
    assert "\x1b" not in printed


def test_printed_numbers_are_those_of_the_result():
    result = cell()
    printed = column(ranking(result), "LiRA")
    wanted = [format_estimate(item.attacks["lira"].advantage, sign=True) for item in result.ranked()]
    assert printed == wanted


def test_what_every_row_lacks_is_said_once():
    lacking = NotComputed("no candidates along training")
    rows = [
        replace(one, measures={**one.measures, "r": lacking})
        for one in (row("none", "full", 0.3), row("sign", "sign", 0.1))
    ]
    table = ranking(cell(*rows))
    assert [str(note) for note in table.footnotes].count("Every row: no candidates along training") == 1
    assert {line[-1] for line in table.rows} == {""}


def plain():
    return cell(row("none", "full precision", 0.4), row("sign", "sign", 0.1, -0.02))


def several(name="toxic"):
    base = plain()

    def split(one):
        blind = "combined(sees=outputs)"
        tasks = {
            name: replace(
                row("none", "x", 0.4), metrics={"roc_auc": estimate(0.8)}, attacks={blind: attack(blind, 0.4)}
            ),
            "logS": replace(row("sign", "x", 0.1), metrics={"r2": estimate(0.5)}, attacks={blind: attack(blind, 0.1)}),
        }
        return replace(one, by_task=tasks)

    tasks = [{"name": name, "task": "classification", "n": 70, "classes": {"no": 40, "yes": 30}}]
    tasks += [{"name": "logS", "task": "regression", "n": 90, "unit": "", "target_sd": 1.0}]
    return replace(base, rows=tuple(map(split, base.rows)), data={**base.data, "tasks": tasks})


def test_one_row_a_quantizer_and_task_in_the_order_of_the_columns():
    found = several()
    table = by_task(found)
    assert [line[1] for line in table.rows[:4]] == ["toxic", "logS", "toxic", "logS"]
    assert table.rows[0][2] == "70"
    assert len(table.rows) == 2 * len(found.rows)
    brief = by_task(found, brief=True)
    assert len(brief.rows) == 4
    assert {line[0] for line in brief.rows} == {found.ranked()[0].label, "full precision"}
    assert by_task(plain()) is None
    assert about_tasks(plain()) == ""


def test_card_and_page_hold_the_table_with_nothing_of_a_name_as_markup():
    found = several(NASTY)
    assert "### Each task by itself" in privacy_card(found)
    text = render(found)
    assert 'id="tasks"' in text
    assert NASTY not in text
