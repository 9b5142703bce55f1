"""The contract of every quantizer, and what all of them share.

A scheme turns each quantizable weight tensor into integer codes and a few scales, and back. It defines four small
functions on stacked tensors ``(b, *shape)`` (``b`` models at once): `fit` (scales from weights), `encode`, `decode`
and the number of levels. Everything else - which layers, stacks of any depth, fixed scales, calibration, bit
counting, names - is written once: here, in `applying` and in `packing`. Quantizers leave checkpoints untouched.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2
from typing import ClassVar, Literal, Self

from pydantic import Field, model_validator

from leaq.config import Named
from leaq.errors import InvalidInput
from leaq.lazy import Tensor
from leaq.quantizers.applying import GAIN, WEIGHTS, Fitted, Scales, State, averaged, quantizable, quantized
from leaq.quantizers.calibration import RECORDS, Calibration, Inputs, fit_state
from leaq.quantizers.mixed_precision import apart, others_of
from leaq.quantizers.observing import Ranges, observed
from leaq.quantizers.registry import build
from leaq.quantizers.saying import described, label_of, nothing_left, warnings_of
from leaq.results import Size
from leaq.types import Activations, Checkpoints, Flag, Role
from leaq.types.activations import Outputs, ZeroPoint

__all__ = ["WEIGHTS", "Bits", "Fitted", "Needs", "Scales", "Scheme", "quantizable"]

EIGHT_BIT = "uniform(bits=8)"

EndLayer = Literal["same", "int8", "full"]
Refit = Literal["off", "last", "layers", "outputs"]


@dataclass(frozen=True)
class Bits:
    """Bits per weight, scales included: as packed into a file, and as the entropy of the codes."""

    packed: float
    entropy: float


@dataclass(frozen=True)
class Needs:
    """What a quantizer asks for beside the weights.

    Attributes
    ----------
    calibration : records to calibrate on (members by default, each model its own).
    model : the architecture, even without records.
    extra : the optional dependency that brings the library behind it.
    device : where it runs.
    """

    calibration: bool = False
    model: bool = False
    extra: str | None = None
    device: str = "CPU or GPU"

    def __str__(self) -> str:
        wanted = ["calibration records"] if self.calibration else ["the architecture"] if self.model else []
        wanted += [f"extra {self.extra}"] if self.extra else []
        return ", ".join(wanted) or "nothing"


class Scheme(Named):
    """A quantizer: ``scheme(checkpoints)`` returns the same checkpoints with quantized, dequantized weights.

    The options every scheme has choose layers and what happens around the weights:

    first, last : the first or last weight of the model is quantized like the others ("same"), to 8 bits per channel
        ("int8", the decoupled variant), or stays in full precision ("full").
    bias : biases stay in full precision ("full", flagged), become "float16" or "int8", or are "corrected" so that
        each output keeps its mean over the calibration records.
    activations : each layer's input is rounded to this many bits too.
    ranges : what its levels span: the numbers of each "record", or, of static ranges, those observed on calibration
        records: the extremes of all ("minmax"), or of each, their "mean" or "moving" average.
    zero_point : the level of 0: the "middle" one, by "sign" the lowest where nothing is negative, or a "free" one.
    outputs : what else is rounded by a static range: the network's outputs ("last"), or what every layer gives ("all").
    calibrated : whose records a calibrated scheme looks at: those of "members", each model its own, or "elsewhere",
        records that train no model.
    refit : after rounding, one scale an output channel and the biases are fitted anew so that the model imitates itself
        in full precision, codes unchanged: of the "last" layer, of all "layers" in turn, or then all together for the
        model's "outputs" (see `leaq.quantizers.refitting`).
    stop : the share of training after which the model is released; from recorded checkpoints.
    average : the mean of the weights recorded in this last share of training, up to the stop, is released instead of
        the last ones; 0 averages nothing (Izmailov et al., arXiv 1803.05407v3, at a constant step size).
    others : weights that go another way, ``NAME=QUANTIZER; NAME=full; ...``: the first pattern (as of file names) that
        a weight's name matches counts.
    """

    source: ClassVar[str] = ""
    """The paper or practice the scheme is taken from."""
    examples: ClassVar[tuple[str, ...]] = ()
    """Specifications that show the scheme; the first one stands in listings, the contract suite runs over all."""
    roles: ClassVar[frozenset[Role]] = WEIGHTS
    """Which weights the scheme can quantize; the others stay in full precision."""
    stored: ClassVar[frozenset[str]] = frozenset({"scale", "step", "low", "levels"})
    """Which scales decoding needs: these are in the packed file and count as bits."""
    wants: ClassVar[Needs] = Needs()
    """What the scheme itself needs; `needs` adds what the options need."""
    records: ClassVar[int] = RECORDS
    """Records a model is calibrated on at most, where there are more."""
    by_rows: ClassVar[bool] = False
    """Whether the codes of an output channel depend on its own weights and scales alone, so that a large tensor may be
    worked on a few rows at a time."""

    first: EndLayer = "same"
    last: EndLayer = "same"
    bias: Literal["full", "float16", "int8", "corrected"] = "full"
    activations: int | None = Field(default=None, ge=2, le=16)
    ranges: Ranges = "record"
    zero_point: ZeroPoint = "middle"
    outputs: Outputs = "none"
    calibrated: Literal["members", "elsewhere"] = "members"
    refit: Refit = "off"
    stop: float = Field(default=1.0, gt=0, le=1)
    average: float = Field(default=0.0, ge=0, le=1)
    others: str = ""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.activations is None and not all(map(self.at_default, ("ranges", "zero_point", "outputs"))):
            raise ValueError("ranges, zero_point and outputs say how activations are rounded; name their bits")
        if self.outputs != "none" and self.ranges == "record":
            raise ValueError("outputs are rounded by an observed range; name ranges=minmax, mean or moving")
        if self.calibrated == "elsewhere" and not self.needs.calibration:
            raise ValueError("calibrated says whose records a quantizer looks at, and this one looks at none")
        if self.refit != "off" and self.bias != "full":
            raise ValueError(
                f"refit fits the biases itself and leaves them in full precision, so bias={self.bias} is moot"
            )
        for pattern, scheme in others_of(self.others) if self.others else ():
            if scheme is not None and (scheme.others or scheme.needs.calibration or scheme.needs.model):
                raise ValueError(f"others: what {pattern} goes through must need no records and name no others")
        return self

    # -- what a scheme defines -------------------------------------------------------------------------------------

    def fit(self, weight: Tensor) -> Scales:
        """Return the scales of each of b stacked tensors, (b, ...)."""
        raise NotImplementedError

    def encode(self, weight: Tensor, scales: Scales) -> Tensor:
        """Return integer codes (b, *shape); the scales' model axis is b or 1."""
        raise NotImplementedError

    def decode(self, codes: Tensor, scales: Scales) -> Tensor:
        """Return the weights the codes stand for, (b, *shape)."""
        raise NotImplementedError

    @property
    def levels(self) -> int:
        """Number of different codes."""
        raise NotImplementedError

    def title(self) -> str:
        """Name the scheme in a few words, options of the layers left out."""
        raise NotImplementedError

    def explain(self) -> str:
        """Say in one sentence what happens to a quantized weight."""
        raise NotImplementedError

    of_others: ClassVar[frozenset[str]] = frozenset()
    """Scales that only weights other than those it is fitted to need."""

    # -- what a scheme may define ----------------------------------------------------------------------------------

    def fake_quantize(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Return ``decode(encode(weight))``, in `out` if given.

        Schemes override it where fewer passes give the same. `out` is contiguous and never the weight itself.
        """
        decoded = self.decode(self.encode(weight, scales), scales).to(weight.dtype)
        return decoded if out is None else out.copy_(decoded)

    def fit_fake_quantize(self, weight: Tensor, out: Tensor) -> Scales:
        """Quantize into `out` with the weights' own scales, and return these: `fit` and `fake_quantize` in one go."""
        scales = self.fit(weight)
        self.fake_quantize(weight, scales, out)
        return scales

    @property
    def reveals_infinite(self) -> bool:
        """Whether any NaN or infinite weight makes a scale NaN or infinite, so that no pass has to look for them."""
        return False

    # The scales of a refitted layer hold a gain for each output channel beside what the scheme fitted.

    def dequantize(self, codes: Tensor, scales: Scales) -> Tensor:
        """Return the released weights the codes stand for, (b, *shape): decoded, times the gains of a refit."""
        decoded = self.decode(codes, scales)
        return decoded * scales[GAIN] if GAIN in scales else decoded

    def release(self, weight: Tensor, scales: Scales, out: Tensor | None = None) -> Tensor:
        """Return ``dequantize(encode(weight))``, in `out` if given."""
        found = self.fake_quantize(weight, scales, out)
        return found.mul_(scales[GAIN]) if GAIN in scales else found

    def in_file(self, scales: Scales) -> Scales:
        """Return those of a tensor's scales that `dequantize` needs."""
        return {key: value for key, value in scales.items() if key in self.stored or key == GAIN}

    def recorded(self, checkpoints: Checkpoints) -> Checkpoints:
        """Return the checkpoints (s, c) up to the one that is released, which becomes the last.

        Examples
        --------
        >>> import torch
        >>> from leaq.quantizers import build
        >>> trained = Checkpoints({"w": torch.zeros(2, 20, 3, 3)}, {"w": "linear"}, (2, 20))
        >>> build("sign(stop=0.25)").recorded(trained).batch
        (2, 5)
        """
        if not self.earlier:
            return checkpoints
        if len(checkpoints.batch) != 2:
            option = "stop" if self.stop < 1 else "average"
            raise InvalidInput(
                f"{self.spec()}: {option} needs the checkpoints of training, batch (models, checkpoints). Found batch "
                f"{checkpoints.batch}. Leave {option} out."
            )
        kept = checkpoints.at((slice(None), slice(0, max(1, round(self.stop * checkpoints.batch[1])))))
        return averaged(kept, max(1, round(self.average * kept.batch[1])))

    @property
    def earlier(self) -> bool:
        """Whether weights recorded before the last ones are looked at."""
        return self.stop < 1 or self.average > 0

    def fit_on(self, weight: Tensor, inputs: Inputs) -> Scales:
        """Return the scales given what the weights are multiplied with; only calibrated schemes look at it."""
        return self.fit(weight)

    def prepare(self, checkpoints: Checkpoints, state: State, repeat: int = 1) -> Checkpoints:
        """Rewrite the model before it is quantized, leaving its function as it is."""
        return checkpoints

    def fit_model(self, checkpoints: Checkpoints, calibration: Calibration | None) -> State:
        """Return the scales of every parameter."""
        return fit_state(self, checkpoints, calibration)

    @property
    def code_bits(self) -> float:
        """Bits a code takes in a packed file."""
        return float(max(1, (self.levels - 1).bit_length()))

    @property
    def idempotent(self) -> bool:
        """Whether quantizing a quantized model changes nothing more."""
        return True

    def codebook(self) -> int | Literal["continuous"]:
        """Return how many values a weight can take once the scales are known, or "continuous"."""
        return self.levels

    # -- what all schemes share ------------------------------------------------------------------------------------

    def __call__(self, checkpoints: Checkpoints, calibration: Calibration | None = None) -> Checkpoints:
        """Quantize every checkpoint with its own scales; of a quantizer that stops early, those up to there.

        Raises
        ------
        InvalidInput
            If a weight is NaN or infinite (the message names the parameter), if nothing is left to quantize, or if
            calibration is needed and not given.
        """
        checkpoints = self.recorded(checkpoints)
        if self._tensor_by_tensor():
            return quantized(self, checkpoints)
        return self.fitted_to(checkpoints, calibration)(checkpoints, finite=True)

    def _tensor_by_tensor(self) -> bool:
        """Whether each tensor is quantized for itself, so that it is fitted and rounded while it is in the cache."""
        whole_model = ("fit_model", "prepare", "fitted_to")
        shared = all(getattr(type(self), name) is getattr(Scheme, name) for name in whole_model)
        return shared and not self.needs.calibration

    def fitted_to(self, reference: Checkpoints, calibration: Calibration | None = None) -> Fitted:
        """Fix everything but the weights to `reference` (batch ``(s,)``), so that candidates form a finite set.

        The reference itself becomes exactly what ``self(reference, calibration)`` gives.
        """
        source = calibration.source if calibration is not None and self.needs.calibration else None
        if source == "members" and self.calibrated == "elsewhere":
            raise InvalidInput(
                f"{self.spec()}: the calibration records must be others than the members. Found those of the members. "
                "Name whose they are: leaq.quantizers.Calibration(model, inputs, source='public records')."
            )
        state = self.fit_model(reference, calibration)
        ranges = None if self.ranges == "record" else observed(self, self.prepare(reference, state), calibration)
        return Fitted(self, state, reference.batch, source, ranges)

    def frozen_to(self, reference: Checkpoints, calibration: Calibration | None = None) -> Fitted:
        """Call `fitted_to`, of which this is the former name; goes in version 0.3."""
        return self.fitted_to(reference, calibration)

    def codes(
        self, checkpoints: Checkpoints, calibration: Calibration | None = None
    ) -> dict[str, tuple[Tensor, Scales]]:
        """Return each quantized parameter's codes (b, *shape) and scales, with the batch axes flattened to b."""
        return self.fitted_to(checkpoints, calibration).codes(checkpoints)

    def bits_per_weight(self, checkpoints: Checkpoints, calibration: Calibration | None = None) -> Bits:
        """Count bits per weight, scales included, averaged over the stacked models; see `Fitted.bits`."""
        return Bits(*self.fitted_to(checkpoints, calibration).bits(checkpoints))

    def size(self, checkpoints: Checkpoints, calibration: Calibration | None = None) -> Size:
        """Weigh one released model: bits per weight, bytes of everything, compression against float32."""
        return self.fitted_to(checkpoints, calibration).size(checkpoints)

    @property
    def needs(self) -> Needs:
        """What must be given or installed beside the weights."""
        wants = self.wants
        return Needs(self.looks or self.ranges != "record", wants.model, wants.extra, wants.device)

    @property
    def looks(self) -> bool:
        """Whether weights or biases depend on calibration records."""
        return self.wants.calibration or self.bias == "corrected" or self.refit != "off"

    @property
    def rounding(self) -> Activations | None:
        """How the inputs of layers are rounded, static ranges yet to be observed; None if they are not."""
        return None if self.activations is None else Activations(self.activations, self.zero_point)

    def plan(self, checkpoints: Checkpoints) -> dict[str, Scheme]:
        """Return which scheme each quantized parameter goes through, in forward order; the others stay as they are."""
        weights = quantizable(checkpoints)
        chosen: dict[str, Scheme] = {name: self for name in weights if checkpoints.roles[name] in self.roles}
        ends = ((weights[0], self.first), (weights[-1], self.last)) if weights else ()
        for name, choice in ends:
            if choice == "full":
                chosen.pop(name, None)
            elif choice == "int8":
                chosen[name] = build(EIGHT_BIT)
        chosen = apart(self.others, chosen, checkpoints, weights) if self.others else chosen
        if not chosen:
            raise nothing_left(self, checkpoints, weights)
        if self.bias in ("float16", "int8"):
            rule = build("float16" if self.bias == "float16" else EIGHT_BIT)
            chosen |= {name: rule for name, role in checkpoints.roles.items() if role == "bias"}
        return {name: chosen[name] for name in checkpoints.roles if name in chosen}

    def flags(self, source: str = "members") -> tuple[Flag, ...]:
        """Return the doubts that every number measured under this quantizer carries; `source` calibrated it.

        Examples
        --------
        >>> from leaq.quantizers import Gptq
        >>> [flag.code for flag in Gptq().flags()], [flag.code for flag in Gptq().flags("public molecules")]
        (['calibrated-on-members'], ['calibrated-elsewhere'])
        """
        return warnings_of(self, source)

    def label(self) -> str:
        """Short text for tables and figures."""
        return label_of(self)

    def describe(self) -> str:
        """Say what is quantized, and how."""
        return described(self)

    @classmethod
    def spec_order(cls) -> list[str]:
        """Put what readers ask for first and what every scheme has last."""
        shared = list(Scheme.model_fields)
        last = {key: 1 + shared.index(key) for key in shared}
        return sorted(cls.model_fields, key=lambda key: last.get(key, -(key in cls.always_named)))

    def code_bytes(self, count: int) -> int:
        """Bytes that `count` codes of one tensor take when packed."""
        per_byte = 8 / self.code_bits
        return ceil(count / int(per_byte)) if self.code_bits == trits_per_code() else ceil(count / per_byte)


def trits_per_code() -> float:
    """Bits of one ternary code packed five to a byte (3^5 = 243 of 256 values): 1.6, against log2(3)."""
    return 8 / int(8 / log2(3))
