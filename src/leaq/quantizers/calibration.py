"""What a calibrated quantizer may look at, and the walk through the network that shows it to each layer.

By default a model is calibrated on its own members: that is what practice does, it is a second way for them to leak,
and every shadow model does it with its own. The walk goes layer by layer: a layer sees its inputs as they come out
of the layers before it, already quantized.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.lazy import Tensor, torch
from leaq.models.protocols import InTurn, Layered
from leaq.quantizers.applying import (
    GAIN,
    MOMENTS,
    SHIFT,
    Scales,
    State,
    bias_of,
    fit_tensor,
    mean_shift,
    refuse_infinite,
    stacked,
)
from leaq.quantizers.refitting import jointly, line_through
from leaq.seeds import stream
from leaq.types import Bools, Checkpoints

if TYPE_CHECKING:
    from leaq.quantizers.scheme import Scheme

RECORDS = 256
"""Records a model is calibrated on at most, unless the quantizer asks for more."""
NUMBERS = 2**26
"""Numbers the second moments of one run of models may hold."""


@dataclass(frozen=True)
class Calibration:
    """The architecture, and the records each stacked model is calibrated on.

    Attributes
    ----------
    model : how weights become outputs, and what each layer's input is (see `leaq.models.protocols`), or a module.
    inputs : (n, d) embedded records.
    members : (s, n), True where the record may calibrate the model; left out, every record calibrates every model.
    seed, first : name the stream that picks `most` of a model's records; `first` is the index of the first model.
    most : records a model is calibrated on at most.
    source : whose records they are, in words: "members" if each model sees its own training records. Named in the
        results.
    along : whether checkpoints along training go through the same map; if not, what finds codes for them is not kept.

    Examples
    --------
    >>> calibration = Calibration(None, np.zeros((5, 2)), np.ones((3, 5), bool), most=4)
    >>> calibration.rows.shape, calibration.shares.sum(1).tolist()
    ((3, 4), [4.0, 4.0, 4.0])
    """

    model: Any
    inputs: npt.NDArray[Any]
    members: Bools = field(default_factory=lambda: np.empty((0, 0), dtype=bool))
    seed: int = 0
    first: int = 0
    most: int = RECORDS
    source: str = "members"
    along: bool = True

    def __post_init__(self) -> None:
        if self.members.size == 0:
            object.__setattr__(self, "members", np.ones((1, len(self.inputs)), dtype=bool))
        if self.members.ndim != 2 or self.members.shape[1] != len(self.inputs):
            raise InvalidInput(
                f"Calibration: members must have shape (models, {len(self.inputs)}), one column a record. "
                f"Found {self.members.shape}."
            )
        if not self.members.any(1).all():
            raise InvalidInput("Calibration: every model needs at least one record. Found a model with none.")

    @cached_property
    def rows(self) -> npt.NDArray[np.int64]:
        """Positions of each model's calibration records, (s, r), in random order; padded by repetition."""
        picked = [
            stream(self.seed, "calibration", self.first + i).permutation(np.flatnonzero(row))[: self.most]
            for i, row in enumerate(self.members)
        ]
        length = max(len(rows) for rows in picked)
        return np.stack([np.resize(rows, length) for rows in picked])

    @cached_property
    def shares(self) -> npt.NDArray[np.float64]:
        """1 for a record, 0 for padding, (s, r)."""
        counts = np.minimum(self.members.sum(1), self.most)
        return np.asarray(np.arange(self.rows.shape[1]) < counts[:, None], dtype=np.float64)

    @property
    def looked_up(self) -> bool:
        """Whether the inputs are codes that a torch module's embedding looks up, which no cast may touch."""
        from leaq.models.roles import roles_of

        module = getattr(self.model, "module", self.model)
        integers = np.asarray(self.inputs).dtype.kind in "iu"
        return integers and isinstance(module, torch.nn.Module) and "embedding" in roles_of(module).values()

    def of(self, models: npt.NDArray[np.int64], like: Tensor) -> tuple[Tensor, Tensor]:
        """Return the records (m, r, d) and shares (m, r) of some models, in the dtype and on the device of `like`."""
        inputs = torch.as_tensor(self.inputs[self.rows[models]], device=like.device)
        inputs = inputs if self.looked_up else inputs.to(like.dtype)
        return inputs, torch.as_tensor(self.shares[models], dtype=like.dtype, device=like.device)


