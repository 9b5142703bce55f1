import re
from dataclasses import replace

from leaq.reporting.narrative import about_r, about_zero, headline, least, reading, verdict, winner
from leaq.types import Flag, NotComputed
from tests.results import cell, estimate, row


def with_attack(one, name, found):
    return replace(one, attacks={**one.attacks, name: found})


def test_reading_says_what_who_how_much_and_at_what_cost():
    words = reading(cell())
    assert "toy holds 30 records (classification); 16 models, each trained on 15 of them" in words
    assert "under 4 quantizers" in words
    assert "sees the quantized model's outputs" in words
    assert "random half of a pool" in words
    assert "Of those that still predict, sign leaks least: 0.050 [0.030, 0.070]" in words
    assert "at a cost of 0.0300 [0.0280, 0.0320] in ROC-AUC" in words
    assert "r belongs to a set of sampled candidates" in words


def test_reading_never_calls_anything_private_or_safe():
    quiet = cell(row("none", "full precision", 0.01), row("sign", "sign", -0.005, -0.01))
    for result in (cell(), quiet):
        assert not re.search(r"\b(is|are) (private|safe|secure)\b", reading(result))
    assert "no leak found by this attack" in reading(quiet)


TOY = (
    "Within a loss of 0.01 ROC-AUC, take 8-bit: the smallest file without an established loss whose leak is not told "
    "apart from the least there, nor from full precision's. Sign more "
    "than halves the leak (0.30 to 0.05) for at most 0.033 ROC-AUC."
)


def test_a_small_leak_of_a_useless_model_is_no_merit():
    words = reading(cell())
    assert "Ternary 90% sparse predicts no better than guessing" in words
    assert verdict(cell()) == TOY


def test_the_answer_comes_first_and_says_how_much_less_is_given_away():
    assert reading(cell()).startswith(TOY)
    cheap = cell(row("none", "full precision", 0.3), row("a", "a", 0.05, -0.001))
    assert reading(cheap).startswith(
        "Within a loss of 0.01 ROC-AUC, take a: it gives away 0.250 [0.210, 0.290] less than full precision (0.30).\n"
    )
    assert "Of the choice, a: leak 0.050 [" in reading(cheap)


def test_a_useless_model_is_never_the_headline_unless_it_names_its_members():
    loud = row("ternary(sparsity=0.9)", "ternary", 0.9, -0.4, flags=(Flag("no-skill", "Predicts nothing."),))
    said = verdict(cell(*cell().rows[:4], loud))
    assert said.startswith("Ternary predicts nothing and gives members away (0.900 [0.880, 0.920]). Within a loss")
    assert verdict(cell()).startswith("Within a loss")


def test_overlapping_quantizers_are_said_to_be_so():
    close = (row("none", "full precision", 0.30), row("a", "a", 0.05, -0.01), row("b", "b", 0.06, -0.01))
    result = cell(*close)
    assert verdict(result) == (
        "Within a loss of 0.01 ROC-AUC, no quantizer is to be had beyond doubt; a comes nearest and may lose 0.0123. "
        "A more than halves the leak (0.30 to 0.05) for at most 0.013 ROC-AUC."
    )
    assert "This audit does not tell b apart from a, compared" in reading(result)
    assert "Full precision leaks more." in reading(result)


def test_when_all_overlap_no_winner_is_claimed():
    result = cell(row("none", "full precision", 0.06, half=0.1), row("a", "a", 0.05, -0.01, half=0.1))
    assert verdict(result).endswith("no quantizer is to be had beyond doubt; a comes nearest and may lose 0.012.")
    assert "does not tell the quantizers apart" in reading(result)


def test_a_change_within_its_interval_is_no_established_cost():
    result = cell(row("none", "full precision", 0.3), row("a", "a", 0.05, -0.001))
    assert "no established change of ROC-AUC" in reading(result)


def test_an_improvement_is_called_one():
    result = cell(row("none", "full precision", 0.3), row("a", "a", 0.05, +0.02))
    assert "ROC-AUC improves by 0.0200 [0.0180, 0.0220]" in reading(result)


def test_an_unstable_order_of_r_is_no_ranking():
    flag = Flag("r-order-unstable", "No ranking by r: 16% of the pairs change order.")
    assert "r gives no ranking here (16% of the pairs change order)" in reading(cell(flags=(flag,)))


def test_missing_numbers_are_said_to_be_missing():
    bare = replace(row("none", "full precision", 0.3), attacks={})
    bare.measures["r"] = NotComputed("needs checkpoints")
    words = reading(cell(bare))
    assert "nothing is known about the leak" in words
    assert "r could not be computed" in words
    assert verdict(cell(bare)) == "Nothing can be said about the leak."


def test_only_full_precision_is_still_a_sentence():
    result = cell(row("none", "full precision", 0.3))
    assert verdict(result) == "Only full precision was measured."
    assert "were attacked in full precision." in reading(result)


def test_digits_follow_the_interval():
    wide = row("none", "full precision", 0.3)
    found = wide.attacks["lira"]
    wide = with_attack(wide, "lira", replace(found, advantage=estimate(0.3123, 0.1)))
    assert "0.31 [0.21, 0.41]" in reading(cell(wide))


GUESS = (Flag("no-skill", "Predicts nothing."),)


def test_models_that_predict_nothing_and_name_their_members_are_not_passed_over():
    """300 records of 2,000 features: nothing is learned, everything is memorised."""
    rows = [row("none", "full precision", 0.99, half=0.01, flags=GUESS), row("a", "a", 0.88, half=0.03, flags=GUESS)]
    words = reading(cell(*rows))
    assert verdict(cell(*rows)) == (
        "No model predicts better than guessing, and members are given away all the same: 0.880 to 0.990."
    )
    assert "Full precision and a predict no better than guessing and give members away all the same" in words
    assert "no merit" not in words
    assert "Nothing can be said" not in words


