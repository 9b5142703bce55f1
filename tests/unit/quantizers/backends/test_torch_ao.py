"""Codes and scales against torch's own observers and quantizing functions."""

import pytest
import torch

from leaq.errors import LeaqError
from leaq.quantizers import build
from tests.unit.quantizers.backends.cases import one, released, weight_of

pytestmark = pytest.mark.filterwarnings("ignore")  # torch.ao.quantization calls itself deprecated


def by_torch(spec, weight):
    from torch.ao.quantization import MinMaxObserver, PerChannelMinMaxObserver

    scheme = build(spec)
    if scheme.per == "tensor":
        observer = MinMaxObserver(dtype=torch.qint8, qscheme=torch.per_tensor_symmetric)
        observer(weight)
        scale, zero = observer.calculate_qparams()
        return torch.quantize_per_tensor(weight, float(scale), int(zero), torch.qint8)
    if scheme.symmetric:
        observer = PerChannelMinMaxObserver(dtype=torch.qint8, qscheme=torch.per_channel_symmetric)
    else:
        kind = torch.quint8 if scheme.bits == 8 else torch.quint4x2
        observer = PerChannelMinMaxObserver(dtype=kind, qscheme=torch.per_channel_affine_float_qparams)
    observer(weight)
    scale, zero = observer.calculate_qparams()
    return torch.quantize_per_channel(weight, scale, zero, 0, observer.dtype)


def unlikely():
    weight = weight_of(2, shape=(12, 60))
    weight[0], weight[1], weight[2] = 0, weight[1].abs(), -weight[2].abs()
    weight[3], weight[4] = 0.3, (weight[4] * 4).round() / 4
    weight[5], weight[6] = weight[5] * 1e-9, weight[6] * 1e4
    return weight


@pytest.mark.parametrize("spec", ["torch.ao(bits=8)", "torch.ao(bits=8, per=channel)"])
@pytest.mark.parametrize("shape", [(200, 257), (1, 5), (6, 3, 5, 5)])
def test_int8_codes_and_weights_are_torchs(spec, shape):
    for weight in (weight_of(1, shape=shape), unlikely()):
        wanted = by_torch(spec, weight)
        codes, _ = build(spec).codes(one(weight))["weight"]
        assert torch.equal(codes[0].int() - 128, wanted.int_repr().int())
        assert torch.equal(released(spec, weight), wanted.dequantize())


@pytest.mark.parametrize("bits", [8, 4])
def test_embeddings_have_zero_points_that_are_no_whole_numbers(bits):
    spec = f"torch.ao(bits={bits}, per=channel, symmetric=False)"
    for weight in (weight_of(3, shape=(50, 16)), unlikely()):
        assert torch.equal(released(spec, weight), by_torch(spec, weight).dequantize())
    _, scales = build(spec).codes(one(weight_of(3, shape=(50, 16))))["weight"]
    assert (scales["zero"] != scales["zero"].round()).any()


def test_other_candidates_get_the_nearest_codes_under_the_released_scales():
    weight = weight_of(4, shape=(3, 16))
    fitted = build("torch.ao(bits=8)").fitted_to(one(weight))
    other = weight + 0.05 * weight_of(5, shape=(3, 16))
    step = weight.abs().max() / 127.5
    torch.testing.assert_close(fitted(one(other)).params["weight"][0], (other / step).round().clamp(-128, 127) * step)


def test_symmetric_codes_of_four_bits_are_refused():
    with pytest.raises(LeaqError, match="torch.ao has symmetric codes of 8 bits only"):
        build("torch.ao(bits=4)")
