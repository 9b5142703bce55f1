import numpy as np
import pytest
import torch

from leaq.errors import InvalidInput
from leaq.quantizers import applying, build
from leaq.quantizers.neighbours import draw_moves, flat_models, levels_of, neighbours, weights_at
from leaq.training import MLP
from leaq.types import Checkpoints
from tests.unit.quantizers.cases import model as small_model

MODEL = MLP(d=13, k=3, hidden=(8, 6), task="classification")


def model() -> Checkpoints:
    return Checkpoints(MODEL.init(0, [0, 1], dtype=torch.float64), MODEL.roles, (2,))


def test_every_move_changes_one_weight_to_an_adjacent_level():
    quantizer = build("uniform(bits=3, per=tensor)")
    quantized, moves = quantizer(model()), draw_moves(quantizer, model(), moves=50, seed=0)
    pairs = set(zip(moves[0].name, moves[0].position.tolist(), moves[0].value.tolist(), strict=True))
    assert len(pairs) == 50
    for name, which in moves[0].by_parameter():
        weights = quantized.params[name][0].double().reshape(-1).numpy()
        levels = np.unique(weights)
        step = np.diff(levels).min()
        moved = np.abs(moves[0].value[which] - weights[moves[0].position[which]])
        np.testing.assert_allclose(moved, step, rtol=1e-6)


def test_each_layer_is_moved_by_its_own_plan():
    """With a decoupled last layer and half-precision biases, every moved weight lies on its own layer's levels."""
    quantizer = build("sign(last=int8, bias=float16)")
    quantized, moves = quantizer(model()), draw_moves(quantizer, model(), moves=300, seed=0)
    last = max(name for name in quantized.params if name.startswith("layers") and name.endswith("weight"))
    step = quantizer.codes(model())[last][1]["step"]
    seen = set()
    for name, which in moves[0].by_parameter():
        before = quantized.params[name][0].double().reshape(-1).numpy()[moves[0].position[which]]
        after = moves[0].value[which]
        if name == last:
            width = quantized.params[name].shape[-1]
            steps = step[0, moves[0].position[which] // width, 0].double().numpy()
            np.testing.assert_allclose(np.abs(after - before), steps, rtol=1e-6)
        elif name.endswith("bias"):
            assert (after == after.astype(np.float16)).all()
        else:
            np.testing.assert_array_equal(after, -before)
        seen.add(name == last or name.endswith("bias"))
    assert seen == {True, False}
    found, expected = neighbours(quantizer, model(), moves=2).last(), quantizer(model())
    assert all(torch.equal(found.params[name], expected.params[name]) for name in expected.params)


@pytest.mark.parametrize("spec", ["float8(format=e4m3)", "float8(format=e5m2)", "float16"])
def test_no_move_leaves_the_numbers(spec):
    """Beside the largest code of a floating-point format stands NaN or infinity: no level."""
    quantizer = build(spec)
    moves = draw_moves(quantizer, model(), moves=10**6)
    assert all(np.isfinite(one.value).all() for one in moves)


@pytest.mark.parametrize("spec", ["sign", "uniform(bits=2)", "nf4", "float8(format=e4m3)", "stochastic(bits=3)"])
def test_moves_are_the_same_however_few_rows_are_held(spec, monkeypatch):
    weights = torch.randn(1, 40, 30, generator=torch.Generator().manual_seed(0))
    given = Checkpoints({"w": weights, "v": weights[:, :4] + 1}, {"w": "linear", "v": "linear"}, (1,))
    fitted = build(spec).fitted_to(given)
    (whole,) = draw_moves(fitted, given, moves=300)
    monkeypatch.setattr(applying, "TILE", 90)  # three rows
    (apart,) = draw_moves(fitted, given, moves=300)
    assert apart.name == whole.name
    np.testing.assert_array_equal(apart.position, whole.position)
    np.testing.assert_array_equal(apart.value, whole.value)
    assert len(set(zip(whole.name, whole.position, whole.value, strict=True))) == 300


NAME = "layers.0.weight"


@pytest.mark.parametrize(("spec", "levels"), [("sign", 2), ("ternary(sparsity=0.5)", 3), ("uniform(bits=4)", 15)])
def test_a_layer_has_as_many_levels_as_its_scheme(spec, levels):
    assert levels_of(build(spec), NAME, small_model())[1] == levels


def test_a_layer_that_goes_another_way_has_the_levels_of_that():
    assert levels_of(build("sign(first=int8)"), NAME, small_model())[1] == build("uniform(bits=8)").levels


def test_numbers_without_levels_cannot_be_moved():
    with pytest.raises(InvalidInput, match=r"of which there must be 2 to 65,536. Found 4,294,967,296 for 'layers.0"):
        levels_of(build("pruned(sparsity=0.5)"), NAME, small_model())


def test_codes_are_moved_by_levels_and_stay_within_them():
    scheme = build("uniform(bits=2)")
    codes, scales = scheme.codes(small_model())[NAME]
    step, still = scales["step"], weights_at(scheme, codes, scales, shift=0, levels=3)
    torch.testing.assert_close(still, scheme(small_model()).params[NAME])
    for shift in (1, -1, 5):
        moved = weights_at(scheme, codes, scales, shift=shift, levels=3)
        wanted = ((codes.long() + shift).clamp(0, 2) - codes.long()) * step
        torch.testing.assert_close(moved - still, wanted)


def test_only_released_models_are_taken():
    assert flat_models(small_model(), "neighbours") == 2
    stack = small_model()
    several = type(stack)({k: v[:, None] for k, v in stack.params.items()}, stack.roles, (2, 1))
    with pytest.raises(InvalidInput, match=r"neighbours: needs released models.*Found batch \(2, 1\)"):
        flat_models(several, "neighbours")
