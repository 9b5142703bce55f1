import json
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from leaq.errors import StoreError
from leaq.results import SCHEMA, CellResult, Curve, QuantizerRow, Size
from leaq.types import AttackResult, Estimate, Flag, NotComputed
from tests.results import cell


def attack(value, risk=None):
    number = Estimate(value, value - 0.1, value + 0.1, 50)
    roc = np.array([[0.0, 1.0], [0.0, 1.0]])
    tpr = {0.01: number, 0.001: NotComputed("too few")}
    return AttackResult("lira", "sees outputs", "pool", number, number, tpr, roc, risk, (Flag("a", "b"),))


def row(name, value, risk=None):
    return QuantizerRow(
        quantizer=name,
        label=name,
        size=Size(4.0, 3.5, 100, 8.0),
        measures={"r": Estimate(0.1, 0.0, inf, 10), "x": NotComputed("missing")},
        attacks={"lira": attack(value, risk)},
        curves={"lambda_k": Curve((2.0, 3.0), (1.0, 0.5), (0.9, 0.4), (1.1, 0.6))},
    )


def result():
    rows = (row("none", 0.3, np.array([0.5, np.nan])), row("sign", 0.1), row("uniform(bits=4)", 0.2))
    return CellResult({"seed": 0}, {"name": "x"}, rows, "roc_auc", "lira", timings={"s": 1.0}, private={"ids": [1, 2]})


def test_rows_are_ranked_least_leak_first():
    assert [one.quantizer for one in result().ranked()] == ["sign", "uniform(bits=4)", "none"]


def test_round_trip_through_json():
    text = result().to_json()
    assert CellResult.from_json(text).to_json() == text


def test_json_is_strict_and_infinity_survives():
    text = result().to_json()
    json.loads(text, parse_constant=pytest.fail)
    assert CellResult.from_json(text).rows[0].measures["r"].high == inf


def test_the_shared_form_holds_nothing_by_record():
    plain = json.loads(result().to_json())
    assert "private" not in plain
    assert all("risk" not in found for one in plain["rows"] for found in one["attacks"].values())


def test_the_private_form_holds_the_rest():
    private = result().private_json()
    assert private["ids"] == [1, 2]
    assert private["risk"]["none"] == {"lira": [0.5, "nan"]}


def test_a_newer_schema_is_refused_and_an_unknown_field_is_not():
    plain = json.loads(result().to_json())
    CellResult.from_json(json.dumps({**plain, "later_field": 1}))
    with pytest.raises(StoreError, match="newer leaq"):
        CellResult.from_json(json.dumps({**plain, "schema": SCHEMA + 1}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "x"}'])
def test_what_is_no_result_is_refused(text):
    with pytest.raises(StoreError, match="not a leaq result"):
        CellResult.from_json(text)


def test_a_result_prints_as_a_table_with_its_reading():
    printed = str(cell())
    assert printed.startswith("toy: quantizers by what they give away")
    assert "sign leaks least" in printed


def test_its_repr_is_one_short_line():
    line = repr(cell())
    assert line.startswith("CellResult('toy', 5 quantizers, least leak: ternary 90% sparse Estimate(0.01 [")
    assert len(line) < 160
    assert len(repr(cell().rows[0].attacks["threshold"])) < 1200


def test_an_empty_result_has_a_repr():
    assert repr(cell(rows=())) == "CellResult('toy', 0 quantizers)"
    assert cell(rows=())._repr_html_() == "<p>CellResult(&#x27;toy&#x27;, 0 quantizers)</p>"


def test_frame_of_a_result_is_the_tidy_table():
    frame = cell().frame()
    assert set(frame["quantizer"]) == {row.quantizer for row in cell().rows}


def test_a_size_that_is_not_known_is_read_as_it_was_and_shown_as_a_dash():
    nan = float("nan")
    unknown = cell(replace(row("none", 0.2), size=Size(nan, nan, 5650, nan)))
    [found] = CellResult.from_json(unknown.to_json()).rows
    assert np.isnan([found.size.bits, found.size.entropy_bits, found.size.compression]).all()
    assert found.size.bytes == 5650
    assert found.size.bits_words == "–"
    assert "nan" not in str(unknown)
