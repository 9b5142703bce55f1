"""Networks by name: what ``--model dmpnn`` stands for."""

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from leaq.config import Named, Registry
from leaq.models.nets.weights import KNOWN, convolution, filled, find_weights, identity_of, weight_flags
from leaq.types import Flag, Progress, silent

if TYPE_CHECKING:
    import torch


class Net(Named):
    """A network's architecture; called, it builds one module, freshly initialised or pretrained.

    Examples
    --------
    >>> net = NETS.build("dmpnn(hidden=16)")
    >>> net.spec(), sum(weights.numel() for weights in net(outputs=2).parameters())
    ('dmpnn(hidden=16)', 3362)
    """

    embedder: ClassVar[str] = "molgraph"
    """What turns records into the rows it reads."""
    recipe: ClassVar[Mapping[str, Any]] = {}
    """Options of `leaq.training.TrainingConfig` that belong to it, where they are not given otherwise."""
    one_logit: ClassVar[bool] = False
    """Whether of one target with two classes it predicts the logit of the second, and not those of both."""

    def __call__(self, outputs: int = 1) -> "torch.nn.Module":
        """Build a module from rows of packed graphs to logits, or to standardised predictions, (n, outputs).

        Parameters
        ----------
        outputs : number of classes, or 1; of several targets as in `leaq.types.tasks`. leaq puts the pool's mean and
            scale of a regression's targets behind it (`leaq.training.TrainingConfig.standardise`).
        """
        raise NotImplementedError

    def locate(self, *, progress: Progress = silent) -> None:
        """Make sure that files it needs are there; most need none."""

    def contents(self) -> str:
        """Return a hash of what it is built from beside its options, such as weights of the user's own; or ""."""
        return ""

    def flags(self) -> tuple[Flag, ...]:
        """Return doubts that come with it."""
        return ()


class MessageNet(Net):
    """A network of messages between neighbouring atoms, with random initial weights."""

    messages: ClassVar[str] = ""
    """The class in `leaq.models.nets.networks`."""

    hidden: PositiveInt = 300
    """Width of every layer."""
    depth: int = Field(default=3, ge=1, le=12)
    """Rounds of messages; an atom sees as many bonds far."""
    aggregation: Literal["mean", "sum", "norm"] = "norm"
    """How atoms make a molecule: their mean, their sum, or their sum over 100."""

    def __call__(self, outputs: int = 1) -> "torch.nn.Module":
        """Build a freshly initialised module; see `Net`."""
        from leaq.models.nets import networks  # torch is loaded when a network is built, not when it is named

        messages = getattr(networks, self.messages)(self.hidden, self.depth)
        return networks.GraphNet(messages, (self.hidden, self.hidden, outputs), aggregation=self.aggregation)


class Dmpnn(MessageNet):
    """Directed message passing, chemprop 2's architecture and defaults."""

    name: ClassVar[str] = "dmpnn"
    messages: ClassVar[str] = "DirectedMessages"


class Chemprop(Dmpnn):
    """The same, trained as ``chemprop train`` does unless told otherwise: 50 epochs, batches of 64, a warm-up.

    Values are standardised by the members' own mean and scale, which chemprop keeps in its file. Options of the
    training that are at leaq's own defaults count as not given; `dmpnn` is the same network without this recipe.
    """

    one_logit: ClassVar[bool] = True
    ensemble: int = Field(default=1, ge=1, le=20)
    """Networks released as one, each trained on the same members from weights and batches of its own; they predict
    their mean."""

    name: ClassVar[str] = "chemprop"
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 50, "batch_size": 64, "schedule": "warmup", "standardise": "members",
    }  # fmt: skip


class Gin(MessageNet):
    """Graph isomorphism network that sees bonds."""

    name: ClassVar[str] = "gin"
    messages: ClassVar[str] = "Isomorphisms"
    hidden: PositiveInt = 128
    """Width of every layer."""


class Gcn(MessageNet):
    """Graph convolutional network."""

    name: ClassVar[str] = "gcn"
    messages: ClassVar[str] = "Convolutions"
    hidden: PositiveInt = 128
    """Width of every layer."""


class FineTuned(Net):
    """A pretrained graph network that is fine-tuned end to end, a linear layer behind it.

    All models start from the same pretrained weights, and attackers know them: they are public. The embedder of the
    same name is the network frozen.
    """

    embedder: ClassVar[str] = "molgraph(vocabulary=words)"
    weights: str | None = None
    """A safetensors file of your own; by default the known weights, looked for in LEAQ_WEIGHTS_DIR."""

    def __call__(self, outputs: int = 1) -> "torch.nn.Module":
        """Build a module with the pretrained weights and a fresh last layer; see `Net`."""
        from leaq.models.nets.pretrained import GraphNetwork, Tuned

        make = partial(GraphNetwork, convolution(self.name))
        return Tuned(filled(make, KNOWN[self.name], self.weights, what=self.spec()), outputs)

    def locate(self, *, progress: Progress = silent) -> None:
        """Make sure that the weights are there, downloading known ones that are not."""
        find_weights(KNOWN[self.name], self.weights, progress=progress)

    def contents(self) -> str:
        """Return the hash of the pretrained weights."""
        return identity_of(KNOWN[self.name], self.weights)

    def flags(self) -> tuple[Flag, ...]:
        """Flag weights nobody checked, and weights that have seen labels."""
        return weight_flags(KNOWN[self.name], self.weights)


NETS: Registry[Net] = Registry("network")
for _kind in (Dmpnn, Chemprop, Gin, Gcn):
    NETS.add(_kind.name)(_kind)
for _name in KNOWN:
    if _name != "chemvae_zinc":  # no graph network
        NETS.add(_name)(type(f"FineTuned_{_name}", (FineTuned,), {"name": _name, "__module__": __name__}))


def dmpnn(outputs: int = 1) -> "torch.nn.Module":
    """Build a directed message-passing network with chemprop's defaults; see `Net`."""
    return Dmpnn()(outputs)


def gin(outputs: int = 1) -> "torch.nn.Module":
    """Build a graph isomorphism network; see `Net`."""
    return Gin()(outputs)


def gcn(outputs: int = 1) -> "torch.nn.Module":
    """Build a graph convolutional network; see `Net`."""
    return Gcn()(outputs)


def training_of(model: str) -> Mapping[str, Any]:
    """Return the options of training that belong to a network by name; none of a user's own.

    Examples
    --------
    >>> training_of("chemprop(hidden=64)")["batch_size"], dict(training_of("nets.py:make"))
    (64, {})
    """
    name = model.partition("(")[0].strip()
    known = NETS.get(name) if name in NETS else None
    return getattr(known, "recipe", {})
