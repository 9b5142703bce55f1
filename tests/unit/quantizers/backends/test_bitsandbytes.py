"""On some processors the library dequantizes rows shorter than a block wrongly; what is released is right."""

import pytest
import torch

from leaq.quantizers import build
from tests.helpers import require


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("columns", [8, 16, 32, 48, 64])
def test_rows_shorter_than_a_block_are_released_as_their_codes_say(kind, columns):
    require("bitsandbytes")
    scheme = build(f"bitsandbytes.{kind}")
    weight = torch.randn(1, 64, columns, generator=torch.Generator().manual_seed(columns))
    fitted = scheme.fit(weight)  # refuses codes that do not give the library's weights
    restored = scheme.decode(fitted["codes"], {name: part for name, part in fitted.items() if name != "codes"})
    assert float((restored - weight).abs().max()) < 1.0
