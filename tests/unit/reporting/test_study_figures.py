from leaq.reporting.study_figures import crowded, leaks, ranks
from leaq.types import Flag
from tests.results import cell, row


def test_the_figure_of_a_crowded_study_names_its_audits_in_tips_only():
    """One hundred names would be pages tall; the order and every number stay."""
    few, many = [cell(name=f"d{at}") for at in range(3)], [cell(name=f"d{at}") for at in range(100)]
    (small, _), (large, tips) = leaks(few), leaks(many)
    assert not crowded(few)
    assert crowded(many)
    assert large["height"] < 700
    marks = next(found for found in large["layer"] if found["mark"]["type"] == "point")
    assert len({value["audit"] for value in marks["data"]["values"]}) == 100
    assert marks["encoding"]["y"]["axis"]["labels"] is False
    assert all("advantage" in tip for tip in tips)
    named = next(found for found in small["layer"] if found["mark"]["type"] == "point")
    assert named["encoding"]["y"]["axis"]["labels"] is True


def test_no_circle_is_drawn_where_only_full_precision_predicts():
    """Least of one is no win, in a picture as little as in a sentence."""
    useless = (Flag("no-skill", "Predicts nothing."),)
    alone = cell(row("none", "full precision", 0.3), row("sign", "sign", 0.01, -0.4, flags=useless), name="alone")
    drawn, _ = leaks([cell(), alone])
    points = next(found for found in drawn["layer"] if found["mark"]["type"] == "point")["data"]["values"]
    assert [(one["audit"], one["shape"]) for one in points] == [
        ("toy", "square"), ("toy", "circle"), ("alone", "square"),
    ]  # fmt: skip


def test_every_audit_is_named_beside_its_row():
    """Labels of numbers give way to each other; every second name did, too."""
    few = [cell(name=f"d{at}") for at in range(18)]
    for figure, _ in (leaks(few), ranks(few)):
        assert "labelOverlap" not in figure["config"]["axis"]
        assert figure["config"]["axisQuantitative"]["labelOverlap"] is True
