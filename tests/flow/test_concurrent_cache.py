"""Two processes that embed the same molecules at once share one whole file."""

import os
import subprocess
import sys

import numpy as np

from tests.helpers import require

CODE = """
import numpy as np
from leaq.embedders import embed
from leaq.types import Samples
smiles = np.array(["C" * (i % 40 + 1) + "O" * (i // 40) for i in range(400)])
samples = Samples(inputs=smiles, targets=np.arange(400) / 7, task="regression")
for _ in range(3):
    print(embed(samples, "ecfp4").inputs.sum())
"""


def test_concurrent_processes_share_the_cache(tmp_path):
    require("rdkit")
    environment = {**os.environ, "LEAQ_CACHE_DIR": str(tmp_path), "LEAQ_CACHE": "all"}
    runs = [
        subprocess.Popen([sys.executable, "-c", CODE], env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    printed = [run.communicate()[0].split() for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert len({value for lines in printed for value in lines}) == 1
    (path,) = (tmp_path / "embeddings").iterdir()
    with np.load(path) as found:
        assert found["features"].shape == (400, 2048)
