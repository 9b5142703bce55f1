"""The contract suite over every registered quantizer, under generated shapes, and over planted broken ones."""

from typing import ClassVar

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from leaq.errors import InvalidInput
from leaq.quantizers import QUANTIZERS, Scheme, Ternary, Uniform, build
from leaq.quantizers.applying import Fitted
from tests.contract import quantizers as contract
from tests.helpers import require

SPECS = [spec for name in QUANTIZERS for spec in QUANTIZERS.get(name).examples]
# The options every scheme has, on schemes of each kind.
SPECS += [
    "ternary(sparsity=0.9, last=int8)",
    "sign(first=full, last=int8, bias=float16)",
    "uniform(bits=3, bias=corrected)",
    "nf4(last=full, bias=int8)",
    "uniform(bits=8, activations=8)",
    "uniform(bits=8, activations=8, ranges=minmax, zero_point=free, outputs=all)",
    "ternary(sparsity=0.75, activations=4, ranges=moving, zero_point=sign)",
    "gptq(bits=3, per=tensor, bias=corrected, last=int8)",
    "sign(refit=layers, last=int8)",
    "uniform(bits=2, refit=outputs)",
    "kmeans(bits=2, refit=last)",
    "ternary(sparsity=0.75, keep=inputs)",
]
# Few steps of the optimiser are enough for the contract.
SPECS = [spec.replace(")", ", iterations=20)") if spec.startswith("adaround") else spec for spec in SPECS]
SPECS = ["distilled(steps=10)" if spec == "distilled" else spec for spec in SPECS]
OWN = [spec for spec in SPECS if "." not in spec.split("(")[0]]


def scheme_of(spec: str) -> Scheme:
    scheme = build(spec)
    if scheme.needs.extra:
        require(scheme.needs.extra)
    return scheme


@pytest.mark.parametrize("spec", SPECS)
@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(check, spec):
    check(scheme_of(spec))


@pytest.mark.parametrize("spec", SPECS)
def test_packed_file(spec, tmp_path):
    contract.check_packed_file(scheme_of(spec), tmp_path)


SHAPES = st.one_of(
    st.tuples(st.just("linear"), st.tuples(*[st.integers(1, 9)] * 2)),
    st.tuples(st.just("conv1d"), st.tuples(*[st.integers(1, 4)] * 3)),
    st.tuples(st.just("conv2d"), st.tuples(*[st.integers(1, 3)] * 4)),
    st.tuples(st.just("embedding"), st.tuples(*[st.integers(1, 9)] * 2)),
)


@pytest.mark.parametrize("spec", OWN)
@settings(max_examples=5, suppress_health_check=[HealthCheck.differing_executors])
@given(role_and_shape=SHAPES, count=st.integers(1, 3), seed=st.integers(0, 2**16))
def test_any_shape(spec, role_and_shape, count, seed):
    """Every role and shape: form kept, candidates fitted, codes decode to what is released."""
    role, shape = role_and_shape
    scheme = build(spec)
    stack = contract.models(count, shape=shape, role=role, trajectory=2, seed=seed, dtype=torch.float32)
    records = contract.calibration(count)
    fitted = scheme.fitted_to(stack.last(), records)
    candidates = fitted(stack)
    for name, tensor in candidates.params.items():
        assert tensor.shape == stack.params[name].shape
        assert torch.isfinite(tensor).all()
    contract.equal(candidates.last(), scheme(stack.last(), records))
    alone = stack.last().at(slice(0, 1)) if count == 1 else None
    if alone is not None:
        contract.equal(fitted.held(alone), fitted(alone))
    for name, (codes, scales) in fitted.codes(stack).items():
        decoded = scheme.plan(stack)[name].dequantize(codes, scales).to(torch.float32)
        assert torch.equal(decoded.reshape(stack.params[name].shape), candidates.params[name])


def test_one_symmetric_bit_is_refused():
    with pytest.raises(InvalidInput, match="one symmetric bit has the single level 0 and would erase every weight"):
        build("uniform(bits=1)")


def mean_error(scheme: Scheme, draws: int = 300) -> torch.Tensor:
    """Largest mean error over seeds of 70 weights, in steps."""
    given = contract.models(1)
    seeds = range(draws) if "seed" in type(scheme).model_fields else [0]
    drawn = [type(scheme)(**{**scheme.to_dict(), "seed": s} if len(seeds) > 1 else scheme.to_dict()) for s in seeds]
    step = scheme.codes(given)["a.weight"][1]["step"]
    total = sum(one(given).params["a.weight"] - given.params["a.weight"] for one in drawn)
    return (total / len(drawn) / step).abs().max()


@pytest.mark.parametrize("spec", ["stochastic(bits=4)", "stochastic(bits=2, symmetric=False)", "dithered(bits=3)"])
def test_random_rounding_is_unbiased(spec):
    """Hoeffding: 70 means of 300 draws within one step exceed 0.14 steps with probability below 0.002."""
    assert mean_error(build(spec)) < 0.14


