"""Fast quantizers against slow, obviously right twins: one weight at a time, in Python."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from leaq.errors import InvalidInput
from leaq.quantizers import FP4, NF4, Gptq, KMeans, PowerOfTwo, Scheme, Uniform, blocks, build
from leaq.quantizers.calibrated import output_error
from leaq.quantizers.calibration import Inputs
from leaq.quantizers.casts import FLOAT8, float8, read_float8
from leaq.quantizers.files.packing import pack_codes, unpack_codes
from leaq.types import Checkpoints
from tests.helpers import ROUNDING


def weights(seed: int, *shape: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_t(4, size=shape))


def nearest(weight: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """Each weight's nearest level, by trying all of them."""
    return np.array([levels[np.argmin(np.abs(levels - value))] for value in weight.ravel()]).reshape(weight.shape)


def run(scheme: Scheme, weight: torch.Tensor) -> np.ndarray:
    return scheme.project(weight, scheme.fit(weight)).numpy()


def slow_uniform(scheme: Uniform, row: np.ndarray) -> np.ndarray:
    """One row, its groups one after another."""
    size = scheme.group if scheme.per == "group" else len(row)
    parts = []
    for start in range(0, len(row), size):
        part = row[start : start + size]
        if scheme.symmetric:
            half = 2 ** (scheme.bits - 1) - 1
            levels = np.arange(-half, half + 1) * (np.abs(part).max() / half)
        else:
            levels = np.linspace(part.min(), part.max(), 2**scheme.bits)
        parts.append(nearest(part, levels))
    return np.concatenate(parts)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**16),
    bits=st.integers(2, 5),
    symmetric=st.booleans(),
    per=st.sampled_from(["channel", "group"]),
    inputs=st.integers(1, 11),
)
def test_uniform(*, seed, bits, symmetric, per, inputs):
    scheme = Uniform(bits=bits, symmetric=symmetric, per=per, group=4)
    weight = weights(seed, 2, 3, inputs)
    slow = [[slow_uniform(scheme, row) for row in model] for model in weight.numpy()]
    np.testing.assert_allclose(run(scheme, weight), slow, **ROUNDING)


@pytest.mark.parametrize("scheme", [NF4(per="channel"), FP4(per="channel")], ids=["nf4", "fp4"])
def test_tables(scheme):
    weight = weights(1, 2, 3, 50)
    slow = [[nearest(row, np.array(scheme.table) * np.abs(row).max()) for row in model] for model in weight.numpy()]
    np.testing.assert_allclose(run(scheme, weight), slow, **ROUNDING)


def test_powers_of_two():
    scheme = PowerOfTwo(bits=3)
    weight = weights(2, 3, 40)
    for given_row, row in zip(run(scheme, weight), weight.numpy(), strict=True):
        top = 2.0 ** np.floor(np.log2(np.abs(row).max() * 4 / 3))
        levels = np.array([0, *(sign * top / 2**j for j in range(3) for sign in (1, -1))])
        np.testing.assert_allclose(given_row, nearest(row, levels), **ROUNDING)


def slow_lloyd(values: np.ndarray, k: int, steps: int) -> np.ndarray:
    levels = np.linspace(values.min(), values.max(), k)
    for _ in range(steps):
        owner = np.abs(values[:, None] - levels).argmin(1)
        levels = np.array([values[owner == j].mean() if (owner == j).any() else levels[j] for j in range(k)])
    return np.sort(levels)


def test_kmeans_is_lloyd():
    weight = weights(3, 2, 60)
    levels = KMeans(bits=3, iterations=7).fit(weight)["levels"][:, 0].numpy()
    slow = [slow_lloyd(row, 8, 7) for row in weight.numpy()]
    np.testing.assert_allclose(levels, slow, **ROUNDING)
    with pytest.raises(AssertionError):  # the control: one step fewer is another codebook
        np.testing.assert_allclose(levels, [slow_lloyd(row, 8, 1) for row in weight.numpy()], **ROUNDING)


FAST = [
    *("float16", "bfloat16", "float8(format=e4m3)", "float8(format=e5m2)", "float8(format=e4m3, per=tensor)"),
    *("sign", "sign(per=channel)", "sign(scale=one)", "twn", "ternary(sparsity=0.5)"),
    *("uniform(bits=8)", "uniform(bits=4)", "uniform(bits=2, symmetric=False)", "uniform(bits=3, per=tensor)"),
    *("uniform(bits=4, per=group, group=5)", "uniform(bits=4, per=group, group=4)", "uniform(bits=3, scale=mse)"),
    *("uniform(bits=3, scale=percentile)", "stochastic(bits=4)", "stochastic(bits=3, symmetric=False)"),
    "dithered(bits=4)",
]


