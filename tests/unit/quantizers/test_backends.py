"""What no library may do unnoticed, tried with stand-ins: no library is needed."""

import pytest
import torch

from leaq.errors import UnsupportedModel
from leaq.quantizers.backends.base import Backend, Given


class StandIn(Backend):
    """Rounds to whole numbers; `off` is what its own dequantization adds to that."""

    name = "stand-in"
    off: float = 0.0

    @property
    def levels(self):
        return 9

    def library(self):
        return torch

    def run(self, weight):
        codes = (weight.round().clamp(-4, 4) + 4).to(torch.uint8)
        return Given(codes, {"absmax": torch.ones(1)}, codes.float() - 4 + self.off)

    def decode(self, codes, scales):
        return codes.float() - 4

    def nearest(self, weight, scales):
        return (weight.round().clamp(-4, 4) + 4).to(torch.uint8)


WEIGHT = torch.linspace(-3.3, 3.4, 24).reshape(1, 3, 8)


def test_codes_that_give_the_librarys_weights_are_taken():
    assert StandIn().fit(WEIGHT)["codes"].shape == WEIGHT.shape


def test_a_library_whose_dequantization_is_not_what_its_codes_stand_for_is_refused():
    with pytest.raises(UnsupportedModel, match=r"must give its own dequantized weights. They differ by up to 0.25"):
        StandIn(off=0.25).fit(WEIGHT)
