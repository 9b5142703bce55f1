import torch

from leaq.quantizers import Identity, pack, unpack
from tests.unit.quantizers.cases import MODEL, model


def test_full_precision_weighs_itself(tmp_path):
    size = pack(model(), Identity(), tmp_path / "m.safetensors")
    assert (size.bits, size.compression) == (32.0, 1.0)
    read, spec = unpack(tmp_path / "m.safetensors")
    assert spec == "none"
    assert all(torch.equal(read.params[name], model().params[name]) for name in MODEL.roles)
