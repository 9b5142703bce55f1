import csv
import json

import numpy as np
import pytest

from leaq.errors import InvalidInput, StoreError
from leaq.reporting.exports import write_exports
from leaq.results import CellResult
from tests.results import NASTY, cell, nasty


def test_json_is_read_back_and_csv_is_tidy(tmp_path):
    first, second = write_exports(cell(), tmp_path / "toy.html")
    assert (first.name, second.name) == ("toy.json", "toy.csv")
    back = CellResult.from_json(first.read_text())
    assert [row.label for row in back.ranked()] == [row.label for row in cell().ranked()]
    with second.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["quantizer"] for row in rows} == {row.quantizer for row in cell().rows}
    assert {"value", "low", "high", "n", "unit", "level", "flags"} <= rows[0].keys()


def test_shareable_exports_name_no_record_and_no_folder(tmp_path):
    first, second = write_exports(cell(), tmp_path / "toy")
    for text in (first.read_text(), second.read_text()):
        assert "/home/ada" not in text
        assert '"risk"' not in text.replace('"risk": null', "")
        assert '"ids"' not in text


def test_internal_exports_keep_risks_for_their_owner(tmp_path):
    first, _ = write_exports(cell(), tmp_path / "toy", internal=True)
    plain = json.loads(first.read_text())
    assert plain["private"]["ids"][0] == 100
    assert (first.stat().st_mode & 0o777) == 0o600


def test_several_results_become_a_list(tmp_path):
    first, second = write_exports([cell(name="one"), cell(name="two")], tmp_path / "study.json")
    assert [item["data"]["name"] for item in json.loads(first.read_text())] == ["one", "two"]
    assert "two" in second.read_text()


def test_a_name_with_a_dot_keeps_it(tmp_path):
    first, _ = write_exports(cell(), tmp_path / "v1.2")
    assert first.name == "v1.2.json"


def test_odd_names_survive_csv(tmp_path):
    _, second = write_exports(nasty(), tmp_path / "toy")
    with second.open(newline="") as file:
        assert next(iter(csv.DictReader(file)))["data"] == NASTY


def test_nothing_to_export_and_nowhere_to_write_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="needs at least one result"):
        write_exports([], tmp_path / "x")
    with pytest.raises(StoreError, match="must exist"):
        write_exports(cell(), tmp_path / "none" / "x")


def test_private_findings_come_back_for_the_internal_edition():
    shared = CellResult.from_json(cell().to_json())
    assert shared.rows[0].attacks["lira"].risk is None
    back = shared.with_private(json.loads(json.dumps(cell().private_json())))
    assert back.private["ids"][0] == 100
    for attack in ("lira", "lira(shadows=full_precision)"):
        for one, two in zip(back.rows, cell().rows, strict=True):
            risk = two.attacks[attack].risk
            assert (one.attacks[attack].risk is None) == (risk is None)
            if risk is not None:
                np.testing.assert_array_equal(one.attacks[attack].risk, risk)
