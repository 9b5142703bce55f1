"""A scheme walks over a model's parameters: fit, quantize, count.

Stacks are worked on in cache-sized runs of models. A `Fitted` scheme holds the fitted scales of every parameter (its
`State`); quantizing is then a fixed map from weights onto one finite codebook per model.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from math import isfinite, prod
from typing import TYPE_CHECKING

from leaq.errors import InvalidInput
from leaq.lazy import Tensor, torch
from leaq.quantizers.blocks import TILE, tiles
from leaq.results import Size
from leaq.types import LAYER_ROLES, Activations, Checkpoints, Flag, Role
from leaq.types.later import at_hand, is_later

if TYPE_CHECKING:
    from leaq.quantizers.calibration import Calibration
    from leaq.quantizers.scheme import Scheme

WEIGHTS: frozenset[Role] = frozenset(LAYER_ROLES)

Scales = dict[str, "Tensor"]
"""What encoding and decoding need beside weights and codes: tensors whose first axis is the models'."""

State = Mapping[str, Scales]
"""Scales by parameter."""

MOMENTS = ("input_mean", "quantized_input_mean")
"""Names under which a corrected bias keeps the mean input of its layer."""
ONE_BYTE = 256
"""Levels whose codes take one byte."""
GAIN, SHIFT = "gain", "shift"
"""Names under which a refitted weight keeps what each output channel is multiplied by, and a bias what is added."""


def quantizable(checkpoints: Checkpoints) -> tuple[str, ...]:
    """Return the names of the weights a quantizer touches, in forward order; biases, norms and scalers are not."""
    return tuple(name for name, role in checkpoints.roles.items() if role in WEIGHTS)


def stacked(checkpoints: Checkpoints, name: str) -> Tensor:
    """Return one parameter with its batch axes flattened to one, (b, *shape)."""
    tensor = checkpoints.params[name]
    return tensor.reshape(-1, *tensor.shape[len(checkpoints.batch) :])


def bias_of(weight: str, checkpoints: Checkpoints) -> str | None:
    """Return the name of the bias that is added to what `weight` gives, if the model has one."""
    name = weight.removesuffix("weight") + "bias"
    return name if weight.endswith("weight") and name in checkpoints.params else None


def averaged(checkpoints: Checkpoints, count: int) -> Checkpoints:
    """Return checkpoints (s, c) whose last one is the mean of the last `count`; scalers and whole numbers stay.

    Examples
    --------
    >>> trained = Checkpoints({"w": torch.arange(4.0).reshape(1, 4, 1, 1)}, {"w": "linear"}, (1, 4))
    >>> averaged(trained, 2).params["w"].flatten().tolist()
    [0.0, 1.0, 2.0, 2.5]
    """
    if count == 1:
        return checkpoints
    after = {
        name: torch.cat([tensor[:, :-1], tensor[:, -count:].mean(1, keepdim=True)], dim=1)
        for name, tensor in checkpoints.params.items()
        if tensor.is_floating_point() and checkpoints.roles[name] != "scaler"
    }
    return checkpoints.replace(after)


def fit_tensor(scheme: Scheme, name: str, weight: Tensor) -> Scales:
    """Return the scales of one parameter's stacked tensors (b, *shape), all of which must be finite."""
    if is_later(weight) and len(weight) == 1:  # what a scheme keeps of the weights themselves stays where they are
        here = at_hand(weight)
        return {key: weight if value is here else value for key, value in _fit_finite(scheme, name, here).items()}
    parts = [_fit_finite(scheme, name, weight[run]) for run, _ in tiles(len(weight), prod(weight.shape[1:]))]
    return {key: torch.cat([part[key] for part in parts]) for key in parts[0]}


def quantized(scheme: Scheme, checkpoints: Checkpoints) -> Checkpoints:
    """Quantize every checkpoint with its own scales, for schemes that treat each tensor for itself.

    The same as fitting all scales first; but each run of models is fitted and rounded while it is in the cache.
    """
    after = {}
    for name, chosen in scheme.plan(checkpoints).items():
        weight = at_hand(stacked(checkpoints, name))
        out = after[name] = torch.empty_like(weight, memory_format=torch.contiguous_format)
        with torch.no_grad():
            for run, _ in tiles(len(weight), prod(weight.shape[1:])):
                _fit_finite(chosen, name, weight[run], out[run])
    return _exchanged(checkpoints, after, scheme.rounding)


