import pytest

from leaq.attacks.registry import attack_families
from leaq.reporting.display_names import attack_name, flag_words, game_words, in_reading_order, indicator, short_attack
from leaq.types import Flag


def test_every_attack_and_every_attack_on_tokens_has_a_name_of_its_own():
    keys = [*attack_families()["all"], "reference", "min-k", "min-k++", "wbc"]
    for name in (attack_name, short_attack):
        assert len({name(key) for key in keys}) == len(keys)
    assert (attack_name("min-k"), short_attack("wbc")) == ("Min-K% attack on the least likely tokens", "WBC")


def test_what_is_not_known_keeps_its_words():
    assert (attack_name("my-own-attack"), short_attack("my-own-attack")) == ("my own attack", "my own attack")
    assert indicator("my_own_number") == ("my own number", "")
    assert "'my own'" in game_words("my own")


def test_attacks_stand_weakest_first_and_indicators_as_people_expect_them_unknown_ones_last():
    assert in_reading_order(["combined", "zeta", "threshold", "lira", "alpha", "lira"], "attack") == [
        "threshold", "lira", "combined", "alpha", "zeta",
    ]  # fmt: skip
    assert in_reading_order(["loss_gap", "r", "leak_vs_full", "mine"], "indicator") == [
        "leak_vs_full",
        "r",
        "loss_gap",
        "mine",
    ]


@pytest.mark.parametrize("game", ["pool", "calibration", "released", "iid"])
def test_every_game_is_said(game):
    assert game_words(game).startswith("members")
    assert game not in game_words(game).split()[:3]


def test_a_flag_is_a_sentence():
    assert [flag_words(Flag("a", text)) for text in ("Few models", "Why?", "Done.")] == ["Few models.", "Why?", "Done."]
