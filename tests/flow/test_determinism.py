"""The same study gives the same table to the byte, whatever else differs about the process that computes it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from leaq.study import run_study
from tests.unit.study.small import small

SCRIPT = """
import sys
from leaq.study import run_study
from tests.unit.study.small import small

if __name__ == "__main__":
    run_study(small(quantizers=("sign", "gptq(bits=4)"), seeds=(0,)), sys.argv[1], engine=sys.argv[2], workers=1)
"""
ROOT = Path(__file__).parents[2]


def table(folder, *, engine="local", **environment):
    """Run the study in a process of its own, started in the folder, and return its table."""
    folder.mkdir()
    (folder / "script.py").write_text(SCRIPT)
    paths = os.pathsep.join([str(ROOT), *filter(os.path.isabs, sys.path)])
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "OMP_"))}
    found = subprocess.run(
        [sys.executable, "script.py", "run", engine], cwd=folder, capture_output=True, text=True, check=False,
        env={**inherited, "PYTHONPATH": paths, "LEAQ_CACHE_DIR": str(folder / "cache"), **environment},
    )  # fmt: skip
    assert found.returncode == 0, found.stderr
    return (folder / "run" / "results.csv").read_bytes()


@pytest.fixture(scope="module")
def usual(tmp_path_factory):
    """The table by this process: under whatever hash seed, time zone and locale the tests run, on one thread."""
    folder = tmp_path_factory.mktemp("usual")
    run_study(small(quantizers=("sign", "gptq(bits=4)"), seeds=(0,)), folder / "run")
    return (folder / "run" / "results.csv").read_bytes()


DIFFERENT = {
    "hash seed": {"PYTHONHASHSEED": "4242"},
    "threads": {"OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"},
    "time zone": {"TZ": "Asia/Kathmandu"},
    "locale": {"LC_ALL": "C", "LANG": "tr_TR.UTF-8"},
    "engine": {"engine": "processes"},
}


def test_all_that_can_differ_at_once_changes_no_byte(usual, tmp_path):
    together = {name: value for one in DIFFERENT.values() for name, value in one.items()}
    (tmp_path / "a folder of another name, ß").mkdir()
    assert table(tmp_path / "a folder of another name, ß" / "x", **together) == usual


@pytest.mark.slow
@pytest.mark.parametrize("what", DIFFERENT)
def test_what_differs_alone_changes_no_byte(what, usual, tmp_path):
    assert table(tmp_path / "x", **DIFFERENT[what]) == usual
