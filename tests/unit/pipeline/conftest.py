import pytest

import leaq
from tests.unit.pipeline.cases import QUICK, table


@pytest.fixture(scope="module")
def result():
    return leaq.audit(
        table(), quantizers="sign", replicates=8, training={**QUICK, "epochs": 40}, references=("forest",)
    )