def _fit_finite(scheme: Scheme, name: str, weight: Tensor, out: Tensor | None = None) -> Scales:
    """Return the scales of finite weights, quantized into `out` if given; refuse others."""
    if not scheme.reveals_infinite:
        refuse_infinite(name, weight)
    scales = scheme.fit(weight) if out is None else scheme.fit_fake_quantize(weight, out)
    if scheme.reveals_infinite and not all(
        isfinite(value.sum()) or bool(value.isfinite().all())  # a finite sum says so at once, an infinite one may not
        for value in scales.values()
    ):
        refuse_infinite(name, weight)
        raise InvalidInput(
            f"Quantizing {name!r}: weights must have a finite scale. Found weights so large that it overflows. "
            "Scale the model down."
        )
    return scales


def _exchanged(before: Checkpoints, flat: Mapping[str, Tensor], rounding: Activations | None) -> Checkpoints:
    """Return the checkpoints with quantized parameters (b, *shape) in the place of theirs, and what rounds inputs."""
    after = before.replace({name: tensor.reshape(before.params[name].shape) for name, tensor in flat.items()})
    return after if rounding is None else replace(after, activations=rounding)


def refuse_infinite(name: str, weight: Tensor) -> None:
    """Refuse NaN and infinite weights; the extremes tell, and cost one pass."""
    if weight.numel() and not all(isfinite(extreme) for extreme in weight.aminmax()):
        raise InvalidInput(f"Quantizing {name!r}: weights must be finite. Found NaN or infinite values.")


