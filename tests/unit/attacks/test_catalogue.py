import pytest

from leaq.attacks.catalogue import entries, entry, markdown
from leaq.attacks.registry import attack_families
from leaq.errors import UnknownName


def test_every_attack_is_there_once_weakest_first_and_says_what_it_needs():
    found = entries()
    assert tuple(one.spec for one in found) == attack_families()["all"]
    assert all(one.what and one.source and one.holds and one.told and "all" in one.families for one in found)
    assert {one.spec for one in found if "default" in one.families} == set(attack_families()["default"])


def test_one_is_found_by_specification_and_by_what_it_was_called():
    assert entry("lira-offline") == entry("lira(mode=offline)")
    assert entry("combined").holds == "the released file"
    assert entry("combined(sees=outputs)").holds == "the model's answers"
    with pytest.raises(UnknownName, match="Did you mean 'lira'"):
        entry("lyra")


def test_the_page_has_a_line_each_and_no_bar_breaks_it():
    lines = markdown().splitlines()
    assert len(lines) == 2 + len(entries())
    assert {line.replace(r"\|", "").count("|") for line in lines} == {7}
