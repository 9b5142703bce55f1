import pytest

from leaq.attacks.registry import (
    attack_families,
    build_attack,
    entries,
    entry,
    parse_attacks,
    primary,
    short_name,
    title_of,
)
from leaq.errors import InvalidInput, UnknownName


def specs(*chosen):
    return [attack.spec() for attack in parse_attacks(chosen)]


@pytest.mark.parametrize(
    ("old", "now"),
    [
        ("loss", "threshold"),
        ("white-box", "whitebox"),
        ("threshold-classwise", "threshold(per=label)"),
        ("rmia-offline", "rmia(mode=offline)"),
        ("lira-online", "lira"),
        ("lira-online(normalise=false)", "lira(normalise=False)"),
        ("lira-offline", "lira(mode=offline)"),
        ("lira-nonadaptive", "lira(shadows=full_precision)"),
        ("lira-nonadaptive(normalise=false)", "lira(shadows=full_precision, normalise=False)"),
        ("lira-online-per-record", "lira(variance=per_record)"),
    ],
)
def test_names_of_before_are_understood(old, now):
    assert build_attack(old).spec() == now
    assert specs(old) == [now]
    assert (short_name(old), title_of(old)) == (build_attack(now).short(), build_attack(now).title())


def test_families_are_written_out_once_and_weakest_first():
    assert specs("all") == list(attack_families()["all"])
    assert specs("default") == specs("default", "lira", "threshold")
    assert specs("combined, lira", "threshold") == ["threshold", "lira", "combined"]
    assert specs("default")[-2:] == ["combined(sees=outputs)", "combined"]


def test_what_is_not_of_a_family_stands_behind_its_like():
    assert specs("whitebox", "rmia(gamma=3)", "rmia", "lira") == ["rmia", "rmia(gamma=3.0)", "lira", "whitebox"]


@pytest.mark.parametrize(("name", "meant"), [("lira-onlin", "lira-online"), ("rmai", "rmia"), ("defualt", "default")])
def test_unknown_attacks_name_the_closest(name, meant):
    with pytest.raises(UnknownName, match=f"Did you mean '{meant}'"):
        parse_attacks([name])


def test_a_wrong_option_is_refused():
    with pytest.raises(InvalidInput, match="mode"):
        parse_attacks(["lira(mode=inline)"])


def test_rows_are_ordered_by_the_strongest_attack_there_is_evidence_for():
    everything = parse_attacks(["default"])
    assert primary(everything, models=8) == "combined"
    assert primary(everything, models=7) == "threshold"
    assert primary(parse_attacks(["lira", "threshold"]), models=16) == "lira"
    assert primary(parse_attacks(["lira", "rmia"]), models=4) == "lira"
    assert primary(parse_attacks(["combined(sees=outputs)", "whitebox"]), models=16) == "combined(sees=outputs)"


def test_what_is_no_attack_of_the_registry_keeps_its_words():
    assert (short_name("yeom-adversary"), title_of("yeom-adversary")) == ("yeom adversary", "yeom adversary")


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