def same_bits(fast: torch.Tensor, slow: torch.Tensor) -> bool:
    return torch.equal(fast.view(torch.uint8), slow.view(torch.uint8))


def drawn_over_many_powers(seed: int, dtype: torch.dtype, size: float) -> torch.Tensor:
    """Weights of very different magnitudes, some of them plus and minus zero, some subnormal where `size` is small."""
    rng = np.random.default_rng(seed)
    weight = rng.standard_t(4, size=(3, 7, 12)) * np.exp(rng.normal(size=(3, 7, 12)) * 3) * size
    weight = np.clip(weight, -6e4, 6e4)
    weight[0, :2], weight[1, 3, 4:6] = 0.0, -0.0
    return torch.from_numpy(weight).to(dtype)


@pytest.mark.parametrize("spec", FAST)
@settings(max_examples=8)
@given(
    seed=st.integers(0, 2**16),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    size=st.sampled_from([1.0, 1e3, 1e-4, 1e-38, 1e-41, 3e-44]),
)
def test_rounding_without_codes_gives_what_the_codes_stand_for_to_the_last_bit(spec, seed, dtype, size):
    """Both short cuts: with frozen scales, and with the weights' own, where clipping may be left out."""
    scheme, weight = build(spec), drawn_over_many_powers(seed, dtype, size)
    scales = scheme.fit(weight)
    before = weight.clone()
    for beyond in (weight, -1.5 * weight if spec != "float16" else weight / 3):
        slow = scheme.decode(scheme.encode(beyond, scales), scales).to(dtype)
        assert same_bits(scheme.project(beyond, scales), slow)
        assert same_bits(scheme.project(beyond, scales, torch.full_like(beyond, torch.nan)), slow)
    own = torch.full_like(weight, torch.nan)
    found = scheme.released(weight, own)
    assert all(torch.equal(found[key], scales[key]) for key in scales)
    assert same_bits(own, scheme.decode(scheme.encode(weight, scales), scales).to(dtype))
    assert same_bits(weight, before)


def test_a_short_cut_that_never_clips_is_caught():
    """The control: steps that have lost digits put weights beyond the levels, where only clipping keeps them."""
    scheme, weight = build("uniform(bits=8)"), torch.tensor([[[2.66e-43, 1e-44]]])
    scales, out = scheme.fit(weight), torch.empty(1, 1, 2)
    slow = scheme.decode(scheme.encode(weight, scales), scales)
    scheme._project(weight, scales, out, clip=False)
    assert not same_bits(out, slow)
    scheme.released(weight, out)
    assert same_bits(out, slow)


@pytest.mark.parametrize("spec", FAST)
def test_a_stack_cut_into_runs_is_the_stack_in_one(spec, monkeypatch):
    scheme = build(spec)
    weight = drawn_over_many_powers(3, torch.float32, 1.0)
    stack = Checkpoints({"a.weight": weight}, {"a.weight": "linear"}, (3,))
    once = scheme(stack).params["a.weight"]
    monkeypatch.setattr(blocks.tiles, "__kwdefaults__", {"repeat": 1, "most": 100})  # one model at a time
    assert same_bits(scheme(stack).params["a.weight"], once)
    assert same_bits(scheme.frozen_to(stack)(stack).params["a.weight"], once)


def test_weights_whose_scale_overflows_are_refused():
    stack = Checkpoints({"a.weight": torch.full((1, 2, 4), 3e38)}, {"a.weight": "linear"}, (1,))
    with pytest.raises(InvalidInput, match="Quantizing 'a.weight': weights must have a finite scale"):
        build("sign")(stack)


def test_float8_patterns_are_read_as_torch_reads_them():
    patterns = torch.arange(256, dtype=torch.uint8)
    for kind, dtype in ((kind, float8(kind)) for kind in FLOAT8):
        slow = patterns.view(dtype).double()
        finite = torch.isfinite(slow)
        assert torch.equal(read_float8(patterns, kind, torch.float64)[finite], slow[finite])


