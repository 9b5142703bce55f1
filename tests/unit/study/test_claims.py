import pytest

from leaq.errors import NotEnoughEvidence
from leaq.study.claims import claims
from leaq.study.claims_page import Group, claims_page, runs_page
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
    assert found == dict.fromkeys(("a", "b1", "b2", "c", "d", "e", "f"), "supported")


def test_a_study_that_says_the_opposite_supports_none():
    found = verdicts(study((0.05, 0.3, 0.02), losses=(0.0, 0.0, 0.0), peak=9))
    assert found["f"] == found["e"] == found["b2"] == found["b1"] == found["c"] == "not supported"


def test_no_difference_is_undecided_not_supported():
    found = verdicts(study((0.3, 0.3, 0.3)))
    assert found["a"] == found["f"] == "undecided"


def test_two_data_sets_decide_nothing():
    cells = [one for one in study((0.3, 0.05, 0.5)) if one.data["name"] in ("classification0", "classification1")]
    assert set(verdicts(cells).values()) == {"undecided"}


def test_the_page_names_n_and_verdict():
    page = markdown([("x", study((0.3, 0.05, 0.5)))])
    assert "## x: 24 cells, 12 data sets, attack: lira-online" in page
    assert "| 12 | **supported** |" in page
    assert "Kendall's W" in page


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
