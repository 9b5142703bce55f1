"""The head: a multilayer perceptron whose weights carry a model axis, run by batched matrix products."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from leaq.models.rounding import at_levels, own_extremes
from leaq.models.several import loss_gradient
from leaq.seeds import torch_stream
from leaq.training.sparse import Sparse, without_zeros
from leaq.types import Activations, Role, Samples, Task
from leaq.types.activations import OUTPUTS, results_of
from leaq.types.tasks import Layout, TaskSpec


@dataclass(frozen=True)
class MLP:
    """Architecture of a head with its own input scaler; holds no weights.

    Parameters are named ``input.mean``, ``input.scale`` (d,), ``layers.i.weight`` (out, in), ``layers.i.bias`` (out,)
    and, where values are predicted, ``output.mean``, ``output.scale`` (k,). `TrainingConfig.standardise` says what the
    scalers are fitted on; they belong to the released model and are never quantized. `tasks` says whose the k outputs
    are where there are several targets.

    Examples
    --------
    >>> mlp = MLP(d=3, k=2, hidden=(4,), task="classification")
    >>> params = mlp.init(seed=0, models=[0, 1])
    >>> tuple(mlp.forward(params, torch.zeros(5, 3)).shape)
    (2, 5, 2)
    """

    d: int
    k: int
    hidden: tuple[int, ...]
    task: Task
    tasks: tuple[TaskSpec, ...] = ()

    @classmethod
    def of(cls, samples: Samples, hidden: tuple[int, ...]) -> "MLP":
        """Return the architecture for these records: of hidden layers as wide as this.

        Examples
        --------
        >>> import numpy as np
        >>> MLP.of(Samples(np.zeros((2, 3)), np.array([0.5, 1.0]), "regression"), (4,)).widths
        (3, 4, 1)
        """
        layout = Layout.of(samples.tasks)
        k = max(1, len(samples.classes)) if layout is None else layout.outputs
        return cls(samples.inputs.shape[1], k, hidden, samples.task, samples.tasks)

    @cached_property
    def layout(self) -> Layout | None:
        """Which outputs are whose, of several targets."""
        return Layout.of(self.tasks)

    @property
    def valued(self) -> bool:
        """Whether values are predicted, which have a mean and a scale."""
        return self.task == "regression" if self.layout is None else bool(self.layout.values)

    @property
    def widths(self) -> tuple[int, ...]:
        """Sizes from input to output."""
        return (self.d, *self.hidden, self.k)

    @property
    def depth(self) -> int:
        """Number of linear layers."""
        return len(self.widths) - 1

    @cached_property
    def roles(self) -> Mapping[str, Role]:
        """Role of every parameter, in forward order."""
        roles: dict[str, Role] = {"input.mean": "scaler", "input.scale": "scaler"}
        for i in range(self.depth):
            roles[f"layers.{i}.weight"] = "linear"
            roles[f"layers.{i}.bias"] = "bias"
        if self.valued:
            roles |= {"output.mean": "scaler", "output.scale": "scaler"}
        return roles

    def init(self, seed: int, models: Sequence[int], *, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """Draw initial weights as nn.Linear does (uniform within 1/sqrt(in)), each model from its own stream."""
        params: dict[str, list[Tensor]] = {name: [] for name in self.roles}
        for model in models:
            generator = torch_stream(seed, "init", model)
            for name, tensor in self._init_one(generator).items():
                params[name].append(tensor.to(dtype))
        return {name: torch.stack(tensors) for name, tensors in params.items()}

    def _init_one(self, generator: torch.Generator) -> dict[str, Tensor]:
        cpu = generator.device
        one = {"input.mean": torch.zeros(self.d, device=cpu), "input.scale": torch.ones(self.d, device=cpu)}
        for i, (fan_in, fan_out) in enumerate(zip(self.widths[:-1], self.widths[1:], strict=True)):
            bound = fan_in**-0.5
            for name, shape in (("weight", (fan_out, fan_in)), ("bias", (fan_out,))):
                uniform = torch.rand(shape, generator=generator, dtype=torch.float64, device=cpu)
                one[f"layers.{i}.{name}"] = (2 * uniform - 1) * bound
        if self.valued:
            one |= {"output.mean": torch.zeros(self.k, device=cpu), "output.scale": torch.ones(self.k, device=cpu)}
        return one

    def forward(
        self, params: Mapping[str, Tensor], inputs: Tensor, *, activations: Activations | None = None
    ) -> Tensor:
        """Run m stacked models: inputs (n, d) shared by all, or (m, n, d) one set each -> (m, n, k).

        With shared inputs the scaler is folded into the first layer: all models' first layers are then one matrix
        product, and no copy of the inputs per model exists. Shared inputs may be sparse (see `prepared`).
        """
        mean, scale = params["input.mean"], params["input.scale"]
        if inputs.is_sparse and activations is None and shared_by_all(mean) and shared_by_all(scale):
            hidden = self._linear(params, 0, Sparse(inputs, mean[0], scale[0]), None)
        elif inputs.ndim == 2 and activations is None:
            weight = params["layers.0.weight"] / scale.unsqueeze(1)  # (m, h, d)
            bias = params["layers.0.bias"] - (weight @ mean.unsqueeze(-1)).squeeze(-1)  # (m, h)
            m, h, d = weight.shape
            if inputs.is_sparse:
                hidden = Sparse(inputs, torch.zeros_like(mean[0]), torch.ones_like(scale[0])).times(weight, bias)
            else:
                hidden = (inputs @ weight.reshape(m * h, d).T).reshape(-1, m, h).transpose(0, 1)
                hidden += bias.unsqueeze(1)
        else:
            there = inputs.to_dense() if inputs.is_sparse else inputs
            standard = (there - mean.unsqueeze(1)) / scale.unsqueeze(1)  # (m, n, d)
            hidden = self._linear(params, 0, standard, activations)
        for i in range(1, self.depth):
            hidden = self._linear(params, i, hidden.relu_(), activations)  # in place: memory is most of the time
        if self.valued:
            hidden = hidden * params["output.scale"].unsqueeze(1) + params["output.mean"].unsqueeze(1)
        return hidden if activations is None else _round_results(hidden, OUTPUTS, activations)

    def prepared(self, inputs: Tensor) -> Tensor:
        """Return shared inputs (n, d) as `forward` is fastest on: sparse where nearly all of them are 0."""
        return without_zeros(inputs)

    @property
    def homogeneous(self) -> tuple[tuple[str, str], ...]:
        """Neighbouring weights; only a bias and a ReLU stand between them."""
        return tuple((f"layers.{i}.weight", f"layers.{i + 1}.weight") for i in range(self.depth - 1))

    def layer_inputs(
        self, params: Mapping[str, Tensor], inputs: Tensor, shares: Tensor
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Return what each weight is multiplied with: inputs (m, n, d) -> (m, n, width) by weight, and `shares`."""
        hidden = (inputs - params["input.mean"].unsqueeze(1)) / params["input.scale"].unsqueeze(1)
        found = {"layers.0.weight": (hidden, shares)}
        for i in range(1, self.depth):
            hidden = torch.relu(self._linear(params, i - 1, hidden, None))
            found[f"layers.{i}.weight"] = hidden, shares
        return found

    def outputs(self, params: Mapping[str, Tensor], inputs: Tensor) -> Tensor:
        """Run each model on records of its own: inputs (m, n, d) -> (m, n, k)."""
        return self.forward(params, inputs)

    def gradient_signals(
        self, params: Mapping[str, Tensor], inputs: Tensor, targets: Tensor, *, rows: int = 8192
    ) -> Tensor:
        """Return what each record's loss gradient tells of the released weights, (m, n, w).

        By the linear weights g_i of record i and the total G: the alignment <g_i, G - g_i> / |g_i|, the logarithm of
        |g_i|, then the alignments by groups of layers (`layer_groups`; none if there is only one layer). The gradient
        of one record by a weight matrix is an outer product, so neither it nor any other gradient of a single record
        is ever formed. The loss is cross-entropy, or the squared error on the model's own target scale. `rows` records
        at a time, of sparse inputs all.
        """
        whole = [inputs] if inputs.is_sparse else torch.split(inputs, rows)
        parts = list(zip(whole, [targets] if inputs.is_sparse else torch.split(targets, rows), strict=True))
        walked = [list(self._backward(params, *parts[0]))] if len(parts) == 1 else None  # one walk serves both passes
        totals: dict[int, Tensor] = {}
        for layers in walked or (self._backward(params, x, y) for x, y in parts):
            for i, delta, active in layers:
                own = active.against(delta) if isinstance(active, Sparse) else delta.transpose(1, 2) @ active
                totals[i] = totals.get(i, 0) + own  # (m, out, in)
        dots: list[list[Tensor]] = [[] for _ in range(self.depth)]
        squares: list[list[Tensor]] = [[] for _ in range(self.depth)]
        for layers in walked or (self._backward(params, x, y) for x, y in parts):
            for i, delta, active in layers:
                # <g_i, G> = delta_i . (G active_i): what G makes of a record is narrower than G itself.
                if isinstance(active, Sparse):
                    moved, sizes = active.times(totals[i]), active.squares()
                else:
                    moved, sizes = active @ totals[i].transpose(1, 2), active.square().sum(-1)
                dots[i].append((moved * delta).sum(-1))
                squares[i].append(delta.square().sum(-1) * sizes)
        return signals_by_layer(*([torch.cat(layer, dim=1) for layer in kind] for kind in (dots, squares)))

    def _backward(
        self, params: Mapping[str, Tensor], inputs: Tensor, targets: Tensor
    ) -> Iterator[tuple[int, Tensor, Tensor | Sparse]]:
        """Yield, last layer first, its number, the loss gradient by its outputs (m, n, out), and its inputs.

        Inputs of the first layer are (1, n, in) where all models scale them alike.
        """
        mean, scale = params["input.mean"], params["input.scale"]
        alike = shared_by_all(mean) and shared_by_all(scale)
        if alike:
            mean, scale = mean[:1], scale[:1]
        thin = without_zeros(inputs) if alike else inputs.to_dense() if inputs.is_sparse else inputs
        first = Sparse(thin, mean[0], scale[0]) if thin.is_sparse else (thin - mean.unsqueeze(1)) / scale.unsqueeze(1)
        layers: list[Tensor] = []  # what comes out of each
        for i in range(self.depth):
            layers.append(self._linear(params, i, layers[-1] if layers else first, None))
            if i < self.depth - 1:
                layers[-1].relu_()
        outputs = layers.pop()  # (m, n, k)
        if self.layout is not None:
            labels = self.standard(params, targets.to(outputs.dtype)).expand(*outputs.shape[:2], -1)
            # Of each record alone: the mean over its own labels.
            counts = (~labels.isnan()).sum(-1, keepdim=True)
            delta = loss_gradient(outputs, labels, (~labels.isnan()) / counts, self.layout)
        elif self.task == "classification":
            index = targets.expand(outputs.shape[:-1]).unsqueeze(-1)
            delta = torch.softmax(outputs, -1)
            delta.scatter_add_(-1, index, delta.new_full(index.shape, -1.0))
        else:
            standard = (targets.to(outputs.dtype) - params["output.mean"]) / params["output.scale"]  # (m, n)
            delta = 2 * (outputs - standard.unsqueeze(-1))
        for i in reversed(range(self.depth)):
            yield i, delta, layers[i - 1] if i else first
            if i > 0:
                delta = (delta @ params[f"layers.{i}.weight"]) * layers[i - 1].sign()

    def standard(self, params: Mapping[str, Tensor], targets: Tensor) -> Tensor:
        """Return several targets (n, t) or (m, n, t) in the units the models predict in, (m, n, t)."""
        if self.layout is None or "output.mean" not in params:
            return targets if targets.ndim == 3 else targets.unsqueeze(0)
        first = list(self.layout.starts[:-1])
        mean, scale = (params[f"output.{part}"][:, first].unsqueeze(1) for part in ("mean", "scale"))
        return (targets - mean) / scale

    @staticmethod
    def _linear(params: Mapping[str, Tensor], i: int, x: Tensor | Sparse, activations: Activations | None) -> Tensor:
        weight, bias = params[f"layers.{i}.weight"], params[f"layers.{i}.bias"]
        if isinstance(x, Sparse):
            return x.times(weight, bias)
        if activations is not None:
            x = _round_inputs(x, f"layers.{i}.weight", activations)
        if len(x) == 1 < len(weight):  # shared by all models: one product
            m, out, width = weight.shape
            return (x[0] @ weight.reshape(m * out, width).T).reshape(-1, m, out).transpose(0, 1) + bias.unsqueeze(1)
        found = torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
        return found if activations is None else _round_results(found, results_of(f"layers.{i}.weight"), activations)


