import re

import pytest

from leaq.data.catalogue import TASKS
from leaq.data.readers import read_frame
from leaq.data.tasks import content_sha256
from tests.helpers import SHARED, shared

ADMET = {
    "caco2_wang", "hia_hou", "pgp_broccatelli", "bioavailability_ma", "lipophilicity_astrazeneca", "solubility_aqsoldb",
    "bbb_martins", "ppbr_az", "vdss_lombardo", "cyp2d6_veith", "cyp3a4_veith", "cyp2c9_veith",
    "cyp2d6_substrate_carbonmangels", "cyp3a4_substrate_carbonmangels", "cyp2c9_substrate_carbonmangels",
    "half_life_obach", "clearance_microsome_az", "clearance_hepatocyte_az", "herg", "ames", "dili", "ld50_zhu",
}  # fmt: skip


def test_the_whole_admet_benchmark_is_there():
    assert set(TASKS) >= ADMET


@pytest.mark.parametrize("name", TASKS)
def test_every_entry_is_complete(name):
    entry = TASKS[name]
    assert entry.task in ("classification", "regression", "multitask")
    assert bool(entry.unit) == (entry.task == "regression")
    assert entry.what
    assert entry.source
    assert entry.licence
    assert all(entry.columns)
    assert re.fullmatch(r"[0-9a-f]{64}|", entry.sha256)
    assert re.fullmatch(r"[0-9a-f]{64}|", entry.upstream_sha256)
    assert not entry.address or entry.address.startswith("https://")
    # What nobody has seen must say so.
    assert bool(entry.records) == bool(entry.sha256)
    assert entry.sha256 or "unverified" in entry.note or "bring the file" in entry.note


def test_every_recorded_content_is_that_of_the_real_file():
    for entry in TASKS.values():
        if entry.sha256 and entry.records < 5000:  # the larger ones are in the same loop of the slow suite
            frame = read_frame(shared("molecules", f"{entry.name}.csv"))
            assert (len(frame), content_sha256(frame)) == (entry.records, entry.sha256), entry.name


@pytest.mark.slow
def test_every_recorded_content_of_the_large_files():
    for entry in TASKS.values():
        if entry.sha256 and entry.records >= 5000:
            frame = read_frame(shared("molecules", f"{entry.name}.csv"))
            assert (len(frame), content_sha256(frame)) == (entry.records, entry.sha256), entry.name


def test_no_real_file_is_missing_from_the_catalogue():
    shared("molecules")
    assert {path.stem for path in (SHARED / "molecules").glob("*.csv")} <= set(TASKS)
