from dataclasses import replace

from leaq.decisions.choosing import recommend
from leaq.decisions.standing import cost, front, leak, not_told_apart, reference, start_budget
from leaq.reporting.figures import tradeoff
from leaq.reporting.narrative import headline
from leaq.reporting.pages import audit_page
from leaq.types import Flag, NotComputed
from tests.results import cell, estimate, row


def labels(rows):
    return [item.label for item in rows]


def test_cost_is_positive_where_the_metric_got_worse():
    result = cell()
    sign = next(item for item in result.rows if item.quantizer == "sign")
    found = cost(result, sign)
    assert (found.value, round(found.low, 3), round(found.high, 3)) == (0.030, 0.028, 0.032)


def test_cost_keeps_the_sign_of_errors_which_are_good_when_small():
    worse = row("sign", "sign", 0.1)
    worse.drops["rmse"] = estimate(0.5, 0.1)
    result = cell(row("none", "full precision", 0.3), worse, primary_metric="rmse")
    assert cost(result, worse).value == 0.5


def test_full_precision_costs_nothing_by_definition():
    result = cell()
    found = cost(result, reference(result))
    assert (found.value, found.low, found.high) == (0, 0, 0)


def test_front_leaves_out_beaten_rows_and_models_that_predict_nothing():
    rows = (
        row("none", "full precision", 0.30),
        row("a", "a", 0.2, -0.01),
        row("b", "beaten", 0.25, -0.02),
        row("c", "c", 0.1, -0.03),
    )
    assert labels(front(cell(*rows))) == ["full precision", "a", "c"]
    assert "ternary 90% sparse" not in labels(front(cell()))


def test_equal_points_are_both_on_the_front():
    rows = (row("none", "full precision", 0.3), row("a", "a", 0.1, -0.01), row("b", "b", 0.1, -0.01))
    assert labels(front(cell(*rows))) == ["full precision", "a", "b"]


def test_start_budget_depends_on_the_metric():
    assert start_budget(cell()) == 0.01
    full = row("none", "full precision", 0.3)
    full.metrics["rmse"] = estimate(50.0)
    assert start_budget(cell(full, primary_metric="rmse")) == 1.0
    full.metrics["rmse"] = NotComputed("no outputs")
    assert start_budget(cell(full, primary_metric="rmse")) == 0.02


def test_not_told_apart_intervals_are_found_both_ways():
    a, b, c = row("none", "a", 0.10, half=0.03), row("b", "b", 0.15, half=0.03), row("c", "c", 0.30, half=0.03)
    result = cell(a, b, c)
    assert labels(not_told_apart(result, a)) == ["b"]
    assert labels(not_told_apart(result, b)) == ["a"]
    assert not_told_apart(result, c) == ()


def test_a_row_without_the_attack_has_no_leak():
    bare = row("sign", "sign", 0.0)
    bare = replace(bare, attacks={**bare.attacks, "lira": NotComputed("needs shadows")})
    result = cell(row("none", "full precision", 0.3), bare)
    assert leak(result, bare) is None
    assert not_told_apart(result, bare) == ()


def with_baseline():
    """Return a result in which the model trained with differential privacy leaks least and costs nothing."""
    private = row("dp_sgd(epsilon=1)", "DP-SGD ε=1", 0.01)
    private = replace(private, flags=(Flag("dp-sgd", "Trained with (1, 1e-5)-differential privacy."),))
    return cell(row("none", "full precision", 0.30), row("a", "a", 0.2), private)


def test_a_model_trained_with_differential_privacy_is_shown_but_no_choice():
    result = with_baseline()
    assert labels(result.ranked())[0] == "DP-SGD ε=1"
    assert recommend([result], 0.5)[0].chosen == "a"
    assert "DP-SGD ε=1" not in labels(front(result))
    assert headline(result).endswith(
        "Of the quantizers, a leaks least: 0.200 [0.180, 0.220], with no established change "
        "of ROC-AUC (loss 0.0000 [-0.0020, 0.0020])."
    )
    points = next(found["data"]["values"] for found in tradeoff(result)["layer"] if "shape" in found["encoding"])
    assert {point["label"]: point["shape"] for point in points}["DP-SGD ε=1"] == "triangle-up"
    chooser = audit_page(result, prefix="x", internal=False)["chooser"]
    assert {entry["label"] for entry in chooser["rows"]} == {"full precision", "a"}
