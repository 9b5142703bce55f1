from dataclasses import replace

from leaq.reporting.asides import about_tasks
from leaq.reporting.card import privacy_card
from leaq.reporting.html import render
from leaq.reporting.task_tables import by_task
from tests.results import NASTY, attack, cell, estimate, row


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
