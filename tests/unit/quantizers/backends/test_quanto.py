"""optimum-quanto's arithmetic in 16 bits by hand; its own files are in tests/unit/models/formats/layouts."""

import torch

from leaq.quantizers import build
from tests.unit.quantizers.backends.cases import released, weight_of


def test_in_32_bits_it_is_what_the_simple_quantizers_are():
    weight = weight_of(1, shape=(6, 128))
    pairs = {
        "quanto(type=qint8)": "uniform(bits=8)", "quanto(type=qfloat8_e4m3)": "float8(format=e4m3)",
        "quanto(type=qint4)": "uniform(bits=4, per=group, group=128, symmetric=False)",
    }  # fmt: skip
    for spec, simple in pairs.items():
        assert torch.equal(released(spec, weight), released(simple, weight))


def test_scales_and_products_are_rounded_to_the_models_type():
    row = torch.tensor([[1.0, 0.3, -0.501]])
    short = row.bfloat16()
    step = short.abs().amax() / 127
    codes = (short / step).round()
    expected = (step * codes.to(torch.int8)).float()
    assert step.dtype == torch.bfloat16
    assert torch.equal(released("quanto(type=qint8, through=bfloat16)", row), expected)
    assert not torch.equal(released("quanto(type=qint8)", row.bfloat16().float()), expected)


def test_rows_of_zeros_stay_zeros():
    assert not released("quanto(type=qint8, through=bfloat16)", torch.tensor([[0.0, 0.0], [1.0, 2.0]]))[0].any()


def test_one_bit_pattern_a_code():
    assert [build(f"quanto(type={kind})").levels for kind in ("qint8", "qint4", "qint2")] == [256, 16, 4]
