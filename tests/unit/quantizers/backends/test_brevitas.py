import pytest
import torch

from leaq.quantizers import build
from tests.helpers import require
from tests.unit.quantizers.backends.cases import released, weight_of


@pytest.mark.parametrize(("bits", "per"), [(2, "channel"), (4, "channel"), (8, "tensor")])
def test_brevitas(bits, per):
    require("brevitas")
    build("brevitas.int_weight(bits=4)").library()
    import brevitas.nn as qnn
    from brevitas.quant import Int8WeightPerChannelFloat, Int8WeightPerTensorFloat

    weight = weight_of(5)
    rule = Int8WeightPerChannelFloat if per == "channel" else Int8WeightPerTensorFloat
    layer = qnn.QuantLinear(64, 6, bias=False, weight_quant=rule, weight_bit_width=bits)
    layer.weight.data = weight.clone()
    own = layer.eval().quant_weight().value.detach()
    assert torch.equal(released(f"brevitas.int_weight(bits={bits}, per={per})", weight), own)