def test_rounding_to_nearest_is_not_unbiased():
    """The negative control of the test above."""
    assert mean_error(Uniform(bits=4)) > 0.3


# -- planted broken quantizers: each must fail the check that is there for it ------------------------------------------


class Changes(Uniform):
    bits: int = 4

    def _fake_quantize(self, weight, scales, out, *, clip):
        weight.mul_(1.001)
        return super()._fake_quantize(weight, scales, out, clip=clip)


class TooManyCodes(Uniform):
    bits: int = 4

    @property
    def levels(self):
        return 15

    def encode(self, weight, scales):
        return super().encode(weight, scales) * 2


class SharesScales(Uniform):
    bits: int = 4

    def fit(self, weight):
        return {"step": super().fit(weight)["step"].amax(0, keepdim=True).expand(len(weight), -1, -1).clone()}


class FastPathDiffers(Uniform):
    bits: int = 4

    def fake_quantize(self, weight, scales, out=None):
        return super().fake_quantize(weight, scales, out).mul_(1 + 1e-6)


class Thaws(Uniform):
    """Fits new scales to each candidate instead of using the fitted ones."""

    bits: int = 4

    def fitted_to(self, reference, calibration=None):
        return Thawed(self, self.fit_model(reference, calibration), reference.batch)


class Thawed(Fitted):
    def __call__(self, checkpoints, calibration=None, *, finite=False):
        self._repeat(checkpoints)
        again = self.scheme.fit_model(checkpoints, calibration)
        return Fitted(self.scheme, again, checkpoints.batch)(checkpoints, finite=finite)


class Drifts(Uniform):
    bits: int = 4

    def fit(self, weight):
        return {"step": super().fit(weight)["step"] * 0.9}


class SwallowsNan(Uniform):
    bits: int = 4

    def fit_model(self, checkpoints, calibration):
        safe = checkpoints.replace({n: torch.nan_to_num(t) for n, t in checkpoints.params.items()})
        return super().fit_model(safe, calibration)


class Erases(Ternary):
    """Drops ties: a constant tensor becomes 0."""

    def encode(self, weight, scales):
        return torch.where(weight.abs() > scales["threshold"], super().encode(weight, scales), 1).to(torch.uint8)

    def fake_quantize(self, weight, scales, out=None):
        return Scheme.fake_quantize(self, weight, scales, out)


class DropsTooFew(Ternary):
    def fit(self, weight):
        return Ternary(sparsity=0.9 * self.sparsity).fit(weight)


class Truncates(Uniform):
    bits: int = 4

    def _round(self, steps, scales):
        return steps.floor_()


class ForgetsAnOption(Uniform):
    bits: int = 4

    def spec(self):
        return "uniform(bits=4, per=tensor)"


class CountsNothing(Uniform):
    bits: int = 4
    stored: ClassVar[frozenset[str]] = frozenset()

    @property
    def code_bits(self):
        return 2.0


class QuantizesBiases(Uniform):
    bits: int = 4

    def plan(self, checkpoints):
        return {name: self for name in checkpoints.params}


PLANTED = [
    (contract.check_keeps_form, Changes()),
    (contract.check_leaves_the_rest, QuantizesBiases()),
    (contract.check_levels, TooManyCodes()),
    (contract.check_batched_is_one_by_one, SharesScales()),
    (contract.check_codes_are_what_is_released, FastPathDiffers()),
    (contract.check_frozen_gives_the_released_model, Thaws()),
    (contract.check_idempotent, Drifts()),
    (contract.check_survives_degenerate, Erases()),
    (contract.check_sparsity, DropsTooFew()),
    (contract.check_half_a_step, Truncates()),
    (contract.check_config_round_trip, ForgetsAnOption()),
    (contract.check_bits, CountsNothing()),
]


@pytest.mark.parametrize(("check", "broken"), PLANTED, ids=[type(broken).__name__ for _, broken in PLANTED])
def test_planted_broken_quantizer_fails(check, broken):
    with pytest.raises((AssertionError, InvalidInput)):
        check(broken)


def test_swallowed_nan_fails():
    class Silent(Fitted):
        def __call__(self, checkpoints, calibration=None, *, finite=False):
            safe = checkpoints.replace({n: torch.nan_to_num(t) for n, t in checkpoints.params.items()})
            return super().__call__(safe, calibration, finite=finite)

    class Swallows(SwallowsNan):
        def fitted_to(self, reference, calibration=None):
            return Silent(self, self.fit_model(reference, calibration), reference.batch)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        contract.check_refuses_nan(Swallows())


def test_lost_scale_fails_the_packed_file(tmp_path):
    class LosesScale(Uniform):
        stored: ClassVar[frozenset[str]] = frozenset()

    with pytest.raises(KeyError):
        contract.check_packed_file(LosesScale(bits=4), tmp_path)
