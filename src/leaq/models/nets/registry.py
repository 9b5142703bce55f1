"""Networks by name: what ``--model dmpnn`` stands for."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PositiveInt

from leaq.config import Named, Registry

if TYPE_CHECKING:
    import torch

__all__ = ["NETS", "Dmpnn", "Gcn", "Gin", "Net", "dmpnn", "gcn", "gin"]


class Net(Named):
    """A network's architecture; called, it builds one freshly initialised module.

    Examples
    --------
    >>> net = NETS.build("dmpnn(hidden=16)")
    >>> net.spec(), sum(weights.numel() for weights in net(outputs=2).parameters())
    ('dmpnn(hidden=16)', 3362)
    """

    embedder: ClassVar[str] = "molgraph"
    """What turns records into the rows it reads."""

    messages: ClassVar[str] = ""
    """The class in `leaq.models.nets.networks`."""
    recipe: ClassVar[Mapping[str, Any]] = {}
    """Options of `leaq.training.TrainingConfig` that belong to it, where they are not given otherwise."""

    hidden: PositiveInt = 300
    """Width of every layer."""
    depth: int = Field(default=3, ge=1, le=12)
    """Rounds of messages; an atom sees as many bonds far."""
    aggregation: Literal["mean", "sum", "norm"] = "norm"
    """How atoms make a molecule: their mean, their sum, or their sum over 100."""

    def __call__(self, outputs: int = 1) -> "torch.nn.Module":
        """Build a module from rows of packed graphs to logits, or to standardised predictions, (n, outputs).

        Parameters
        ----------
        outputs : number of classes, or 1; of several targets as in `leaq.types.tasks`. leaq puts the pool's mean and
            scale of a regression's targets behind it (`leaq.training.TrainingConfig.standardise`).
        """
        from leaq.models.nets import networks  # torch is loaded when a network is built, not when it is named

        messages = getattr(networks, self.messages)(self.hidden, self.depth)
        return networks.GraphNet(messages, (self.hidden, self.hidden, outputs), aggregation=self.aggregation)


class Dmpnn(Net):
    """Directed message passing, chemprop 2's architecture and defaults."""

    name: ClassVar[str] = "dmpnn"
    messages: ClassVar[str] = "DirectedMessages"


class Chemprop(Dmpnn):
    """The same, trained as ``chemprop train`` does unless told otherwise: 50 epochs, batches of 64, a warm-up.

    Values are standardised by the members' own mean and scale, which chemprop keeps in its file. Options of the
    training that are at leaq's own defaults count as not given; `dmpnn` is the same network without this recipe.
    """

    name: ClassVar[str] = "chemprop"
    recipe: ClassVar[Mapping[str, Any]] = {
        "epochs": 50, "batch_size": 64, "schedule": "warmup", "standardise": "members",
    }  # fmt: skip


class Gin(Net):
    """Graph isomorphism network that sees bonds."""

    name: ClassVar[str] = "gin"
    messages: ClassVar[str] = "Isomorphisms"
    hidden: PositiveInt = 128
    """Width of every layer."""


class Gcn(Net):
    """Graph convolutional network."""

    name: ClassVar[str] = "gcn"
    messages: ClassVar[str] = "Convolutions"
    hidden: PositiveInt = 128
    """Width of every layer."""


NETS: Registry[Net] = Registry("network")
for _kind in (Dmpnn, Chemprop, Gin, Gcn):
    NETS.add(_kind.name)(_kind)


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
