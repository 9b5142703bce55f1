from dataclasses import replace

from leaq.reporting.attack_tables import attack_numbers
from leaq.reporting.attacks import attack_table
from leaq.types import Estimate
from tests.results import attack, cell, row


def column(table, title, key):
    place = [column.title for column in table.columns].index(title)
    return next(line[place] for line, spec in zip(table.rows, table.keys, strict=True) if spec == key)


def audited(**changes):
    one = row("sign", "sign", 0.2)
    return cell(replace(one, attacks={"lira": replace(attack("lira", 0.2), **changes)}))


def test_a_bound_on_the_leak_stands_only_where_nothing_is_told():
    assert column(attack_table(audited()), "Leak ≥", "sign") == "0.18"
    told = attack_table(audited(told=True))
    assert column(told, "Leak ≥", "sign") == "–"
    assert any("to be told is another game" in str(note) for note in told.footnotes)


def test_of_epsilon_only_the_lower_limit_is_printed():
    """Results of older versions hold a point estimate beside it, which bounds nothing."""
    result = audited(epsilon=Estimate(4.2, 1.7, float("inf"), 80))
    assert column(attack_table(result), "ε ≥", "sign") == "1.70"
    assert column(attack_numbers(result), "ε, at least", "sign") == "1.70"
