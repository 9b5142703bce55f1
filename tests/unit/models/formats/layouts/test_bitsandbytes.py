import pytest

from leaq.pipeline.finished.shipped import open_shipped
from tests.unit.models.formats.cases import close
from tests.unit.models.formats.producers import bitsandbytes, net


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["nf4", "nf4-nested", "fp4", "int8"])
@pytest.mark.parametrize("make", [net])
def test_bitsandbytes(tmp_path, kind, make):
    module = make()
    expected = bitsandbytes(tmp_path / "m.safetensors", module, kind)
    close(open_shipped(tmp_path / "m.safetensors", module, name="m"), expected)
