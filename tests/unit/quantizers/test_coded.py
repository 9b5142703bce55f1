import pytest
import torch

from leaq.errors import InvalidInput
from leaq.quantizers import build
from leaq.quantizers.coded import flat_models, levels_of, weights_at
from tests.unit.quantizers.cases import model

NAME = "layers.0.weight"


@pytest.mark.parametrize(("spec", "levels"), [("sign", 2), ("ternary(sparsity=0.5)", 3), ("uniform(bits=4)", 15)])
def test_a_layer_has_as_many_levels_as_its_scheme(spec, levels):
    assert levels_of(build(spec), NAME, model())[1] == levels


def test_a_layer_that_goes_another_way_has_the_levels_of_that():
    assert levels_of(build("sign(first=int8)"), NAME, model())[1] == build("uniform(bits=8)").levels


def test_numbers_without_levels_cannot_be_moved():
    with pytest.raises(InvalidInput, match=r"of which there must be 2 to 65,536. Found 4,294,967,296 for 'layers.0"):
        levels_of(build("pruned(sparsity=0.5)"), NAME, model())


def test_codes_are_moved_by_levels_and_stay_within_them():
    scheme = build("uniform(bits=2)")
    codes, scales = scheme.codes(model())[NAME]
    step, still = scales["step"], weights_at(scheme, codes, scales, shift=0, levels=3)
    torch.testing.assert_close(still, scheme(model()).params[NAME])
    for shift in (1, -1, 5):
        moved = weights_at(scheme, codes, scales, shift=shift, levels=3)
        wanted = ((codes.long() + shift).clamp(0, 2) - codes.long()) * step
        torch.testing.assert_close(moved - still, wanted)


def test_only_released_models_are_taken():
    assert flat_models(model(), "neighbours") == 2
    stack = model()
    several = type(stack)({k: v[:, None] for k, v in stack.params.items()}, stack.roles, (2, 1))
    with pytest.raises(InvalidInput, match=r"neighbours: needs released models.*Found batch \(2, 1\)"):
        flat_models(several, "neighbours")
