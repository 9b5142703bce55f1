"""GPTQ's and AWQ's packed layers against packers that place every code by hand."""

import pytest
import torch

from leaq.errors import InvalidInput
from leaq.models.formats.layouts.words import INTERLEAVED, read_words
from leaq.models.formats.weight import nearest_reading, uneven


def put(words, at, code, bits):
    """Write one code into a stream of 32-bit words, which it may cross."""
    for bit in range(bits):
        words[(at * bits + bit) // 32] |= int(code >> bit & 1) << ((at * bits + bit) % 32)


def signed(words):
    return torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)


def pack_by_hand(weight, bits, group, *, offset=1, act_order=False):
    """Quantize and pack one weight (out, in); returns the stored parts and the weight they stand for."""
    out, inputs = weight.shape
    g_idx = torch.arange(inputs) // group
    if act_order:
        g_idx = g_idx[torch.randperm(inputs, generator=torch.Generator().manual_seed(3))]
    groups = int(g_idx.max()) + 1
    scales = torch.rand(groups, out) * 0.1 + weight.abs().max() / 2 ** (bits - 1)
    zeros = torch.full((groups, out), 2 ** (bits - 1)) + torch.randint(-1, 2, (groups, out)) * (bits > 2)
    exact = torch.zeros(out, inputs)
    qweight = torch.zeros(inputs * bits // 32, out, dtype=torch.int64)
    qzeros = torch.zeros(groups, out * bits // 32, dtype=torch.int64)
    for i in range(inputs):
        for o in range(out):
            g = int(g_idx[i])
            code = min(max(int((weight[o, i] / scales[g, o]).round() + zeros[g, o]), 0), 2**bits - 1)
            exact[o, i] = (code - zeros[g, o]) * scales[g, o]
            put(qweight[:, o], i, code, bits)
    for g in range(groups):
        for o in range(out):
            put(qzeros[g], o, int(zeros[g, o]) - offset, bits)
    parts = {"qweight": signed(qweight), "qzeros": signed(qzeros), "scales": scales, "g_idx": g_idx.to(torch.int32)}
    return parts, exact


def pack_awq(weight, group):
    out, inputs = weight.shape
    groups = inputs // group
    scales = torch.rand(groups, out) * 0.1 + weight.abs().max() / 8
    zeros = torch.randint(7, 10, (groups, out))
    exact = torch.zeros(out, inputs)
    qweight, qzeros = (torch.zeros(rows, out // 8, dtype=torch.int64) for rows in (inputs, groups))
    place = {column: nibble for nibble, column in enumerate(INTERLEAVED)}
    for o in range(out):
        for i in range(inputs):
            g = i // group
            code = min(max(int((weight[o, i] / scales[g, o]).round() + zeros[g, o]), 0), 15)
            exact[o, i] = (code - zeros[g, o]) * scales[g, o]
            qweight[i, o // 8] |= code << (4 * place[o % 8])
        for g in range(groups):
            qzeros[g, o // 8] |= int(zeros[g, o]) << (4 * place[o % 8])
    return {"qweight": signed(qweight), "qzeros": signed(qzeros), "scales": scales}, exact


def decided(weight, original):
    return nearest_reading(weight, original, name="x", subject="m", shape=original.shape)[0].value


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize(("offset", "settings"), [(1, {}), (0, {"checkpoint_format": "gptq_v2"})])
@pytest.mark.parametrize("act_order", [False, True])
def test_packed_layers_are_read_as_they_were_packed(bits, offset, settings, act_order):
    torch.manual_seed(bits)
    parts, exact = pack_by_hand(torch.randn(32, 32), bits, 16, offset=offset, act_order=act_order)
    found = read_words(parts, settings, layer="x")
    torch.testing.assert_close(found.value, exact)
    assert (
        found.form.removesuffix(", symmetric")
        == f"GPTQ {bits}-bit, {'inputs reordered' if act_order else 'groups of 16'}"
    )


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("offset", [0, 1])
@pytest.mark.parametrize("said", [{}, {"checkpoint_format": "gptq_v2"}, {"packing_format": "auto_round:gptqmodel"}])
def test_the_original_decides_how_zero_points_are_stored(bits, offset, said):
    torch.manual_seed(bits)
    original = torch.randn(32, 32)
    parts, exact = pack_by_hand(original, bits, 16, offset=offset)
    torch.testing.assert_close(decided(read_words(parts, said, layer="x"), original), exact)


def test_without_an_original_symmetric_zero_points_say_how_they_are_stored():
    torch.manual_seed(0)
    parts, exact = pack_by_hand(torch.randn(32, 32), 2, 16, offset=0)  # 2 bits: all zeros are 2
    torch.testing.assert_close(read_words(parts, {"sym": True}, layer="x").value, exact)


def test_groups_are_runs_where_no_order_is_stored():
    torch.manual_seed(0)
    parts, exact = pack_by_hand(torch.randn(32, 64), 4, 16)
    without = {name: part for name, part in parts.items() if name != "g_idx"}
    torch.testing.assert_close(read_words(without, {"group_size": 16}, layer="x").value, exact)
    torch.testing.assert_close(read_words({**parts, "g_idx": torch.zeros(64)}, {}, layer="x").value, exact)
    torch.testing.assert_close(read_words({**parts, "g_idx": torch.zeros(0)}, {}, layer="x").value, exact)


def test_awq_packs_along_the_outputs_and_interleaves():
    torch.manual_seed(0)
    original = torch.randn(32, 64)
    parts, exact = pack_awq(original, 32)
    found = read_words(parts, {"quant_method": "awq"}, layer="x")
    torch.testing.assert_close(found.value, exact)
    assert found.form.startswith("AWQ 4-bit")
    assert torch.equal(decided(found, original), found.value)


def test_what_does_not_belong_together_is_refused():
    parts, _ = pack_by_hand(torch.randn(32, 64), 4, 16)
    with pytest.raises(InvalidInput, match="must hold qweight and scales. Missing: scales"):
        read_words({name: part for name, part in parts.items() if name != "scales"}, {}, layer="x")
    with pytest.raises(InvalidInput, match="group_size 32 of the settings must give 2 groups.*Found scales of 4"):
        read_words({name: part for name, part in parts.items() if name != "g_idx"}, {"group_size": 32}, layer="x")
    with pytest.raises(InvalidInput, match="g_idx must name 64 inputs. Found 42"):
        read_words({**parts, "g_idx": torch.zeros(42)}, {}, layer="x")
    with pytest.raises(InvalidInput, match="g_idx must name one of 4 groups, 0 to 3. Found 9 to 9"):
        read_words({**parts, "g_idx": torch.full((64,), 9)}, {}, layer="x")
    with pytest.raises(InvalidInput, match="codes of 2 to 8 bits. Found 16"):
        read_words({**parts, "qzeros": torch.zeros(4, 16, dtype=torch.int32)}, {}, layer="x")
    with pytest.raises(InvalidInput, match=r"qweight must be \(in \* 4 / 32, 32\). Found \(8, 31\)"):
        read_words({**parts, "qweight": parts["qweight"][:, 1:]}, {}, layer="x")
    with pytest.raises(InvalidInput, match="whole numbers in qweight and qzeros .* Found qweight of torch.float32"):
        read_words({**parts, "qweight": parts["qweight"].float()}, {}, layer="x")
    with pytest.raises(InvalidInput, match="fractions in scales. Found scales of torch.int32"):
        read_words({**parts, "scales": parts["scales"].int()}, {}, layer="x")


def test_an_order_that_is_missing_is_refused_or_doubted():
    torch.manual_seed(0)
    original = torch.randn(64, 128) * torch.linspace(0.2, 2, 128)[torch.randperm(128)]
    parts, exact = pack_by_hand(original, 4, 16, act_order=True)
    without = {name: part for name, part in parts.items() if name != "g_idx"}
    with pytest.raises(InvalidInput, match="inputs were reordered .* and g_idx must say how. Found none"):
        read_words(without, {"desc_act": True}, layer="x")
    right, wrong = (
        nearest_reading(read_words(given, {}, layer="x"), original, name="x", subject="f", shape=original.shape)[0]
        for given in (parts, without)
    )
    torch.testing.assert_close(right.value, exact)
    assert (uneven(right, original), uneven(wrong, original)) == (False, True)