@dataclass(frozen=True)
class Inputs:
    """What one layer's weights are multiplied with: records (m, r, in) and their shares (m, r)."""

    records: Tensor
    shares: Tensor

    @cached_property
    def moment(self) -> Tensor:
        """Second moment E[x x'] of each model, (m, in, in)."""
        weighted = self.records * (self.shares / self.shares.sum(1, keepdim=True)).unsqueeze(-1)
        return torch.bmm(weighted.transpose(1, 2), self.records)

    def inverse_factor(self, damping: float) -> Tensor:
        """Upper Cholesky factor U of (E[x x'] + damping mean(diagonal) I)^-1 = U'U, (m, in, in), by float64."""
        if damping not in self._factors:
            h = self.moment.to(torch.float64, copy=True)
            diagonal = h.diagonal(dim1=-2, dim2=-1)
            level = diagonal.mean(-1, keepdim=True)
            diagonal += torch.where(level > 0, damping * level, 1.0)
            h = torch.linalg.cholesky(h)
            h = torch.cholesky_inverse(h)
            h = torch.linalg.cholesky(h, upper=True)
            self._factors[damping] = h.to(self.moment.dtype)
        return self._factors[damping]

    @cached_property
    def _factors(self) -> dict[float, Tensor]:
        return {}

    @property
    def mean(self) -> Tensor:
        """Mean input of each model, (m, in)."""
        shares = self.shares / self.shares.sum(1, keepdim=True)
        return torch.bmm(shares.unsqueeze(1), self.records).squeeze(1)


def layered(scheme: Scheme, calibration: Calibration) -> Layered:
    """Return the model if it can tell what each layer's input is; a torch module can."""
    if isinstance(calibration.model, torch.nn.Module):
        from leaq.models import ModuleModel

        return ModuleModel(calibration.model)
    if not isinstance(calibration.model, Layered):
        raise UnsupportedModel(
            f"{scheme.spec()}: the model must tell each layer's input (layer_inputs of leaq.models.protocols). "
            f"Found {type(calibration.model).__name__}. Use a quantizer without calibration."
        )
    return calibration.model


def needed(scheme: Scheme, calibration: Calibration | None) -> Calibration:
    """Return the records that a scheme is calibrated on, which it needs."""
    if calibration is None:
        raise InvalidInput(
            f"{scheme.spec()}: needs calibration records. Pass "
            "calibration=leaq.quantizers.Calibration(model, inputs, members), or the quantizer fitted with it: "
            "fitted_to(released, calibration)."
        )
    return calibration


def fit_state(scheme: Scheme, checkpoints: Checkpoints, calibration: Calibration | None) -> State:
    """Return the scales of every parameter a scheme quantizes; walks the network where calibration is needed."""
    if scheme.looks:
        return walk(scheme, checkpoints, needed(scheme, calibration))
    return {
        name: fit_tensor(chosen, name, stacked(checkpoints, name)) for name, chosen in scheme.plan(checkpoints).items()
    }


def walk(scheme: Scheme, checkpoints: Checkpoints, calibration: Calibration) -> State:
    """Return the scales of every quantized parameter, each layer fitted behind its quantized predecessors."""
    model = layered(scheme, calibration)
    parts = [
        _walk(scheme, model, part, inputs, along=calibration.along)
        for part, inputs in runs_of(scheme, checkpoints, calibration)
    ]
    if len(parts) == 1:
        return parts[0]
    return {
        name: {key: torch.cat([part[name][key] for part in parts]) for key in scales}
        for name, scales in parts[0].items()
    }


