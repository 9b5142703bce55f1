"""Many copies of any torch module at once: the same contract as the stacked perceptron, for other architectures.

The copies' weights are stacked and run through one forward pass by ``torch.func`` (vmap over functional_call). A module
that cannot be stacked, for example because its control flow looks at values, is run one copy after the other instead;
`StackedModule.note` says so, and every number stays the same.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor
from torch.func import grad, vmap

from leaq.errors import InvalidInput, UnsupportedModel
from leaq.models.calling import as_given, evaluating, output_tensor, places, run_lent
from leaq.models.modules import ModuleModel
from leaq.models.roles import role_of
from leaq.models.several import entry_losses
from leaq.seeds import stream
from leaq.training.mlp import signals_by_layer
from leaq.types import LAYER_ROLES, Activations, Flag, Role, Task
from leaq.types.tasks import Layout, TaskSpec

Make = Callable[[], torch.nn.Module]
"""Builds one freshly initialised module; called once a model, under that model's own seed."""
NOT_STACKED = "not-stacked"
RECORDS = 64
"""Records whose own gradients are held at once by `gradient_signals`."""
LARGE = 2**14
"""Numbers in a layer's result for one record from which a CPU runs copies of convolutions faster one after another:
stacked they are groups of channels, whose kernels are slow on large images (docs/performance.md)."""


