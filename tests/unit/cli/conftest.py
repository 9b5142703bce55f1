import json

import pytest

from tests.unit.cli.cases import SMALL, run


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("screen") / "run"
    words = ("--lambda", "--every-attack", "--out", folder)
    return folder, run("audit", "wine", *SMALL, *words).stdout, json.loads(run("show", folder, "--json").stdout)