def shared_by_all(rows: Tensor) -> bool:
    """Tell whether all rows hold the same numbers; without numbers (on the meta device) nothing is known to."""
    return not rows.is_meta and bool((rows == rows[:1]).all())


def layer_groups(layers: int) -> list[slice]:
    """Return the groups of layers whose alignments are told apart: first, all in between, last; none of one layer.

    Examples
    --------
    >>> layer_groups(5)
    [slice(0, 1, None), slice(1, 4, None), slice(4, 5, None)]
    """
    if layers < 2:
        return []
    middle = [slice(1, layers - 1)] if layers > 2 else []
    return [slice(0, 1), *middle, slice(layers - 1, layers)]


def signals_by_layer(dots: Sequence[Tensor], squares: Sequence[Tensor]) -> Tensor:
    """Combine <g_i, G> and |g_i|^2 of each layer, (..., n) of all records each, into `MLP.gradient_signals`."""

    def aligned(dot: Tensor, square: Tensor) -> Tensor:
        norm = square.sqrt()
        return dot / norm.clamp_min(torch.finfo(norm.dtype).tiny) - norm

    dot, square = torch.stack(list(dots)), torch.stack(list(squares))  # (layers, ..., n)
    whole = square.sum(0)
    # A gradient of exactly 0 (no unit active, or a fit within rounding) has no logarithm: the model's smallest other
    # one stands for it. The smallest number of the precision would be an outlier that drowns the spread of all others.
    smallest = torch.where(whole > 0, whole, torch.inf).amin(-1, keepdim=True)
    size = torch.maximum(whole, torch.where(smallest.isinf(), 1.0, smallest)).log() / 2
    groups = [aligned(dot[group].sum(0), square[group].sum(0)) for group in layer_groups(len(dot))]
    return torch.stack([aligned(dot.sum(0), whole), size, *groups], dim=-1)


def _round_inputs(x: Tensor, weight: str, how: Activations) -> Tensor:
    """Round what a weight is multiplied with, (m, n, width): record by record, or by each model's range."""
    if not how.static:
        return at_levels(x, *own_extremes(x, how.zero_point, (-1,)), how, static=False)
    return _round_results(x, weight, how)


def _round_results(x: Tensor, name: str, how: Activations) -> Tensor:
    """Round numbers (m, n, width) by each model's range of that name, if it has one."""
    if name not in how.ranges:
        return x
    low, high = (end.reshape(-1, 1, 1) for end in how.ranges[name].unbind(-1))
    return at_levels(x, low, high, how, static=True)