def runs_of(scheme: Scheme, checkpoints: Checkpoints, calibration: Calibration) -> Iterator[tuple[Checkpoints, Inputs]]:
    """Yield a few models at a time, batch (b,), and the records that these are calibrated on."""
    models = int(np.prod(checkpoints.batch))
    if models % len(calibration.members):
        raise InvalidInput(
            f"{scheme.spec()}: calibration must name the records of {checkpoints.batch[0]} models. "
            f"Found {len(calibration.members)}."
        )
    owner = np.arange(models) // (models // len(calibration.members))
    flat = {name: stacked(checkpoints, name) for name in checkpoints.params}
    for run in _runs(checkpoints, models):
        part = replace(checkpoints, params={k: v[run] for k, v in flat.items()}, batch=(len(owner[run]),), steps=())
        yield part, Inputs(*calibration.of(owner[run], next(iter(part.params.values()))))


def _walk(scheme: Scheme, model: Layered, exact: Checkpoints, given: Inputs, *, along: bool) -> dict[str, Scales]:
    """Fit one run of models, layer by layer: one model in a single run, where its layers run in the plan's order."""
    looks = scheme.bias == "corrected" or scheme.refit != "off"
    before = model.layer_inputs(exact.params, given.records, given.shares) if looks else {}
    if isinstance(model, InTurn) and len(given.records) == 1:
        walk = _Walk.begun(scheme, exact, before, along=along)
        if model.inputs_in_turn(walk.now, given.records, given.shares, visit=walk.visit) and not walk.ahead:
            return walk.ended(model, given)
    walk = _Walk.begun(scheme, exact, before, along=along)
    seen: dict[str, tuple[Tensor, Tensor]] = {}  # of a layer, and of others that read the same as it
    while walk.ahead:
        name = walk.ahead[0]
        if name not in seen and name not in {bias_of(one, exact) for one in seen}:
            seen = _seen(model, walk.now, given, name) if exact.roles[name] != "bias" else {}
        walk.fit(name, seen.get(name))
    return walk.ended(model, given)


@dataclass
class _Walk:
    """How far a walk through one run of models has come.

    Attributes
    ----------
    now : the weights as they are so far, quantized ones written into copies.
    before : what each layer sees in full precision, where that is asked for.
    ahead : names of what is still to be fitted, in order.
    last : what the last layer saw, as it was given and with its moments, which the next may share.
    """

    scheme: Scheme
    exact: Checkpoints
    plan: Mapping[str, Scheme]
    before: Mapping[str, tuple[Tensor, Tensor]]
    now: dict[str, Tensor]
    ahead: list[str]
    along: bool
    state: dict[str, Scales] = field(default_factory=dict)
    last: tuple[tuple[Tensor, Tensor], Inputs] | None = None

    @classmethod
    def begun(
        cls, scheme: Scheme, exact: Checkpoints, before: Mapping[str, tuple[Tensor, Tensor]], *, along: bool
    ) -> _Walk:
        """Stand before the first layer."""
        plan = scheme.plan(exact)
        written = {*plan, *(bias_of(name, exact) for name in plan if before)}
        now = {k: v.contiguous().clone() if k in written else v for k, v in exact.params.items()}
        return cls(scheme, exact, plan, before, now, list(plan), along)

    def visit(self, names: Sequence[str], seen: tuple[Tensor, Tensor] | None) -> bool:
        """Fit those of a layer's parameters that are planned, unless it is not the layer that comes next."""
        for name in names:
            if name in self.plan:
                if not self.ahead or self.ahead[0] != name:
                    return False
                mine = seen if self.exact.roles[name] != "bias" else None
                if mine and self.before and self.before[name][0].shape != mine[0].shape:  # of more calls than this one
                    return False
                self.fit(name, mine)
        return True

    def fit(self, name: str, seen: tuple[Tensor, Tensor] | None) -> None:
        """Fit the next parameter. A bias, or a weight that meets no vectors (an embedding), sees nothing."""
        del self.ahead[0]
        chosen, weight = self.plan[name], self.exact.params[name]
        refuse_infinite(name, weight)
        if seen is None:
            self.state[name] = chosen.fit(weight)
        else:
            if self.last is None or self.last[0] is not seen:
                self.last = None  # before the next one's moments
                self.last = seen, Inputs(*seen)
            self.state[name] = chosen.fit_on(weight, self.last[1])
        chosen.fake_quantize(weight, self.state[name], self.now[name])
        bias = bias_of(name, self.exact)
        if seen is not None and self.last is not None:
            inputs = self.last[1]
            if name in self.refitted:
                self._write(_refit(name, bias, self.state, now=self.now, exact=self.exact.params,
                                   inputs=(self.before[name][0], inputs)))  # fmt: skip
            if self.scheme.bias == "corrected" and bias is not None:
                mean = Inputs(*self.before[name]).mean
                self.state[bias] = dict(zip(MOMENTS, (mean, inputs.mean), strict=True))
                shift = mean_shift(weight, self.now[name], mean, inputs.mean)
                self._write({bias: self.exact.params[bias] + shift})
        if not self.along:
            for key in chosen.of_others & self.state[name].keys():
                del self.state[name][key]

    @cached_property
    def refitted(self) -> tuple[str, ...]:
        """The quantized weights that are refitted; looked-up ones have no output channels."""
        weights = [name for name in self.plan if self.exact.roles[name] not in ("bias", "embedding")]
        return tuple({"off": [], "last": weights[-1:]}.get(self.scheme.refit, weights))

    def _write(self, changed: Mapping[str, Tensor]) -> None:
        for name, tensor in changed.items():
            self.now[name].copy_(tensor)

    def ended(self, model: Layered, given: Inputs) -> dict[str, Scales]:
        """Return the scales of all parameters."""
        if self.scheme.refit == "outputs":
            _refit_outputs(model, self.state, self.refitted, now=self.now, exact=self.exact, given=given)
        return self.state


