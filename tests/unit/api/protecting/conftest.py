import pytest

import leaq
from tests.unit.api.protecting.cases import OPTIONS


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("protected") / "run"
    return leaq.protect("breast_cancer", max_drop=0.05, out=folder, **OPTIONS)
