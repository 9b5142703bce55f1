import torch

from leaq.quantizers.float_formats import FLOAT8, float8, read_float8


def test_float8_patterns_are_read_as_torch_reads_them():
    patterns = torch.arange(256, dtype=torch.uint8)
    for kind, dtype in ((kind, float8(kind)) for kind in FLOAT8):
        slow = patterns.view(dtype).double()
        finite = torch.isfinite(slow)
        assert torch.equal(read_float8(patterns, kind, torch.float64)[finite], slow[finite])