def _seen(model: Layered, now: Mapping[str, Tensor], given: Inputs, name: str) -> dict[str, tuple[Tensor, Tensor]]:
    """Return what one layer sees; of a model that can stop once that layer has run also others that see the same."""
    if isinstance(model, InTurn):
        return dict(model.layer_inputs(now, given.records, given.shares, only=name))
    found = model.layer_inputs(now, given.records, given.shares)
    return {name: found[name]} if name in found else {}


def _refit(
    name: str,
    bias: str | None,
    state: dict[str, Scales],
    *,
    now: Mapping[str, Tensor],
    exact: Mapping[str, Tensor],
    inputs: tuple[Tensor, Inputs],
) -> dict[str, Tensor]:
    """Fit one layer's gains and shifts into its state; return its weight and bias as they now are."""
    before, behind = inputs
    u = torch.bmm(behind.records, now[name].flatten(2).transpose(1, 2))
    t = torch.bmm(before, exact[name].flatten(2).transpose(1, 2))
    gain, shift = line_through(u, t, behind.shares)
    state[name][GAIN] = gain.reshape(*gain.shape, *[1] * (now[name].ndim - 2))
    found = {name: now[name] * state[name][GAIN]}
    if bias is not None:
        state[bias] = {SHIFT: shift}
        found[bias] = exact[bias] + shift
    return found


def _refit_outputs(
    model: Layered,
    state: dict[str, Scales],
    weights: tuple[str, ...],
    *,
    now: Mapping[str, Tensor],
    exact: Checkpoints,
    given: Inputs,
) -> None:
    """Fit all gains and shifts together, from where the layers' own refits left them."""
    pairs = {name: bias_of(name, exact) or "" for name in weights}
    factors, shifts = jointly(model.outputs, exact.params, now, pairs=pairs, given=(given.records, given.shares))
    for name, factor in factors.items():
        state[name][GAIN] = state[name].get(GAIN, 1.0) * factor
    for bias, shift in shifts.items():
        state[bias] = {SHIFT: state.get(bias, {}).get(SHIFT, 0.0) + shift}


def _runs(checkpoints: Checkpoints, models: int) -> Iterator[slice]:
    axes = len(checkpoints.batch)
    widest = max(t.shape[axes + 1 :].numel() if t.ndim > axes + 1 else 1 for t in checkpoints.params.values())
    size = max(1, NUMBERS // widest**2)
    for start in range(0, models, size):
        yield slice(start, min(start + size, models))
