from dataclasses import replace

import pytest
from benchmarks.claims.judging import claims
from benchmarks.claims.page import Group, claims_page, runs_page

from leaq.errors import NotEnoughEvidence
from tests.unit.study.cells import cell, row

NAMES = ("sign", "ternary(sparsity=0.9)", "uniform(bits=4)")


def study(leaks, metrics=(0.85, 0.7, 0.93), *, losses=(0.1, 0.5, 0.0), peak=0, tasks=("classification", "regression")):
    cells = []
    for task in tasks:
        for i in range(6):
            for embedder in ("ecfp4", "maccs"):
                key = "roc_auc" if task == "classification" else "r2"
                full = 0.95 if task == "classification" else 0.8
                kept = metrics if task == "classification" else [full * (1 - loss) for loss in losses]
                jitter = 0.001 * i
                rows = [row("none", 0.6, full, key=key)]
                rows += [row(n, a + jitter, m, key=key, peak=peak) for n, a, m in zip(NAMES, leaks, kept, strict=True)]
                cells.append(cell(rows, data=f"{task}{i}", task=task, embedder=embedder))
    return cells


def verdicts(cells):
    return {claim.key: claim.verdict for claim in claims(cells)}


def test_a_study_that_says_so_supports_every_claim():
    found = verdicts(study((0.3, 0.05, 0.5), metrics=(0.94, 0.93, 0.949)))
    assert found == dict.fromkeys(("a", "b1", "b2", "c", "d", "e", "f1"), "supported")


def test_a_study_that_says_the_opposite_supports_none():
    found = verdicts(study((0.05, 0.3, 0.02), losses=(0.0, 0.0, 0.0), peak=9))
    assert found["f1"] == found["e"] == found["b2"] == found["b1"] == found["c"] == "not supported"


def test_no_difference_is_undecided_not_supported():
    found = verdicts(study((0.3, 0.3, 0.3)))
    assert found["a"] == found["f1"] == "undecided"


def test_four_data_sets_decide_nothing_and_the_page_says_why():
    cells = [one for one in study((0.3, 0.05, 0.5)) if one.data["name"][-1] in "01"]
    assert set(verdicts(cells).values()) == {"undecided"}
    page = claims_page([Group("x", cells)])
    assert "- (a) Undecided: 4 data sets are too few, 5 are needed." in page


def test_five_of_five_data_sets_do_not_establish_a_majority():
    """Clopper-Pearson of 5 of 5 reaches down to 0.48; the sixth decides."""
    cells = study((0.3, 0.05, 0.5), tasks=("classification",))
    assert verdicts(cells)["e"] == "supported"
    assert verdicts([one for one in cells if one.data["name"][-1] != "5"])["e"] == "undecided"


def test_sparsity_against_bits_is_judged_where_both_are_measured():
    def cells(leaks):
        names = ("ternary(sparsity=0.9)", "ternary(sparsity=0.33)", "uniform(bits=2)", "uniform(bits=4)")
        rows = [[row("none", 0.6, 0.9), *(row(n, leak + 0.001 * i, 0.9) for n, leak in zip(names, leaks, strict=True))]
                for i in range(6)]  # fmt: skip
        return [cell(found, data=str(i)) for i, found in enumerate(rows)]

    assert verdicts(cells((0.1, 0.5, 0.4, 0.6)))["f2"] == "supported"
    assert verdicts(cells((0.1, 0.2, 0.3, 0.6)))["f2"] == "not supported"
    page = claims_page([Group("x", cells((0.1, 0.2, 0.3, 0.6)))])
    assert "**Disagrees with the source.** Here the step from 2 to 4 bits changes more" in page


def test_the_pages_name_n_verdict_command_and_cost():
    group = Group("x", [replace(one, timings={"models_seconds": 2.0, "measures_seconds": 4.0}) for one in
                        study((0.3, 0.05, 0.5))], "leaq audit x.toml")  # fmt: skip
    page = claims_page([group])
    assert "## x: 24 cells, 12 data sets, attack: lira" in page
    assert "| 12 | **supported** |" in page
    assert "Kendall's W" in page
    about = runs_page([group])
    assert "    leaq audit x.toml" in about
    assert "| ecfp4 | 12 | 100 | 2.0 | 4.0 | 0.0 GiB |" in about
    assert "24 cells, 2 minutes of tasks" in about


def test_a_cell_without_skill_has_none_to_lose():
    """Its share of lost skill is undefined; it is left out, and the others still give an interval."""
    cells = study((0.3, 0.05, 0.5), metrics=(0.94, 0.93, 0.949))
    useless = cell([row("none", 0.1, 0.5), *(row(name, 0.1, 0.5) for name in NAMES)], data="useless")
    found = {claim.key: claim for claim in claims([*cells, useless])}
    assert found["b2"].verdict == "supported"
    assert found["b2"].estimate.n == 6


def test_one_quantizer_is_nothing_to_compare():
    with pytest.raises(NotEnoughEvidence, match="need at least 2. Found 1"):
        claims([cell([row("none", 0.5, 0.9), row("sign", 0.1, 0.9)])])
