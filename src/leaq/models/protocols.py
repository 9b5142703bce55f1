"""What a model must be able to do; any object with these methods works."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from leaq.lazy import Tensor
from leaq.types import Activations, Role


class Model(Protocol):
    """How stacked weights become outputs; the only thing evaluation needs to know about an architecture.

    One that has ``prepared(inputs)`` is given shared inputs as that returns them, for all models: sparse where nearly
    all are 0, packed molecules as graphs.
    """

    @property
    def roles(self) -> Mapping[str, Role]:
        """Role of every parameter, in forward order."""
        ...

    def forward(
        self, params: Mapping[str, "Tensor"], inputs: "Tensor", *, activations: Activations | None = None
    ) -> "Tensor":
        """Run m stacked models: params ``(m, ...)`` on inputs ``(n, ...)`` or ``(m, n, ...)`` -> ``(m, n, k)``.

        `activations` is given where the inputs of layers are rounded; ranges are ``(m, 2)``.
        """
        ...


@runtime_checkable
class Layered(Protocol):
    """A model that tells what each layer is given: what calibrated quantizers need beside `Model`.

    One whose `outputs` are not what the network itself gives has ``raw_outputs`` beside it, which are.
    """

    @property
    def homogeneous(self) -> Sequence[tuple[str, str]]:
        """Pairs of weights with only a bias and an activation with f(s x) = s f(x), s > 0, between them (ReLU)."""
        ...

    def layer_inputs(
        self, params: Mapping[str, "Tensor"], inputs: "Tensor", shares: "Tensor"
    ) -> Mapping[str, tuple["Tensor", "Tensor"]]:
        """Return the vectors each weight is multiplied with, and how much each counts, by weight.

        Inputs ``(m, r, ...)`` and records' shares ``(m, r)``, 0 for padding -> ``(m, r', in)`` and ``(m, r')``. `in`
        counts the flattened input axes of the weight. A convolution sees r' = r times its positions, a graph network
        its atoms, a layer that is called several times the vectors of all calls. Weights that are looked up
        (embeddings) are left out.
        """
        ...

    def outputs(self, params: Mapping[str, "Tensor"], inputs: "Tensor") -> "Tensor":
        """Run each model on records of its own, differentiably: inputs ``(m, r, ...)`` -> ``(m, r, ...)``."""
        ...


@runtime_checkable
class InTurn(Layered, Protocol):
    """A model that shows its layers one after another as they run: each is calibrated within one run of all."""

    def layer_inputs(
        self, params: Mapping[str, "Tensor"], inputs: "Tensor", shares: "Tensor", *, only: str | None = None
    ) -> Mapping[str, tuple["Tensor", "Tensor"]]:
        """Return the same as `Layered`, or of one weight alone and others that read the same right after it."""
        ...

    def inputs_in_turn(
        self,
        params: Mapping[str, "Tensor"],
        inputs: "Tensor",
        shares: "Tensor",
        *,
        visit: Callable[[Sequence[str], tuple["Tensor", "Tensor"] | None], bool],
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
        ...