def test_models_that_predict_nothing_and_leak_nothing_have_no_merit():
    rows = [row("none", "full precision", 0.0, flags=GUESS), row("a", "a", 0.01, flags=GUESS)]
    assert "that no leak is found (0.000 to 0.010) is no merit" in verdict(cell(*rows))
    assert "that little or no leak is found there is no merit" in reading(cell(*rows))


def test_an_interval_below_0_does_not_include_0():
    result = cell(row("none", "full precision", 0.3), row("a", "a", -0.12, -0.01, half=0.09))
    assert "That interval lies below 0, worse than blind guessing" in reading(result)
    assert "includes 0" not in reading(result)


def test_a_quiet_attack_is_no_finding_where_another_one_is_loud():
    quiet = row("a", "a", 0.01, -0.01)
    loud = replace(quiet.attacks["threshold"], attack="rmia", advantage=estimate(0.063, 0.02))
    quiet = with_attack(quiet, "rmia", loud)
    words = reading(cell(row("none", "full precision", 0.3), quiet))
    assert "no leak found by this attack, but RMIA found one in the same model: 0.063 [0.043, " in words
    assert "does not rule out others" not in words


def test_only_what_is_alone_is_called_so():
    rows = [row("none", "full precision", 0.1), row("a", "a", 0.02, flags=GUESS), row("b", "b", 0.03, flags=GUESS)]
    assert (
        verdict(cell(*rows)) == "Only full precision predicts better than guessing; its leak is 0.100 [0.080, 0.120]."
    )
    assert "leaks least" not in reading(cell(*rows))


def test_a_leading_attack_that_is_missing_does_not_hide_the_others():
    missing = NotComputed("needs 8 models")
    rows = [with_attack(one, "lira", missing) for one in (row("none", "full precision", 0.1), row("a", "a", 0.02))]
    assert verdict(cell(*rows)) == "The attack that leads could not be computed, so nothing is ranked."
    assert "others were, see their numbers" in reading(cell(*rows))


def test_the_number_of_rows_whose_r_is_no_more_than_0_is_told():
    flag = Flag("r-order-unstable", "No ranking by r: 2% of the pairs change order.")
    rows = [row("none", "full precision", 0.3), row("a", "a", 0.1)]
    rows[1].measures["r"] = estimate(0.0, 0.0)
    words = reading(cell(*rows, flags=(flag,)))
    assert "r cannot be told from 0 for 1 of 2 rows." in words


def test_a_bound_on_epsilon_above_0_is_a_finding_though_the_advantage_is_none():
    """breast_cancer, ternary 90 % sparse: advantage 0.039 [-0.003, 0.081] and epsilon at least 0.165, in one file."""
    result = cell()
    quietest = least(result)
    attack = quietest.attacks[result.primary_attack]
    wide = replace(attack.advantage, low=-0.003)
    for low, said in (
        (0.1654, "yet the same attack shows that ε is at least 0.16."),
        (0.004, "no leak found by this attack"),
        (0.0, "no leak found by this attack"),
    ):
        bound = replace(attack.advantage, value=low, low=low, high=float("inf"))
        told = replace(attack, advantage=wide, epsilon=bound)
        assert said in about_zero(result, replace(quietest, attacks={result.primary_attack: told}))


def test_r_that_is_nothing_in_every_row_orders_nothing():
    """It said "largest (most private) for full precision" over three rows of 0."""
    zero = estimate(0.0, 0.0)
    rows = [replace(one, measures={**one.measures, "r": zero}) for one in cell().rows]
    assert "r cannot be told from 0 for any row, so that it orders nothing;" in about_r(cell(*rows))
    some = [replace(cell().rows[0], measures={"r": zero}), *cell().rows[1:]]
    assert "is largest (most private) for" in about_r(cell(*some))


def test_a_weak_attacker_who_finds_nearly_all_is_no_reason_to_say_more_may_be_found():
    """It said "the leak may be far larger" over an advantage of 1.000."""
    loud = cell(row("none", "full precision", 0.97), row("sign", "sign", 0.97), config={"kind": "model"})
    quiet = cell(row("none", "full precision", 0.3), row("sign", "sign", 0.1), config={"kind": "model"})
    assert verdict(loud).startswith(
        "Even a weak attacker, without shadow models, tells members from others: 0.970 [0.9"
    )
    assert verdict(quiet).startswith("A weak attacker's numbers, without shadow models: the leak may be far larger.")


def test_least_of_equals_is_no_win():
    """It said "full precision leaks least: 1.000" over three models of 1.000."""
    equal = cell(row("none", "full precision", 0.97), row("sign", "sign", 0.97, -0.001))
    assert "Full precision and sign leak alike, each 0.970" in headline(equal)
    assert winner(equal) is None
    assert winner(cell(row("none", "full precision", 0.97), row("sign", "sign", 0.96))).label == "sign"


def test_what_gets_worse_by_growing_rises():
    """It said "loss of held-out loss"."""
    worse = {"rmse": estimate(0.01, 0.002)}
    rows = [replace(one, metrics={"rmse": one.metrics["roc_auc"]}, drops=one.drops and worse) for one in cell().rows]
    grown = cell(*rows, primary_metric="rmse")
    assert verdict(grown).startswith("Within a rise of 0.0")
    assert " RMSE, take " in verdict(grown)
    assert "loss of RMSE" not in reading(grown)
