"""GPTQ's packed layers against a packer that places every code by hand."""

import pytest
import torch

from leaq.errors import InvalidInput
from leaq.models.gptq import unpack_gptq


def pack_by_hand(weight, bits, group, *, offset=1, act_order=False):
    """Quantize and pack one weight (out, in); returns the stored parts and the weight they stand for."""
    out, inputs = weight.shape
    g_idx = torch.arange(inputs) // group
    if act_order:
        g_idx = g_idx[torch.randperm(inputs, generator=torch.Generator().manual_seed(3))]
    groups = int(g_idx.max()) + 1
    scales = torch.rand(groups, out) * 0.1 + 0.05
    zeros = torch.randint(1, 2**bits, (groups, out))
    codes = torch.zeros(inputs, out, dtype=torch.int64)
    exact = torch.zeros(out, inputs)
    qweight = torch.zeros(inputs * bits // 32, out, dtype=torch.int64)
    qzeros = torch.zeros(groups, out * bits // 32, dtype=torch.int64)
    for i in range(inputs):
        for o in range(out):
            g = int(g_idx[i])
            code = int((weight[o, i] / scales[g, o]).round() + zeros[g, o])
            codes[i, o] = min(max(code, 0), 2**bits - 1)
            exact[o, i] = (codes[i, o] - zeros[g, o]) * scales[g, o]
            qweight[i * bits // 32, o] |= codes[i, o] << (i * bits % 32)
    for g in range(groups):
        for o in range(out):
            qzeros[g, o * bits // 32] |= (zeros[g, o] - offset) << (o * bits % 32)
    signed = [torch.where(t >= 2**31, t - 2**32, t).to(torch.int32) for t in (qweight, qzeros)]
    return {"qweight": signed[0], "qzeros": signed[1], "scales": scales, "g_idx": g_idx.to(torch.int32)}, exact


@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize(("offset", "settings"), [(1, {}), (0, {"checkpoint_format": "gptq_v2"})])
@pytest.mark.parametrize("act_order", [False, True])
def test_packed_layers_are_read_as_they_were_packed(bits, offset, settings, act_order):
    torch.manual_seed(bits)
    parts, exact = pack_by_hand(torch.randn(16, 32), bits, 16, offset=offset, act_order=act_order)
    stored = {f"body.{name}": tensor for name, tensor in parts.items()} | {"body.bias": torch.ones(16)}
    found = unpack_gptq(stored, settings)
    assert set(found) == {"body.weight", "body.bias"}
    torch.testing.assert_close(found["body.weight"], exact)


def test_the_comparison_catches_the_wrong_zero_point():
    torch.manual_seed(0)
    parts, exact = pack_by_hand(torch.randn(16, 32), 4, 16)
    found = unpack_gptq({f"x.{name}": t for name, t in parts.items()}, {"checkpoint_format": "gptq_v2"})
    assert not torch.allclose(found["x.weight"], exact)


def test_missing_parts_and_odd_widths_are_refused():
    parts, _ = pack_by_hand(torch.randn(16, 32), 4, 16)
    stored = {f"x.{name}": tensor for name, tensor in parts.items()}
    with pytest.raises(InvalidInput, match="Missing: scales"):
        unpack_gptq({name: tensor for name, tensor in stored.items() if name != "x.scales"})
    stored["x.g_idx"] = torch.zeros(42, dtype=torch.int32)
    with pytest.raises(InvalidInput, match="must have codes of 2, 4 or 8 bits. Found 3"):
        unpack_gptq(stored)
