import pytest

from leaq.pipeline.finished.shipped import open_shipped
from tests.unit.models.formats.cases import close
from tests.unit.models.formats.producers import net, torchao


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("config", "options"),
    [("Int8WeightOnlyConfig", {"version": 2}), ("Float8WeightOnlyConfig", {})],
)
@pytest.mark.parametrize("make", [net])
def test_torchao(tmp_path, config, options, make):
    module = make()
    expected = torchao(tmp_path / "m.safetensors", module, config, **options)
    close(open_shipped(tmp_path / "m.safetensors", module, name="m"), expected)
