"""Any `torch.nn.Module` as a model of stacked weights: functional calls, over all candidates at once where possible."""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models.calling import call, evaluating, full_precision, unwrap
from leaq.models.roles import roles_of, shared_names, tensors_of
from leaq.models.rounding import RoundedInputs, rounded_inputs
from leaq.types import Activations, Checkpoints, Role

STACKED_BYTES = 2**26
"""Weights of the candidates that one vectorised call may hold; larger models run one after another."""


def checkpoints_of(module: nn.Module, *, trainable: bool = False, copied: bool = True) -> Checkpoints:
    """Return a copy of a module's weights as the released checkpoint of one model, batch (1,), in 32 bits or more.

    Parameters
    ----------
    copied : False lends the weights themselves where they are in 32 bits, so that a large model is in memory once.

    Raises
    ------
    InvalidInput
        If the module has no weights, or one of them is NaN or infinite.
    """
    roles = roles_of(module, trainable=trainable)
    params = {}
    for name, tensor, _ in tensors_of(module, trainable=trainable):
        value = full_precision(tensor.detach())
        if not torch.isfinite(value).all():
            raise InvalidInput(f"The model's weights must be finite. {name!r} holds NaN or infinite values.")
        value = value.clone(memory_format=torch.contiguous_format) if copied else value.contiguous()
        params[name] = value.unsqueeze(0)
    if not params:
        raise InvalidInput("The model must have floating-point weights. Found none.")
    return Checkpoints(params, roles, (1,))