@settings(max_examples=25)
@given(seed=st.integers(0, 2**16), bits=st.integers(1, 8), count=st.integers(1, 23))
def test_packing(seed, bits, count):
    scheme = Uniform(bits=bits, symmetric=False)
    codes = torch.from_numpy(np.random.default_rng(seed).integers(0, 2**bits, (2, count)))
    packed = pack_codes(codes, scheme)
    for row, raw in zip(codes.tolist(), packed.tolist(), strict=True):
        number = sum(code << (bits * i) for i, code in enumerate(row))  # one long integer, low bits first
        assert bytes(raw) == number.to_bytes(len(raw), "little")
    assert packed.shape[1] == scheme.code_bytes(count) == -(-bits * count // 8)
    assert torch.equal(unpack_codes(packed, scheme, count).long(), codes)


def test_packing_trits():
    scheme = build("ternary(sparsity=0.5)")
    codes = torch.tensor([[0, 1, 2, 2, 1, 0, 2]])
    packed = pack_codes(codes, scheme)
    assert packed.tolist() == [[0 + 3 + 2 * 9 + 2 * 27 + 81, 0 + 2 * 3]]
    assert torch.equal(unpack_codes(packed, scheme, 7).long(), codes)


def slow_gptq(row: np.ndarray, moment: np.ndarray, step: float, half: int) -> np.ndarray:
    """Optimal brain surgeon, one weight at a time: the inverse Hessian of what is left is computed anew each time."""
    rest = row.copy()
    h = moment + 0.01 * np.mean(np.diag(moment)) * np.eye(len(row))
    done = np.zeros(len(row))
    for j in range(len(row)):
        done[j] = np.clip(np.round(rest[j] / step), -half, half) * step
        inverse = np.linalg.inv(h[j:, j:])
        rest[j:] -= (rest[j] - done[j]) / inverse[0, 0] * inverse[0]
    return done


def calibrated_on(seed: int, models: int, width: int) -> Inputs:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(width, width)) + 2  # strongly correlated inputs: what GPTQ lives on
    records = torch.from_numpy(np.maximum(rng.normal(size=(models, 30, width)) @ mixing, 0))
    return Inputs(records, torch.ones(models, 30, dtype=torch.float64))


@pytest.mark.parametrize("block", [3, 64])
def test_gptq_is_optimal_brain_surgeon(monkeypatch, block):
    monkeypatch.setattr(Gptq, "BLOCK", block)
    weight, inputs = weights(5, 2, 4, 9), calibrated_on(6, 2, 9)
    scheme = Gptq(bits=3)
    scales = scheme.fit_on(weight, inputs)
    found = scheme.project(weight, scales).numpy()
    kept = 0
    for model in range(2):
        moment = (inputs.records[model].T @ inputs.records[model] / 30).numpy()
        for row in range(4):
            step = float(scales["step"][model, row, 0])
            original = weight[model, row].numpy()
            slow = slow_gptq(original, moment, step, 3)
            plain = np.clip(np.round(original / step), -3, 3) * step
            errors = [(tried - original) @ moment @ (tried - original) for tried in (slow, plain)]
            kept += errors[0] < errors[1]
            np.testing.assert_allclose(found[model, row], slow if errors[0] < errors[1] else plain, **ROUNDING)
    assert kept >= 4, "the test must see GPTQ itself, not only the rows where rounding to nearest is kept"


SANITY = ["gptq(bits=2)", "gptq(bits=3)", "gptq(bits=4, per=group, group=4)", "adaround(bits=2)", "adaround(bits=3)"]


@pytest.mark.parametrize("spec", SANITY)
def test_calibrated_rounding_beats_rounding_to_nearest(spec):
    """On the calibration records: never worse in any output of any model, and clearly better overall."""
    scheme = build(spec)
    weight, inputs = weights(7, 3, 6, 12), calibrated_on(8, 3, 12)
    scales = scheme.fit_on(weight, inputs)
    plain = Uniform.encode(scheme, weight, scales)
    chosen = scheme.encode(weight, scales)
    errors = [
        output_error(inputs.moment, scheme.decode(codes, scales) - weight) for codes in (chosen, plain)
    ]  # (models, outputs)
    assert (errors[0] <= errors[1] * (1 + 1e-9)).all()
    assert errors[0].sum() < 0.7 * errors[1].sum()
    # The error is what it is called: the mean squared change of the outputs.
    change = (scheme.decode(chosen, scales) - weight) @ inputs.records.transpose(1, 2)
    torch.testing.assert_close(change.square().mean(-1), errors[0])


def test_worse_rounding_is_noticed():
    """The control: rounding down is worse than rounding to nearest, and the comparison above would say so."""
    scheme = Gptq(bits=3)
    weight, inputs = weights(7, 3, 6, 12), calibrated_on(8, 3, 12)
    scales = scheme.fit_on(weight, inputs)
    down = scheme.decode(Uniform.encode(scheme, weight - scales["step"] / 2, scales), scales)
    plain = scheme.decode(Uniform.encode(scheme, weight, scales), scales)
    errors = [output_error(inputs.moment, rounded - weight) for rounded in (down, plain)]
    assert (errors[0] > errors[1]).any()
    kept = scheme._better_rows(
        weight, Uniform.encode(scheme, weight - scales["step"] / 2, scales), scales, inputs.moment
    )
    assert (output_error(inputs.moment, scheme.decode(kept, scales) - weight) <= errors[1] * (1 + 1e-9)).all()