def row_runs(scheme: Scheme, shape: tuple[int, ...], scales: Scales) -> Iterator[tuple[slice, Scales]]:
    """Cut one large tensor (1, out, ...) into cache-sized runs of its rows, with the scales that belong to each.

    One run where there are several models, or where a row's codes depend on more than itself and its scales.
    """
    rows, each = shape[1], prod(shape[2:])
    step = max(1, TILE // max(1, each))
    told = {key: value.shape[1] if value.ndim > 1 else 1 for key, value in scales.items()}
    alone = scheme.by_rows and shape[0] == 1 and len(shape) > 2
    if not alone or step >= rows or any(count > 1 and count % rows for count in told.values()):
        yield slice(0, rows), scales
        return
    for start in range(0, rows, step):
        end = min(start + step, rows)
        own = {key: told[key] // rows for key in scales}  # 0 where all rows share a scale
        parts = {k: v[:, start * own[k] : end * own[k]] if own[k] else v for k, v in scales.items()}
        yield slice(start, end), parts


@dataclass(frozen=True)
class Fitted:
    """A scheme with fixed scales: maps checkpoints of batch ``(s, c)`` onto one finite codebook per model.

    It stands wherever a quantizer is asked for, already calibrated. `calibrated_on` says whose records did that, None
    if none were needed; `observed` holds the ranges that the inputs of layers were seen to have, (b, 2) each.
    """

    scheme: Scheme
    state: State
    batch: tuple[int, ...]
    calibrated_on: str | None = None
    observed: Activations | None = None

    def __call__(
        self, checkpoints: Checkpoints, calibration: Calibration | None = None, *, finite: bool = False
    ) -> Checkpoints:
        """Quantize with the fixed scales; the leading batch axes must be those of the reference.

        `finite` says that the weights were already checked. Nothing is calibrated again.
        """
        repeat = self._repeat(checkpoints)
        prepared = self.scheme.prepare(checkpoints, self.state, repeat)
        quantized = {}
        for name, chosen in self.scheme.plan(checkpoints).items():
            weight = at_hand(stacked(prepared, name))
            out = torch.empty_like(weight, memory_format=torch.contiguous_format)
            with torch.no_grad():
                for run, scales in self._runs(name, weight, repeat):
                    if not finite:
                        refuse_infinite(name, weight[run])
                    for rows, own in row_runs(chosen, weight[run].shape, scales):
                        chosen.release(weight[run][:, rows], own, out[run][:, rows])
            quantized[name] = out
        quantized |= self._shifted(prepared, quantized, repeat)
        return _exchanged(prepared, quantized, self._rounding(checkpoints, repeat))

    def held(self, checkpoints: Checkpoints) -> Checkpoints:
        """Return the same with a byte a weight in memory: its codes, decoded by each operation that needs it.

        Weights of more than 256 levels are quantized anew each time. For a large model that stays in its file.
        """
        repeat, plan = self._repeat(checkpoints), self.scheme.plan(checkpoints)
        prepared = self.scheme.prepare(checkpoints, self.state, repeat)
        few = {name: chosen for name, chosen in plan.items() if chosen.levels <= ONE_BYTE}
        many = plan.keys() - few.keys()
        quantized = {name: _again(plan[name], stacked(prepared, name), self.state[name]) for name in many}
        for name, codes, scales in self.coded(checkpoints, few):
            quantized[name] = _decoded(plan[name], codes, scales, like=stacked(prepared, name))
        quantized |= self._shifted(prepared, quantized, repeat)
        return _exchanged(prepared, quantized, self._rounding(checkpoints, repeat))

    def fitted_to(self, reference: Checkpoints, calibration: Calibration | None = None) -> Fitted:
        """Return itself: everything is fixed already."""
        return self

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Return which scheme each quantized parameter goes through."""
        return self.scheme.plan(checkpoints)

    def spec(self) -> str:
        """Return the text that builds the scheme again."""
        return self.scheme.spec()

    def flags(self) -> tuple[Flag, ...]:
        """Return the doubts every number measured under this quantizer carries."""
        return self.scheme.flags(self.calibrated_on or "members")

    def codes(self, checkpoints: Checkpoints) -> dict[str, tuple[Tensor, Scales]]:
        """Return each quantized parameter's codes (b, *shape) and scales (b, ...)."""
        return {name: (codes, scales) for name, codes, scales in self.coded(checkpoints)}

    def coded(
        self, checkpoints: Checkpoints, names: Collection[str] | None = None
    ) -> Iterator[tuple[str, Tensor, Scales]]:
        """Yield name, codes and scales of one quantized parameter after the other, of `names` where given.

        The codes of a large model are then never held together.
        """
        repeat = self._repeat(checkpoints)
        prepared = self.scheme.prepare(checkpoints, self.state, repeat)
        for name, chosen in self.scheme.plan(checkpoints).items():
            if names is not None and name not in names:
                continue
            weight = at_hand(stacked(prepared, name))
            parts = [_encoded(chosen, weight[run], scales) for run, scales in self._runs(name, weight, repeat)]
            state = self.state[name]
            scales = state if repeat == 1 else {key: value.repeat_interleave(repeat, 0) for key, value in state.items()}
            yield name, parts[0] if len(parts) == 1 else torch.cat(parts), scales

    def bits(self, reference: Checkpoints) -> tuple[float, float]:
        """Return packed and entropy bits per weight, scales included, averaged over models.

        All linear, convolution and embedding weights count, those left in full precision with their 32 bits. The
        entropy is that of the observed code frequencies of each tensor: biased low where a tensor has few weights
        for its number of levels.
        """
        plan, layers = self.scheme.plan(reference), quantizable(reference)
        told = {
            name: (sum(_entropy(model) for model in codes) / len(codes), scale_bits(plan[name], scales))
            for name, codes, scales in self.coded(reference, layers)
        }
        weights = packed = entropy = 0.0
        for name in layers:
            weight = stacked(reference, name)
            count = prod(weight.shape[1:])
            weights += count
            if name not in told:
                packed += 8 * weight.element_size() * count
                entropy += 8 * weight.element_size() * count
                continue
            each, overhead = told[name]
            packed += 8 * plan[name].code_bytes(count) + overhead
            entropy += each * count + overhead
        return packed / max(weights, 1), entropy / max(weights, 1)

    def size(self, reference: Checkpoints) -> Size:
        """Weigh one released model; `bytes` is what `packing.pack` writes beside its header.

        Bits are per number of the whole model, those left in full precision included. Compression is against the
        same model unquantized.
        """
        per_weight, weights = self.bits(reference), quantizable(reference)
        plan = self.scheme.plan(reference)
        total = full = numbers = within = 0
        for name in reference.params:
            tensor = stacked(reference, name)
            count = prod(tensor.shape[1:])
            numbers += count
            within += count if name in weights else 0
            full += tensor.element_size() * count
            if name in plan:
                total += plan[name].code_bytes(count) + scale_bits(plan[name], self.state[name]) // 8
            else:
                total += tensor.element_size() * count
        total += sum(tensor[0].nbytes for tensor in self.observed.ranges.values()) if self.observed else 0
        saved = (per_weight[0] - per_weight[1]) * within / numbers
        return Size(8 * total / numbers, 8 * total / numbers - saved, total, full / total)

    def _repeat(self, checkpoints: Checkpoints) -> int:
        if checkpoints.batch[: len(self.batch)] != self.batch:
            raise InvalidInput(
                f"A quantizer fitted to models of batch {self.batch} cannot quantize batch {checkpoints.batch}."
            )
        return prod(checkpoints.batch[len(self.batch) :])

    @property
    def rounding(self) -> Activations | None:
        """How the inputs of layers are rounded, static ranges (b, 2); None if they are not."""
        return self.observed or self.scheme.rounding

    def _rounding(self, checkpoints: Checkpoints, repeat: int) -> Activations | None:
        if (how := self.rounding) is None:
            return None
        each = how.repeated(repeat).ranges
        return how.with_ranges({name: tensor.reshape(*checkpoints.batch, 2) for name, tensor in each.items()})

    def _runs(self, name: str, weight: Tensor, repeat: int) -> Iterator[tuple[slice, Scales]]:
        for run, own in tiles(len(weight), prod(weight.shape[1:]), repeat=repeat):
            yield run, {key: value[own] for key, value in self.state[name].items()}

    def _shifted(self, before: Checkpoints, quantized: Mapping[str, Tensor], repeat: int) -> dict[str, Tensor]:
        """Return the biases that were refitted, or keep each output's mean: b + W E[x] - W' E[x'].

        x' are the inputs behind quantized layers.
        """
        found = {}
        for name in quantized:
            bias = bias_of(name, before)
            known = self.state.get(bias, {}) if bias is not None else {}
            if bias is not None and SHIFT in known:
                found[bias] = stacked(before, bias) + known[SHIFT].repeat_interleave(repeat, 0)
            elif bias is not None and set(MOMENTS) <= set(known):
                exact, rounded = (known[key].repeat_interleave(repeat, 0) for key in MOMENTS)
                found[bias] = stacked(before, bias) + mean_shift(stacked(before, name), quantized[name], exact, rounded)
        return found


def _encoded(scheme: Scheme, weight: Tensor, scales: Scales) -> Tensor:
    """Return the codes of some models' weights (b, *shape): of one large tensor's a few rows at a time."""
    parts = [scheme.encode(weight[:, rows], own) for rows, own in row_runs(scheme, weight.shape, scales)]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


def _again(scheme: Scheme, weight: Tensor, scales: Scales) -> Tensor:
    """Return weights that are quantized each time they are used."""
    return _later(weight, lambda: scheme.release(at_hand(weight), scales))


def _decoded(scheme: Scheme, codes: Tensor, scales: Scales, *, like: Tensor) -> Tensor:
    """Return weights of which the codes are in memory."""
    kind, kept = codes.dtype, codes.to(torch.uint8)
    needed = {key: value for key, value in scales.items() if not is_later(value)}
    return _later(like, lambda: scheme.dequantize(kept.to(kind), needed).to(like.dtype).reshape(like.shape))


def _later(like: Tensor, make: Callable[[], Tensor]) -> Tensor:
    from leaq.models.later import Later

    return Later(tuple(like.shape), make)


def mean_shift(weight: Tensor, quantized: Tensor, exact: Tensor, rounded: Tensor) -> Tensor:
    """W E[x] - W' E[x'], (b, out), of weights (b, out, ...) and mean inputs (b, in)."""
    before = torch.bmm(weight.flatten(2), exact.unsqueeze(-1))
    return (before - torch.bmm(quantized.flatten(2), rounded.unsqueeze(-1))).squeeze(-1)


def scale_bits(scheme: Scheme, scales: Scales) -> int:
    """Bits that the scales of one model's tensor take in the file."""
    return sum(8 * value.element_size() * value[0].numel() for value in scheme.in_file(scales).values())


def _entropy(codes: Tensor) -> float:
    """Shannon entropy of the code frequencies, in bits per code."""
    flat = codes.flatten()
    flat = flat if flat.dtype in (torch.uint8, torch.int32, torch.int64) else flat.long()
    wide = int(flat.max()) >= 2**20  # the bits of whole numbers, say
    counts = torch.unique(flat, return_counts=True)[1] if wide else torch.bincount(flat)
    counts = counts[counts > 0].double()
    share = counts / counts.sum()
    return float(-(share * share.log2()).sum()) if len(share) > 1 else 0.0
