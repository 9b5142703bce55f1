"""A file system that is full, out of files or read-only: said in words, and the same table once it works again."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import subprocess, sys
from pathlib import Path
from leaq.errors import StoreError
from leaq.study import run_study
from tests.unit.study.small import small

place, limit, freed = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
mount = lambda *words: subprocess.run(["mount", *words], check=True)
mount("-t", "tmpfs", "-o", "size=64m", "tmpfs", str(place))
study = small(data=("wine",), seeds=(0,))
if limit == "ro":
    run_study(study, place / "other")
    mount("-o", "remount,ro", str(place))
else:
    mount("-o", f"remount,{limit}", str(place))
try:
    run_study(study, place / "run")
except StoreError as err:
    print(err)
else:
    sys.exit("nothing was refused")
mount("-o", f"remount,{freed}", str(place))
run_study(study, place / "run")
print((place / "run" / "results.csv").read_text(), end="")
"""
ROOT = Path(__file__).parents[2]


def may_mount():
    if not (sys.platform == "linux" and hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("unshare")):
        return False
    script = 'mount -t tmpfs tmpfs "$0"'
    done = subprocess.run(["unshare", "-m", "sh", "-c", script, "/mnt"], capture_output=True, check=False)
    return done.returncode == 0


@pytest.mark.skipif(not may_mount(), reason="mounting a file system of its own needs root and name spaces")
@pytest.mark.parametrize(
    ("limit", "freed", "reason"),
    [
        ("size=64k", "size=64m", "No space left on device"),
        pytest.param("nr_inodes=9", "nr_inodes=900", "No space left on device", marks=pytest.mark.slow),
        ("ro", "rw", "Read-only file system"),
    ],
)
def test_the_same_command_goes_on_where_there_is_room_again(limit, freed, reason, tmp_path):
    (tmp_path / "mnt").mkdir()
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(os.path.isabs, sys.path)])}
    command = [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "mnt"), limit, freed]
    found = subprocess.run(
        ["unshare", "-m", *command], capture_output=True, text=True, env=environment, check=False, cwd=tmp_path
    )
    assert found.returncode == 0, found.stderr
    said, _, table = found.stdout.partition("\n")
    assert reason in said
    assert table.count("\n") > 25
