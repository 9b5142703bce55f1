"""Catalogued tasks from a folder, the cache and a server; nothing here touches the network."""

import functools
import http.server
import threading
from dataclasses import replace

import pandas as pd
import pytest

from leaq.data import fetch, load, tasks
from leaq.data.catalogue import TASKS
from leaq.errors import InvalidInput, UnknownName
from tests.helpers import require

require_rdkit = pytest.fixture(autouse=True)(lambda: require("rdkit"))
CHAINS = ["C" * (i + 1) + "O" for i in range(30)]
TABLE = pd.DataFrame({"smiles": CHAINS, "target": [i % 2 for i in range(30)]})


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("LEAQ_DATA_DIR", raising=False)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "tasks"
    path.mkdir()
    TABLE.to_csv(path / "herg.csv", index=False)
    return path


@pytest.fixture
def upstream(tmp_path, monkeypatch):
    """Serve a folder as upstream, and let the catalogue know herg from there."""
    root = tmp_path / "upstream"
    root.mkdir()
    raw = pd.DataFrame({"Drug_ID": range(32), "Drug": [*CHAINS, "broken", "CC"], "Y": [*TABLE["target"], 1, None]})
    raw.to_csv(root / "herg.tab", sep="\t", index=False)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()

        def known(**changes):
            address = f"http://127.0.0.1:{httpd.server_port}/herg.tab"
            sha256 = tasks.content_sha256(TABLE)
            monkeypatch.setitem(
                TASKS, "herg", replace(TASKS["herg"], **{"address": address, "sha256": sha256, **changes})
            )

        known()
        yield known
        httpd.shutdown()
        thread.join()


def codes(samples):
    return [flag.code for flag in samples.flags]


def test_a_folder_by_argument_or_by_environment(folder, monkeypatch):
    named = load("herg", data_dir=folder)
    monkeypatch.setenv("LEAQ_DATA_DIR", str(folder))
    assert load("herg").inputs.tolist() == named.inputs.tolist() == CHAINS
    assert named.name == "herg"
    assert named.task == "classification"


def test_a_file_that_is_not_the_catalogued_one_is_used_and_flagged(folder):
    samples = load("herg", data_dir=folder)
    assert codes(samples)[0] == "unverified-data"
    assert "differs from the catalogued content" in samples.flags[0].text


def test_an_absent_file_names_what_to_put_where(folder):
    with pytest.raises(
        InvalidInput, match=r"there is no ames\.csv in .*Put a CSV file with the columns smiles,target at"
    ):
        load("ames", data_dir=folder)


def test_an_absent_folder_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match=r"The data folder .*nowhere' must exist"):
        load("ames", data_dir=tmp_path / "nowhere")


def test_other_columns_are_refused(folder):
    TABLE.rename(columns={"target": "Y"}).to_csv(folder / "ames.csv", index=False)
    with pytest.raises(
        InvalidInput, match=r"needs the columns smiles,target\. Found smiles, Y\..*--smiles and --target"
    ):
        load("ames", data_dir=folder)


def test_a_download_is_converted_checked_and_kept(upstream, tmp_path):
    seen = []
    samples = load("herg", progress=lambda *step: seen.append(step))
    assert samples.inputs.tolist() == CHAINS
    assert "unverified-data" not in codes(samples)
    assert seen[-1][0] == "downloading herg"
    kept = tmp_path / "cache" / "data" / "herg.csv"
    assert fetch("herg") == kept
    pd.testing.assert_frame_equal(pd.read_csv(kept), TABLE, check_dtype=False)


def test_changed_content_upstream_is_refused_and_not_kept(upstream, tmp_path):
    upstream(sha256="0" * 64)
    with pytest.raises(InvalidInput, match=r"must have content 0000.*changed upstream, and was deleted"):
        fetch("herg")
    assert not list((tmp_path / "cache").rglob("herg.*[bv]"))


def test_a_changed_file_upstream_is_refused_by_its_own_hash(upstream):
    upstream(upstream_sha256="f" * 64)
    with pytest.raises(InvalidInput, match=r"must have sha256 ffff"):
        fetch("herg")


def test_other_columns_upstream_are_refused(upstream):
    upstream(columns=("SMILES", "Y"))
    with pytest.raises(InvalidInput, match=r"must have the columns SMILES, Y\. Found Drug_ID, Drug, Y"):
        fetch("herg")


def test_offline_says_what_to_put_where(upstream, tmp_path):
    upstream(address="http://127.0.0.1:9/herg.tab")
    with pytest.raises(
        InvalidInput, match=r"cannot be downloaded from .*cache/data/herg\.csv', or name its folder with"
    ):
        load("herg")


def test_a_task_without_address_asks_for_the_file():
    with pytest.raises(InvalidInput, match=r"vdss_lombardo: no address to download it from.*Put a CSV file"):
        fetch("vdss_lombardo")


def test_an_unknown_task_is_refused():
    with pytest.raises(UnknownName, match=r"Unknown molecular task 'hergg'.*Did you mean 'herg'"):
        fetch("hergg")


def test_content_is_the_same_however_numbers_are_written():
    written = TABLE.assign(target=[f"{value}.0" for value in TABLE["target"]], smiles=[f"{s} " for s in CHAINS])
    assert tasks.content_sha256(written) == tasks.content_sha256(TABLE)
    assert tasks.content_sha256(TABLE[::-1]) != tasks.content_sha256(TABLE)


def test_a_note_of_the_catalogue_reaches_the_result(folder):
    values = TABLE.assign(target=[float(i + 1) for i in range(30)])
    values.to_csv(folder / "half_life_obach.csv", index=False)
    samples = load("half_life_obach", data_dir=folder, log_target=True)
    assert any("heavy-tailed: use a log target" in flag.text for flag in samples.flags)
    assert samples.unit == "log10 h"
