"""Any `torch.nn.Module` as a model of stacked weights: functional calls, over all candidates at once where possible."""

import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
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

Look = Callable[[Sequence[str], nn.Module, Tensor | None], bool]
"""What looks at a layer before it runs: names of its own parameters, the layer, and what it is given."""


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
    calls: dict[int, Mapping[str, int]] = field(init=False, repr=False, default_factory=dict)
    """How often each layer runs on so many records."""
    homogeneous: ClassVar[tuple[tuple[str, str], ...]] = ()
    """None: what stands between two layers of an arbitrary module is not known."""

    def __post_init__(self) -> None:
        self.module = unwrap(self.module)
        named = [*self.module.named_parameters(), *self.module.named_buffers()]
        self.own = {name: full_precision(t.detach()) for name, t in named if full_precision(t) is not t}

    @cached_property
    def tied(self) -> frozenset[str]:
        """Names of tensors that are one with another."""
        names = shared_names(self.module)
        return frozenset((*names, *names.values()))

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
        self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor, *, only: str | None = None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Return what each linear and convolution weight is multiplied with, for calibrated quantizers.

        Inputs (m, r, ...) -> (m, r', in) and shares (m, r') by weight; see `leaq.models.protocols.Layered`. Records of
        share 0 are not run; a model with fewer vectors than another (molecules differ in atoms) is padded.

        Parameters
        ----------
        only : this weight alone, {} if it sees no vectors, and those whose layers read the same right after. The run
            ends there.

        Raises
        ------
        UnsupportedModel
            If a weight is tied to another one: what fits the one does not fit the other.
        """
        kept = []
        for i in range(len(inputs)):
            found = self._met({name: tensor[i] for name, tensor in params.items()}, _told(inputs[i], shares[i]), only)
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

    def _met(self, weights: dict[str, Tensor], records: Tensor, only: str | None) -> dict[str, list[Tensor]]:
        """Return by weight the vectors (r', in) that each layer of one model met, call by call."""
        found: dict[str, list[Tensor]] = {}
        calls = {} if only is None else self._calls(weights, records)
        last = _Read()  # what the layer asked about was given, once it is alone with it

        def look(names: Sequence[str], layer: nn.Module, given: Tensor | None) -> bool:
            if given is None:
                return True
            name = names[0]
            if only not in (None, name):
                if last.given is None:
                    return True
                if not (last.again(layer, given) and calls.get(name) == 1):
                    return False
                found[name] = found[only]
                return True
            # A copy where it is the tensor itself, which what follows may write into (an activation in place).
            own = given.clone() if type(layer) is nn.Linear else given
            found.setdefault(name, []).append(_vectors(layer, own))
            if len(found[name]) == calls.get(name):
                if len(found[name]) > 1 or type(layer) is not nn.Linear:
                    return False
                last.keep(given)
            return True

        self._shown(weights, records, look)
        return found

    def _calls(self, weights: dict[str, Tensor], records: Tensor) -> Mapping[str, int]:
        """Return how often the layer of each weight runs on so many records, which it needs one run to tell."""
        if len(records) not in self.calls:
            counted = self.calls[len(records)] = Counter[str]()

            def count(names: Sequence[str], _layer: nn.Module, given: Tensor | None) -> bool:
                counted.update(names[:1] if given is not None else ())
                return True

            self._shown(weights, records, count)
        return self.calls[len(records)]

    def inputs_in_turn(
        self,
        params: Mapping[str, Tensor],
        inputs: Tensor,
        shares: Tensor,
        *,
        visit: Callable[[Sequence[str], tuple[Tensor, Tensor] | None], bool],
    ) -> bool:
        """Run one model once, and show each layer's inputs to `visit`; see `leaq.models.protocols.InTurn`."""
        if self.tied or isinstance(self.module, torch.jit.ScriptModule):
            return False
        last = _Read()
        seen: tuple[Tensor, Tensor] | None = None

        def look(names: Sequence[str], layer: nn.Module, given: Tensor | None) -> bool:
            nonlocal seen
            if given is None:
                return visit(names, None)
            if seen is None or not last.again(layer, given):
                seen = _padded([_vectors(layer, given)], like=shares)
            last.keep(given if type(layer) is nn.Linear else None)
            return visit(names, seen)

        weights = {name: tensor[0] for name, tensor in params.items()}
        return self._shown(weights, full_precision(_told(inputs[0], shares[0])), look)

    def _shown(self, weights: dict[str, Tensor], records: Any, look: Look) -> bool:
        """Run one model, and show every layer with parameters of its own before it runs, until `look` says False.

        It is told their names, its weight's first, and what the weight is multiplied with, before it is laid out in
        vectors; None where it meets none. It says whether the run came to its end.
        """

        def hook(layer: nn.Module, args: tuple[Any, ...]) -> None:
            given = args[0] if _meets_vectors(layer) and args else None
            if given is not None and own[layer][0] in self.tied:
                raise UnsupportedModel(
                    f"Calibration: a layer's weight must meet one kind of inputs. {own[layer][0]!r} is tied to another "
                    "weight. Use a quantizer without calibration, such as uniform(bits=4)."
                )
            if not look(own[layer], layer, given):
                raise _Seen

        own = {
            part: [f"{prefix}.{name}" if prefix else name for name in dict.fromkeys(("weight", *part._parameters))]
            for prefix, part in self.module.named_modules()
            if not isinstance(part, torch.jit.ScriptModule) and part._parameters
        }
        hooks = [part.register_forward_pre_hook(hook) for part in own]
        try:
            with torch.no_grad():
                self._run(weights, records)
        except _Seen:
            return False
        finally:
            for one in hooks:
                one.remove()
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


@dataclass
class _Read:
    """What a linear layer was given, to know it again."""

    given: Tensor | None = None
    version: int = 0

    def keep(self, given: Tensor | None) -> None:
        """Know this from here on."""
        self.given, self.version = given, 0 if given is None else given._version

    def again(self, layer: nn.Module, given: Tensor) -> bool:
        """Whether a layer is given the same, which nothing has written into."""
        return type(layer) is nn.Linear and given is self.given and given._version == self.version


def _told(records: Tensor, shares: Tensor) -> Tensor:
    """Return the records that count."""
    return records if (told := shares > 0).all() else records[told]


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
