from dataclasses import replace

from leaq.reporting.attacks import attack_table
from leaq.reporting.tables import MISSING, indicators
from leaq.results.tidy import tidy
from leaq.types import Estimate, NotComputed
from tests.results import attack, cell, row
from tests.unit.reporting.test_asides import SPEC, joint
from tests.unit.reporting.test_tables import column, lines


def number_of(table, title, key):
    place = [column.title for column in table.columns].index(title)
    return next(line[place] for line, spec in zip(table.rows, table.keys, strict=True) if spec == key)


def audited(**changes):
    one = row("sign", "sign", 0.2)
    return cell(replace(one, attacks={"lira": replace(attack("lira", 0.2), **changes)}))


def test_a_bound_on_the_leak_stands_only_where_nothing_is_told():
    assert number_of(attack_table(audited()), "Leak ≥", "sign") == "0.18"
    told = attack_table(audited(told=True))
    assert number_of(told, "Leak ≥", "sign") == "–"
    assert any("to be told is another game" in str(note) for note in told.footnotes)


def test_of_epsilon_only_the_lower_limit_is_printed():
    """Results of older versions hold a point estimate beside it, which bounds nothing."""
    result = audited(epsilon=Estimate(4.2, 1.7, float("inf"), 80))
    assert number_of(attack_table(result), "ε ≥", "sign") == "1.70"


def test_the_table_holds_every_attack_and_say_what_is_missing():
    table = attack_table(cell(), introduced=False)
    assert [item.title for item in table.columns] == ["Quantizer", "Attack", "Advantage", "Bal. accuracy", "AUC",
                                                      "TPR @ 1.0% FPR", "TPR @ 0.1% FPR", "Leak ≥",
                                                      "Flags"]  # fmt: skip
    assert len(table.rows) == 5 * 3
    assert column(table, "Attack")[:3] == ["Loss threshold", "LiRA, not adaptive", "LiRA"]
    assert set(column(table, "TPR @ 0.1% FPR")) == {MISSING}
    assert "a  TPR at 0.1% FPR needs more trials." in lines(table)


def test_an_attack_that_was_not_run_keeps_its_line_and_its_reason():
    bare = row("none", "full precision", 0.3)
    bare = replace(bare, attacks={**bare.attacks, "lira": NotComputed("LiRA needs shadow models")})
    table = attack_table(cell(bare), introduced=False)
    [line] = [line for line in table.rows if line[1] == "LiRA"]
    assert line[2:] == (*[MISSING] * 6, "b")
    assert {len(line) for line in table.rows} == {len(table.columns)}
    assert "b  LiRA needs shadow models" in lines(table)


def test_tables_show_only_the_attacks_that_read_several_releases():
    result = replace(cell(), together=(joint(),))
    table = attack_table(result)
    assert [key for key in table.keys if key == SPEC] == [SPEC]
    notes = [note.text for note in table.footnotes]
    assert "Several releases of one model." in notes
    assert not any("attacks one release" in note for note in notes)
    assert SPEC in indicators(result).keys
    assert any(one["quantizer"] == SPEC and one["name"] == "lira.advantage" for one in tidy([result]))