class StackedModule:
    """m copies of one architecture; holds no weights (the `Model` protocol).

    Inputs go to the module as they are: scaling is the module's own business. A classifier returns logits (n, k), or
    of two classes those of the second, (n, 1) or (n,); a regressor (n, 1) or (n,) predictions in the unit of the
    targets.

    A module whose records differ in size may bring a method `collate`: it gets the batches of all models at once,
    (m, b, ...), before they are stacked, and returns tensors (or a tuple of them) with the model axis in front, which
    the module is then called with, a model at a time. What its method `prepared` makes of records (n, ...) is made once
    for all models that are evaluated on them. One with a method `batches` takes the weights and batches of all models
    at once: it turns records (n, ...) into what makes batches of positions (m, b) among them. That saves what vmap
    costs, and whatever of a record need not be worked out anew for each batch. See `leaq.models.nets` for one.

    Parameters
    ----------
    make : builds one module.
    task : what the outputs are.
    tasks : whose they are, of several (`leaq.types.tasks`): a logit of two classes, one a class of more, a value.
    probe : (b, ...) a few records, to find out whether the module can be stacked.

    Attributes
    ----------
    note : why the copies run one after another, None where they do not.
    reads : turns what the module returns into logits; by default it returns them.
    widest : numbers in the largest output of a layer for one record.

    Examples
    --------
    >>> model = StackedModule(lambda: torch.nn.Linear(3, 2), "classification", torch.zeros(2, 3))
    >>> params = model.init(seed=0, models=[0, 1])
    >>> tuple(model.forward(params, torch.zeros(5, 3)).shape), model.note
    ((2, 5, 2), None)
    """

    def __init__(self, make: Make, task: Task, probe: Tensor, *, tasks: Sequence[TaskSpec] = ()) -> None:
        self._make = make
        self.task, self._layout = task, Layout.of(tasks)
        with torch.random.fork_rng(devices=[]):
            skeleton = make()
        if not isinstance(skeleton, torch.nn.Module):
            raise InvalidInput(f"make must return a torch.nn.Module. Found {type(skeleton).__name__}.")
        self._integer = embeds(skeleton)
        self.roles: Mapping[str, Role] = _roles(skeleton)
        """Role of every parameter and buffer, in the module's own order."""
        self._record_axes = probe.ndim
        self._collate: Callable[[Tensor], Any] = getattr(skeleton, "collate", as_given)
        self.prepared: Callable[[Tensor], Any] = getattr(skeleton, "prepared", as_given)
        """What `forward` is fastest on, of shared inputs (n, ...): what the module's own `prepared` makes of them."""
        self._batches: Callable[[Tensor], Callable[[Tensor], Any]] | None = getattr(skeleton, "batches", None)
        self.note: Flag | None = None
        self._skeleton = skeleton
        # Copies of a graph network read the same graphs faster one after another: 1 to 4 times, the more the larger.
        self._evaluated = ModuleModel(skeleton, vectorised=not hasattr(skeleton, "collate"))
        self.reads: Callable[[Tensor], Tensor] = as_given
        self.widest = _widest(skeleton, self.as_inputs(probe))
        self._convolves = any(role.startswith("conv") for role in self.roles.values())
        if (reason := self._why_not_stackable(probe)) is not None:
            self.note = Flag(NOT_STACKED, f"Trained one model after another: {reason}")

    @property
    def trained(self) -> tuple[str, ...]:
        """Names of what the optimiser updates; the others are buffers, and what the network froze."""
        return tuple(name for name, parameter in self._skeleton.named_parameters() if parameter.requires_grad)

    def init(self, seed: int, models: Sequence[int], *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Build each model under its own seed and stack the weights, (m, ...)."""
        states = []
        for model in models:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(int(stream(seed, "init", model).integers(2**63 - 1)))
                states.append(_state(self._make()))
        if any(set(state) != set(self.roles) for state in states):
            raise UnsupportedModel("make must build the same architecture each time it is called.")
        stacked = {name: torch.stack([state[name] for state in states]) for name in self.roles}
        return {name: tensor.to(dtype) if tensor.is_floating_point() else tensor for name, tensor in stacked.items()}

    @property
    def module(self) -> torch.nn.Module:
        """One module of the architecture; its own weights mean nothing."""
        return self._skeleton

    def as_inputs(self, inputs: Any) -> Any:
        """Return inputs in the form the module takes: whole numbers where it looks something up."""
        return inputs.long() if self._integer else inputs

    def forward(
        self, params: Mapping[str, Tensor], inputs: Tensor, *, activations: Activations | None = None
    ) -> Tensor:
        """Run m stacked models in evaluation mode: inputs (n, ...) shared, or (m, n, ...) -> (m, n, k)."""
        if getattr(inputs, "ndim", self._record_axes) == self._record_axes:
            outputs = self._evaluated.forward(params, self.as_inputs(inputs), activations=activations)
        else:
            parts = [slice(i, i + 1) for i in range(len(inputs))]
            outputs = torch.cat(
                [
                    self._evaluated.forward(
                        {name: tensor[one] for name, tensor in params.items()},
                        self.as_inputs(x),
                        activations=activations and activations.at(one),
                    )
                    for one, x in zip(parts, inputs, strict=True)
                ]
            )
        return self._shaped(outputs, axes=2)

    @property
    def homogeneous(self) -> Sequence[tuple[str, str]]:
        """Pairs of weights that may be scaled against each other; see `leaq.models.protocols.Layered`."""
        return self._evaluated.homogeneous

    def outputs(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Run each model on records of its own, differentiably: inputs (m, r, ...) -> (m, r, k)."""
        if self._batches is not None:
            self._skeleton.eval()
            return self._call(dict(params), self._collated(inputs), axes=2)
        return self._shaped(self._evaluated.outputs(params, self.as_inputs(inputs)), axes=2)

    def raw_outputs(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Return what the modules themselves give on records of their own, before it is read as logits."""
        return self._evaluated.outputs(params, self.as_inputs(inputs))

    def layer_inputs(
        self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor, *, only: str | None = None
    ) -> Mapping[str, tuple[Tensor, Tensor]]:
        """Return what each weight is multiplied with, or one alone; see `leaq.models.protocols.InTurn`."""
        return self._evaluated.layer_inputs(params, self.as_inputs(inputs), shares, only=only)

    def inputs_in_turn(self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor, *, visit: Any) -> bool:
        """Show each layer's inputs to `visit`, right before it runs; see `leaq.models.protocols.InTurn`."""
        return self._evaluated.inputs_in_turn(params, self.as_inputs(inputs), shares, visit=visit)

    def batches(self, inputs: Tensor) -> Callable[[Tensor], Any]:
        """Return what makes the batches that `gradient` takes of records (n, ...): of positions (m, b) among them."""
        return inputs.__getitem__ if self._batches is None or self.note is not None else self._batches(inputs)

    def stacks(self, inputs: Any) -> bool:
        """Tell whether copies run as one program where the inputs lie: those that can be, where that is faster."""
        return self.note is None and not (self._convolves and self.widest >= LARGE and inputs.device.type == "cpu")

    def gradient(
        self,
        params: Mapping[str, Tensor],
        inputs: Any,
        targets: Tensor,
        weights: Tensor,
        *,
        together: bool | None = None,
    ) -> dict[str, Tensor]:
        """Return the gradient of each model's weighted loss, in training mode; buffers are updated in place.

        Parameters
        ----------
        inputs : (m, b, ...) one batch a model, or what `batches` makes of them.
        targets, weights : (m, b), or (m, b, t) of several targets; a model's weights sum to 1.
        together : run the copies as one program, or one after another; by default as `stacks` says.
        """
        self._skeleton.train()
        trained = {name: params[name] for name in self.trained}
        rest = {name: tensor for name, tensor in params.items() if name not in trained}
        if self.stacks(inputs) if together is None else together:
            return self._together(trained, rest, inputs, targets, weights)
        each = [
            grad(self._loss)(_one(trained, i), _one(rest, i), inputs[i], targets[i], weights[i])
            for i in range(len(inputs))
        ]
        return {name: torch.stack([one[name] for one in each]) for name in trained}

    def _together(  # noqa: PLR0917 - what `_loss` takes
        self,
        trained: dict[str, Tensor],
        rest: dict[str, Tensor],
        inputs: Any,
        targets: Tensor,
        weights: Tensor,
        /,
        *,
        alike: bool = False,
    ) -> dict[str, Tensor]:
        """Return the gradients of all models' losses by one program: weights (m, ...), or `alike` (...) of them all."""
        batches = self._collated(inputs) if isinstance(inputs, Tensor) else inputs
        if self._batches is not None:
            if alike:
                trained, rest = (
                    {name: tensor.expand(len(targets), *tensor.shape) for name, tensor in part.items()}
                    for part in (trained, rest)
                )
            leaves = {name: tensor.detach().requires_grad_() for name, tensor in trained.items()}
            with torch.enable_grad():
                loss = self._loss(leaves, rest, batches, targets, weights)
                found = torch.autograd.grad(loss, list(leaves.values()), materialize_grads=True)
            return dict(zip(leaves, found, strict=True))
        with _batched_attention():
            each = vmap(grad(self._loss), in_dims=(None, None, 0, 0, 0) if alike else 0, randomness="different")
            gradients: dict[str, Tensor] = each(trained, rest, batches, targets, weights)
        return gradients

    def gradient_signals(
        self, params: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, *, rows: int = 8192
    ) -> Tensor:
        """Return what each record's loss gradient tells of the weights, (m, n, w); see `MLP.gradient_signals`.

        Here every record's gradient by the quantizable weights is formed, a few records of one model at a time.
        """
        self._skeleton.eval()
        targets = targets.to(inputs.dtype) if targets.is_floating_point() else targets
        quantized = [name for name, role in self.roles.items() if role in LAYER_ROLES]
        size = min(rows, RECORDS)
        return torch.stack(
            [
                self._signals(_one(params, i), quantized, torch.split(inputs, size), torch.split(targets, size))
                for i in range(len(next(iter(params.values()))))
            ]
        )

    def _signals(
        self, params: dict[str, Tensor], quantized: Sequence[str], inputs: Sequence[Tensor], targets: Sequence[Tensor]
    ) -> Tensor:
        wanted = {name: params[name] for name in quantized}
        rest = {name: tensor for name, tensor in params.items() if name not in wanted}

        def of_each(x: Tensor, y: Tensor) -> list[Tensor]:
            x, y = x.unsqueeze(1), y.unsqueeze(1)  # batches of one record
            shares = torch.ones(y.shape, device=y.device)
            if self._layout is not None:
                shares /= (~y.isnan()).sum((1, 2), keepdim=True)
            if self.note is None:
                found = self._together(wanted, rest, x, y, shares, alike=True)
            else:
                each = [grad(self._loss)(wanted, rest, *one) for one in zip(x, y, shares, strict=True)]
                found = {name: torch.stack([one[name] for one in each]) for name in wanted}
            return [found[name].flatten(1) for name in quantized]  # (b, p) a layer

        parts = list(zip(inputs, targets, strict=True))
        totals = [sum(layer) for layer in zip(*[[g.sum(0) for g in of_each(x, y)] for x, y in parts], strict=True)]
        dots: list[list[Tensor]] = [[] for _ in quantized]
        squares: list[list[Tensor]] = [[] for _ in quantized]
        for x, y in parts:
            for i, g in enumerate(of_each(x, y)):
                dots[i].append(g @ totals[i])
                squares[i].append(g.square().sum(1))
        return signals_by_layer(*([torch.cat(layer) for layer in kind] for kind in (dots, squares)))

    def _collated(self, inputs: Tensor) -> Any:
        """Return what the module is called with for batches (m, b, ...)."""
        if self._batches is None:
            return self._collate(inputs)
        m, b = inputs.shape[:2]
        return self._batches(inputs.flatten(0, 1))(torch.arange(m * b, device=inputs.device).view(m, b))

    def _call(self, params: dict[str, Tensor], inputs: Any, *, axes: int) -> Tensor:
        lent = places(self._skeleton, params)
        outputs = output_tensor(run_lent(self._skeleton, lent, (self.as_inputs(inputs),), {}))
        return self._shaped(outputs, axes=axes)

    def _shaped(self, outputs: Tensor, *, axes: int) -> Tensor:
        """Return logits or values, (..., n, k); of one logit those of both classes."""
        outputs = outputs.unsqueeze(-1) if outputs.ndim == axes else outputs.flatten(axes)
        outputs = self.reads(outputs)
        if self.task == "classification" and outputs.shape[-1] == 1:
            outputs = torch.cat([torch.zeros_like(outputs), outputs], dim=-1)
        return outputs

    def _loss(  # noqa: PLR0917 - vmap maps positional arguments
        self, trained: dict[str, Tensor], rest: dict[str, Tensor], /, inputs: Any, targets: Tensor, weights: Tensor
    ) -> Tensor:
        """Weighted cross-entropy, or squared error in the unit of the targets, of one model or of all."""
        axes = weights.ndim - (self._layout is not None)  # 2 with a model axis
        outputs = self._call({**trained, **rest}, inputs, axes=axes)
        if self._layout is not None:
            losses = entry_losses(outputs, targets, self._layout)
        elif self.task == "classification":
            losses = torch.nn.functional.cross_entropy(outputs.movedim(-1, 1), targets, reduction="none")
        else:
            losses = (outputs.squeeze(-1) - targets) ** 2
        return (losses * weights).sum()

    def _why_not_stackable(self, probe: Tensor) -> str | None:
        """Return why vmap cannot run two copies in training, or None."""
        params = self.init(0, [0, 1], dtype=probe.dtype if probe.is_floating_point() else torch.float32)
        batch = torch.stack([probe, probe])
        dtype = torch.int64 if self.task == "classification" else probe.dtype
        several = () if self._layout is None else (len(self._layout.tasks),)
        targets = torch.zeros((*batch.shape[:2], *several), dtype=dtype, device=probe.device)
        weights = torch.full(targets.shape, 1 / len(probe), dtype=batch.dtype, device=probe.device)
        try:
            with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("error")  # a layer without a batching rule warns that it will be slow
                self.gradient(params, batch, targets, weights, together=True)
        except (RuntimeError, UserWarning, NotImplementedError) as err:
            return " ".join(str(err).split())[:160]
        return None


def looks_up(make: Make) -> bool:
    """Whether the network looks its inputs up: they are then codes, which no scale means anything to."""
    with torch.random.fork_rng(devices=[]):
        return embeds(make())


def embeds(module: torch.nn.Module) -> bool:
    """Whether a module looks its inputs up, which are whole numbers then; one that collates them does as it likes."""
    return not hasattr(module, "collate") and any(isinstance(part, torch.nn.Embedding) for part in module.modules())


def _batched_attention() -> AbstractContextManager[None]:
    """Attention by its plain products: the fused kernels have no rule for a batch of models."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH)


def _widest(module: torch.nn.Module, inputs: Tensor) -> int:
    """Return the numbers in the largest tensor that a layer returns for one record; its inputs', if it cannot run."""
    found = [inputs[0].numel()]

    def measure(_module: torch.nn.Module, _inputs: object, outputs: object) -> None:
        if isinstance(outputs, Tensor) and outputs.ndim:
            found.append(outputs.numel() // len(inputs))

    hooks = [part.register_forward_hook(measure) for part in module.modules()]
    dtype = next((tensor.dtype for tensor in module.parameters() if tensor.is_floating_point()), torch.float32)
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]), evaluating(module):
            module(inputs.to(dtype) if inputs.is_floating_point() else inputs)
    except Exception:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    return max(found)


def _one(params: Mapping[str, Tensor], i: int) -> dict[str, Tensor]:
    """Return model i's weights: views, so that buffers updated in place are updated in the stack."""
    return {name: tensor[i] for name, tensor in params.items()}


def _state(module: torch.nn.Module) -> dict[str, Tensor]:
    """Return every tensor of a module once, by its first name: a layer or weight that is used twice is one."""
    first: dict[int, str] = {}
    tensors = module.state_dict(keep_vars=True)
    return {name: t.detach() for name, t in tensors.items() if first.setdefault(id(t), name) == name}


def _roles(module: torch.nn.Module) -> dict[str, Role]:
    """Name what each tensor of the state is; whole numbers, such as counters of batches, included."""
    owners = {
        f"{path}.{name}" if path else name: part
        for path, part in module.named_modules(remove_duplicate=False)
        for name in (*part._parameters, *part._buffers)
    }
    tensors = module.state_dict(keep_vars=True)
    return {name: role_of(name, tensors[name], owners[name]) for name in _state(module)}
