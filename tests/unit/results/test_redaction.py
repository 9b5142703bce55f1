from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from leaq.data import load
from leaq.reporting.card import privacy_card
from leaq.results.redaction import shareable, shareable_config
from leaq.types import Flag
from tests.results import cell


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("/home/ada/x.csv", "x.csv"),
        ("C:\\Users\\ada\\x.csv", "x.csv"),
        ("../secret/x.csv", "x.csv"),
        ("~/x.csv", "x.csv"),
        ("breast_cancer", "breast_cancer"),
    ],
)
def test_sources_lose_their_folders(given, left):
    assert shareable_config({"source": given})["source"] == left


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ("saved(path='/srv/ada/net v2')", "saved(path='net v2')"),
        ("saved(path='C:\\\\ada\\\\net')", "saved(path='net')"),
        ("hub(name='owner/model')", "hub(name='owner/model')"),
        ("morgan(radius=3, counts=true)", "morgan(radius=3, counts=true)"),
    ],
)
def test_folders_are_found_in_any_option_and_names_are_left_alone(given, left):
    assert shareable_config({"deep": {"list": [given]}}) == {"deep": {"list": [left]}}


def test_what_is_shared_holds_aggregates_only():
    result = shareable(cell())
    assert result.private == {}
    assert all(attack.risk is None for row in result.rows for attack in row.attacks.values())
    np.testing.assert_array_equal(result.rows[0].attacks["threshold"].roc, cell().rows[0].attacks["threshold"].roc)
    assert "/home/ada" not in result.to_json(private=True)


def test_a_report_a_card_and_an_export_name_no_rows_and_no_unused_columns(tmp_path):
    """Rows that were dropped are known non-members; a column's name can say what the file is about."""
    texts = ("3 rows (6, 18, 20, ...) with missing or infinite values were dropped (columns 'ward' (3)).", "ward, age")
    flags = (Flag("dropped-rows", texts[0]), Flag("unused-columns", texts[1]))
    found = [flag.text for flag in shareable(replace(cell(), flags=flags)).flags]
    assert found == [
        "3 rows with missing or infinite values were dropped.",
        "Columns beside the SMILES are not used.",
    ]
    assert "(6, 18" not in privacy_card(replace(cell(), flags=flags))
    assert [flag.text for flag in replace(cell(), flags=flags).flags] == list(texts)


def test_what_reading_a_table_says_names_no_column_row_or_word(rng, tmp_path):
    secret = pd.DataFrame(
        {
            "hiv_load": rng.normal(size=60), "ward": ["NA", "DE"] * 30, "number": rng.permutation(9000)[:60],
            "dose": [f"{value:.2f}".replace(".", ",") for value in rng.normal(size=60)], "y": [0, 1] * 30,
            "code": rng.integers(5, size=60),
        }
    )  # fmt: skip
    secret.loc[6, "hiv_load"] = 1e12
    secret.loc[::7, "code"] = -999
    secret.loc[9, "dose"] = "lost"
    secret.to_csv(tmp_path / "t.csv", index=False, sep=";")
    flags = load(tmp_path / "t.csv", target="y", skip_invalid=True).flags
    said = {"separator", "kept-words", "unique-columns", "missing-codes", "limited-outliers", "dropped-rows"}
    assert said <= {flag.code for flag in flags}
    assert any("hiv_load" in flag.text and "(7)" in flag.text for flag in flags)
    left = " ".join(flag.text for flag in shareable(replace(cell(), flags=flags)).flags)
    for word in ("hiv_load", "ward", "number'", "dose", "code'", "(7)", "(10)", "lost", "'NA'"):
        assert word not in left, word


@pytest.mark.parametrize(
    ("values", "code"),
    [
        (["1.234", "5.678.901"] * 30, "thousands"),
        (["5 mg", "7 mg"] * 30, "numbers-among-words"),
        (["Yes", "yes"] * 30, "alike-classes"),
        ([*range(1, 6)] * 12, "guessed-task"),
        (np.exp(2 * np.random.default_rng(0).normal(size=60)).tolist(), "heavy-tail"),
    ],
)
def test_whatever_a_flag_says_of_a_column_it_does_not_name_it_to_others(tmp_path, values, code):
    """`ward` is the target where the flag is about targets."""
    other = [f"{at:.3f}".replace(".", ",") for at in np.random.default_rng(1).normal(size=60)]
    frame = pd.DataFrame({"a": other, "ward": values, "y": [0, 1] * 30})
    target = "ward" if code in ("alike-classes", "guessed-task", "heavy-tail") else "y"
    frame.to_csv(tmp_path / "t.csv", index=False, sep=";")
    flags = load(tmp_path / "t.csv", target=target).flags
    flag = next(one for one in flags if one.code == code)
    assert "ward" in flag.text
    left = " ".join(one.text for one in shareable(replace(cell(), flags=flags)).flags)
    assert "ward" not in left
    assert "Yes" not in left


@pytest.mark.parametrize("moved", [", moved to its limit: x", " and were moved to its limit: x"])
def test_where_values_were_limited_is_not_passed_on_as_any_version_said_it(moved):
    flag = Flag("limited-outliers", f"2 values lie far outside all others of the column ('ward': 1 row (7)){moved}")
    (left,) = shareable(replace(cell(), flags=(flag,))).flags
    assert left.text == f"2 values lie far outside all others of the column{moved}"
