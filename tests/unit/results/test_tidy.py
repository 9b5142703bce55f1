"""One tidy table: the same columns and numbers from a result, a run folder and an export."""

import numpy as np
import pandas as pd

from leaq.api import run
from leaq.reporting.exports import write_exports
from leaq.results.tidy import COLUMNS, frame
from tests.results import cell
from tests.unit.study.small import small


def test_frame_is_tidy_and_complete():
    table = frame(cell())
    sign = table[table["quantizer"] == "sign"]
    leak = sign[sign["name"] == "lira.advantage"].iloc[0]
    assert (leak["kind"], round(leak["value"], 3), round(leak["low"], 3), leak["n"]) == ("attack", 0.05, 0.03, 100)
    missing = sign[sign["name"] == "distortion"].iloc[0]
    assert missing["not_computed"] == "needs outputs"
    assert np.isnan(missing["value"])
    assert set(sign["kind"]) == {"size", "metric", "drop", "measure", "attack"}
    assert not table.duplicated(["data", "quantizer", "kind", "name"]).any()


def test_frame_takes_several_results():
    table = frame([cell(name="one"), cell(name="two")])
    assert list(table["data"].unique()) == ["one", "two"]


def test_result_folder_and_export_hold_the_same_table(tmp_path):
    store = run(small(data=("wine",), seeds=(0,)), tmp_path / "run")
    [result] = store.finished()
    tables = {
        "result": result.frame(),
        "folder": store.frame(),
        "results.csv": pd.read_csv(store.write_table(), keep_default_na=False),
        "export": pd.read_csv(write_exports(result, tmp_path / "x")[1], keep_default_na=False),
    }
    for name, table in tables.items():
        assert tuple(table.columns) == COLUMNS, name
        assert table[["kind", "name"]].equals(tables["result"][["kind", "name"]]), name
        values = pd.to_numeric(table["value"])
        np.testing.assert_array_equal(values, tables["result"]["value"], err_msg=name)


def test_a_finished_model_has_no_head_of_ours():
    assert set(frame(cell(config={"kind": "model"}))["head"]) == {""}