@dataclass
class ModuleModel:
    """The architecture of `module`, for stacked weights; see `leaq.models.protocols.Model`.

    All candidates run as one vectorised call (`torch.func.vmap`) where the layers allow it, one after another where
    they do not; the numbers agree up to rounding. Tensors absent from the weights are the module's own.

    Examples
    --------
    >>> model = ModuleModel(nn.Linear(3, 2))
    >>> params = {"weight": torch.zeros(5, 2, 3), "bias": torch.zeros(5, 2)}
    >>> tuple(model.forward(params, torch.ones(7, 3)).shape)
    (5, 7, 2)
    """

    module: nn.Module
    vectorised: bool = True
    own: dict[str, Tensor] = field(init=False, repr=False)
    """Half-precision tensors of the module, widened; they run in 32 bits beside the candidates."""
    calls: dict[int, dict[str, int]] = field(init=False, repr=False, default_factory=dict)
    """How often each layer runs on so many records."""
    homogeneous: ClassVar[tuple[tuple[str, str], ...]] = ()
    """None: what stands between two layers of an arbitrary module is not known."""

    def __post_init__(self) -> None:
        self.module = unwrap(self.module)
        named = [*self.module.named_parameters(), *self.module.named_buffers()]
        self.own = {name: full_precision(t.detach()) for name, t in named if full_precision(t) is not t}

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """Role of every parameter, in forward order."""
        return roles_of(self.module)

    def forward(self, params: Mapping[str, Tensor], inputs: Any, *, activations: Activations | None = None) -> Tensor:
        """Run m stacked models on inputs shared by all: params (m, ...) -> outputs (m, n, ...).

        Parameters
        ----------
        inputs : what the module takes: a tensor, a tuple (positional) or mapping (named) of arguments, or any object.
        activations : how the inputs of linear and convolution layers are rounded; ranges (m, 2).
        """
        count = len(next(iter(params.values())))
        inputs = full_precision(inputs)
        ranges = {} if activations is None else dict(activations.ranges)
        with torch.no_grad(), rounded_inputs(self.module, activations) as rounding:
            if self.vectorised and count > 1 and self._fits(params):
                try:
                    return self._at_once(params, inputs, ranges, rounding)
                except Exception:  # whatever vmap cannot do, the loop can, or it raises the true error
                    self.vectorised = False
            found = []
            for i in range(count):
                rounding.ranges = {name: tensor[i] for name, tensor in ranges.items()}
                one = {name: tensor[i] for name, tensor in params.items()}
                found.append(rounding.outputs(self._run(one, inputs)))
            return torch.stack(found)

    def layer_inputs(
        self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Return what each linear and convolution weight is multiplied with, for calibrated quantizers.

        Inputs (m, r, ...) -> (m, r', in) and shares (m, r') by weight; see `leaq.models.protocols.Layered`. Records of
        share 0 are not run; a model with fewer vectors than another (molecules differ in atoms) is padded.

        Raises
        ------
        UnsupportedModel
            If a weight is tied to another one: what fits the one does not fit the other.
        """
        return self._watched(params, inputs, shares, None)

    def layer_inputs_of(
        self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor, *, only: str
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the same of one weight, {} if it sees no vectors, and of those whose layers read the same right after.

        The run ends there.
        """
        return self._watched(params, inputs, shares, only)

    def _watched(
        self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor, only: str | None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        kept = []
        for i, (one, share) in enumerate(zip(inputs, shares, strict=True)):
            records = one if (told := share > 0).all() else one[told]
            weights = self.own | {name: tensor[i] for name, tensor in params.items()}
            if only is not None and len(records) not in self.calls:
                whole = watch_inputs(self.module, weights, records, vectors=False)
                self.calls[len(records)] = {name: len(met) for name, met in whole.items()}
            calls = self.calls.get(len(records), {}) if only is not None else {}
            found = watch_inputs(self.module, weights, records, only=only, calls=calls)
            kept.append({name: met[0] if len(met) == 1 else torch.cat(met) for name, met in found.items()})
        padded: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}  # of what several weights read, once
        vectors: dict[str, tuple[Tensor, Tensor]] = {}
        for name in kept[0]:
            each = [one[name] for one in kept]
            key = tuple(map(id, each))
            if key not in padded:
                padded[key] = _padded(each, like=shares)
            vectors[name] = padded[key]
        return vectors

    def inputs_in_turn(
        self,
        params: Mapping[str, Tensor],
        inputs: Tensor,
        shares: Tensor,
        *,
        visit: Callable[[Sequence[str], tuple[Tensor, Tensor] | None], bool],
    ) -> bool:
        """Run one model once; right before a layer runs, show what its weight is multiplied with.

        Parameters
        ----------
        params : weights (1, ...), into which `visit` may write: the layer then runs with what it wrote.
        inputs, shares : its records, (1, r, ...) and (1, r), as of `layer_inputs`.
        visit : called with the names of a layer's own parameters and what `layer_inputs` says of its weight, the same
            tuple where the layer before read the same, None where it meets no vectors; False ends the run.

        Returns
        -------
        Whether the run came to its end.
        """
        if isinstance(self.module, torch.jit.ScriptModule) or shared_names(self.module):
            return False
        told = shares[0] > 0
        records = inputs[0] if told.all() else inputs[0][told]
        weights = self.own | {name: tensor[0] for name, tensor in params.items()}
        with _shown_in_turn(self.module, params, visit, shares):
            try:
                with torch.no_grad(), evaluating(self.module):
                    call(self.module, weights, full_precision(records))
            except _Seen:
                return False
        return True

    def outputs(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Run each model on records of its own: inputs (m, r, ...) -> (m, r, ...); gradients flow to the weights."""
        rows = ({name: tensor[i] for name, tensor in params.items()} for i in range(len(inputs)))
        return torch.stack([self._run(row, full_precision(one)) for row, one in zip(rows, inputs, strict=True)])

    def _at_once(
        self, params: Mapping[str, Tensor], inputs: Any, ranges: dict[str, Tensor], rounding: RoundedInputs
    ) -> Tensor:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*performance drop.*")  # a loop is faster, then

            alike = {name: tensor[0] for name, tensor in params.items() if _one_for_all(tensor)}
            alike = alike if len(alike) < len(params) else {}

            def run(one: dict[str, Tensor], own_ranges: dict[str, Tensor]) -> Tensor:
                rounding.ranges = own_ranges
                return rounding.outputs(call(self.module, self.own | alike | one, inputs))

            several = {name: tensor for name, tensor in params.items() if name not in alike}
            with evaluating(self.module):  # what runs on equal weights alone then runs once
                found: Tensor = torch.func.vmap(run)(several, ranges)
            return found

    def _run(self, one: dict[str, Tensor], inputs: Any) -> Tensor:
        """Run one candidate; each finds the module, its buffers included, in the same state."""
        with evaluating(self.module):
            return call(self.module, self.own | one, inputs)

    @staticmethod
    def _fits(params: Mapping[str, Tensor]) -> bool:
        # Grouped convolutions, which vmap makes of stacked filters, are slower on a CPU than one model after another.
        if any(tensor.ndim > 3 and not _one_for_all(tensor) for tensor in params.values()):
            return False
        return sum(t.nbytes for t in params.values() if not _one_for_all(t)) <= STACKED_BYTES


def _one_for_all(tensor: Tensor) -> bool:
    """Whether the copies along the first axis are one tensor, as `expand` gives."""
    return len(tensor) > 1 and tensor.stride(0) == 0


class _Seen(Exception):
    """Everything was seen; what is left of the run is not needed."""


def watch_inputs(
    module: nn.Module,
    params: Mapping[str, Tensor],
    inputs: Any,
    *,
    only: str | None = None,
    calls: Mapping[str, int] | None = None,
    vectors: bool = True,
) -> dict[str, list[Tensor]]:
    """Run a module; return by weight the vectors (r', in) that each linear or ungrouped convolution met, call by call.

    Parameters
    ----------
    only : watch this weight alone, and linear layers that are given the same tensor right after it, and end the run.
    calls : how often each layer is called; where it does not say, the run goes to its end.
    vectors : False says with empty tensors how often each layer was called.
    """
    found: dict[str, list[Tensor]] = {}
    tied, calls = shared_names(module), calls or {}
    shared: list[tuple[Tensor, int]] = []  # what the layer asked about was given, once it is alone with it
    several = {*tied, *tied.values()}

    def watch(name: str, layer: nn.Module) -> Any:
        def keep(_layer: nn.Module, args: tuple[Any, ...]) -> None:
            if only not in (None, name):
                if not shared:
                    return
                alike = bool(args) and args[0] is shared[0][0] and args[0]._version == shared[0][1]
                if not (alike and type(layer) is nn.Linear and calls.get(name) == 1 and name not in several):
                    raise _Seen
                found[name] = found[only]
                return
            if name in several:
                raise UnsupportedModel(
                    f"Calibration: a layer's weight must meet one kind of inputs. {name!r} is tied to another weight. "
                    "Use a quantizer without calibration, such as uniform(bits=4)."
                )
            # A copy where it is the tensor itself, which what follows may write into (an activation in place).
            own = args[0].clone() if vectors and type(layer) is nn.Linear else args[0]
            found.setdefault(name, []).append(_vectors(layer, own) if vectors else torch.empty(0))
            if len(found[name]) == calls.get(name):
                if len(found[name]) > 1 or type(layer) is not nn.Linear:
                    raise _Seen
                shared.append((args[0], args[0]._version))

        return layer.register_forward_pre_hook(keep)

    layers = [
        (f"{name}.weight" if name else "weight", part) for name, part in module.named_modules() if _meets_vectors(part)
    ]
    hooks = [watch(name, layer) for name, layer in layers]
    try:
        with suppress(_Seen), torch.no_grad(), evaluating(module):
            call(module, params, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return found


@contextmanager
def _shown_in_turn(
    module: nn.Module,
    params: Mapping[str, Tensor],
    visit: Callable[[Sequence[str], tuple[Tensor, Tensor] | None], bool],
    shares: Tensor,
) -> Iterator[None]:
    """Show layers that hold parameters what they are given, while the context lasts."""
    last: list[tuple[Tensor, int, tuple[Tensor, Tensor]]] = []  # what a linear layer was given, and its vectors

    def show(names: Sequence[str], layer: nn.Module) -> Any:
        def look(_layer: nn.Module, args: tuple[Any, ...]) -> None:
            seen = None
            if _meets_vectors(layer) and args:
                plain = type(layer) is nn.Linear
                alike = plain and bool(last) and args[0] is last[0][0] and args[0]._version == last[0][1]
                seen = last[0][2] if alike else _padded([_vectors(layer, args[0])], like=shares)
                last[:] = [(args[0], args[0]._version, seen)] if plain else []
            if not visit(names, seen):
                raise _Seen

        return layer.register_forward_pre_hook(look)

    hooks = []
    for prefix, part in module.named_modules():
        own = [f"{prefix}.{name}" if prefix else name for name in part._parameters]
        if any(name in params for name in own):
            hooks.append(show(own, part))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _meets_vectors(layer: nn.Module) -> bool:
    return type(layer) is nn.Linear or (isinstance(layer, nn.Conv1d | nn.Conv2d) and plain_convolution(layer))


def _padded(each: Sequence[Tensor], *, like: Tensor) -> tuple[Tensor, Tensor]:
    """Stack each model's vectors (r', in), the shorter ones padded by zeros, and say which count."""
    padded = each[0].unsqueeze(0) if len(each) == 1 else nn.utils.rnn.pad_sequence(list(each), batch_first=True)
    counts = torch.tensor([len(one) for one in each], device=like.device)
    return padded, (torch.arange(padded.shape[1], device=like.device) < counts.unsqueeze(1)).to(like.dtype)


def plain_convolution(layer: nn.Conv1d | nn.Conv2d) -> bool:
    """Whether each output channel sees every input channel, padded by a number of zeros."""
    return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _vectors(layer: nn.Module, x: Tensor) -> Tensor:
    """Return the rows that a layer's flattened weight is multiplied with; a convolution's positions side by side."""
    if isinstance(layer, nn.Conv1d):
        x = x.unsqueeze(2)
        pairs: list[Any] = [
            (1, *layer.kernel_size),
            (1, *layer.dilation),
            (0, *layer.padding),
            (1, *layer.stride),
        ]
    elif isinstance(layer, nn.Conv2d):
        pairs = [layer.kernel_size, layer.dilation, layer.padding, layer.stride]
    else:
        return x.reshape(-1, x.shape[-1])
    size, dilation, padding, stride = pairs
    patches = nn.functional.unfold(x, size, dilation, padding, stride)  # (r, in * kernel, positions)
    return patches.transpose(1, 2).reshape(-1, patches.shape[1])
