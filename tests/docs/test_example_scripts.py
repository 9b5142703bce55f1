"""Every script in examples/ is run, whole, in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.helpers import require

ROOT = Path(__file__).parents[2]
NEEDS = {
    "recorder_lightning": ("lightning",),
    "recorder_huggingface": ("transformers", "accelerate"),
    "language_model": ("transformers",),
    "already_quantized": ("torchao",),
    "dp_sgd": ("opacus",),
    "graph_network": ("rdkit", "datamol"),
}
ARGUMENTS = {"dp_sgd": ("2",)}
QUICK = {"recorder_loop"}
"""The others import large libraries or train longer; their parts are tested one by one elsewhere."""
SAYS = {
    "recorder_loop": "r of the ternary candidates Estimate(",
    "recorder_lightning": "recorded steps (5, 10",
    "recorder_huggingface": "recorded steps (10, 20",
    "language_model": "reference Estimate(",
    "already_quantized": "torchao int8",
    "dp_sgd": "DP-SGD ε=∞",
    "graph_network": "4-bit per channel R2",
}


def scripts():
    for path in sorted((ROOT / "examples").glob("*.py")):
        if path.stem == "small_language_model":  # what two of the scripts share
            continue
        yield pytest.param(path, id=path.stem, marks=[] if path.stem in QUICK else [pytest.mark.slow])


@pytest.mark.parametrize("path", list(scripts()))
def test_the_script_runs_and_says_what_it_promises(path, tmp_path):
    for module in NEEDS.get(path.stem, ()):
        require(module)
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "HF_HUB_OFFLINE": "1"}
    found = subprocess.run(
        [sys.executable, str(path), *ARGUMENTS.get(path.stem, ())],
        capture_output=True, text=True, cwd=tmp_path, env=environment, check=False, timeout=600,
    )  # fmt: skip
    assert found.returncode == 0, found.stderr[-3000:]
    assert SAYS.get(path.stem, "") in found.stdout
