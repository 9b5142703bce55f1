"""chemprop's own files, read without chemprop and without running what is in them.

A file of chemprop 2 (``best.pt``, Lightning's ``.ckpt``) is a pickle that names classes. torch's restricted reader
builds nothing but tensors and plain containers; every class that the file names, of the few packages that such files
name, is replaced by an inert record of its attributes, and any other name is refused. Architecture and weights are
then put together in `leaq.models.nets.networks`, whose parameters have chemprop's names.
"""

import copy
import pickle
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, StoreError, some
from leaq.models.nets.graphs import Graphs
from leaq.models.nets.layout import ATOM, BOND
from leaq.models.nets.networks import Aggregation, DirectedMessages, GraphNet, Molecules

PACKAGES = ("chemprop.", "lightning.fabric.", "torchmetrics.", "torch.nn.modules.")
"""Whose classes a file of chemprop names; none of them is imported."""
KNOWN = {"RegressionFFN": "regression", "BinaryClassificationFFN": "binary", "MulticlassClassificationFFN": "classes"}
"""Predictors that are read."""
AGGREGATIONS: dict[str, Aggregation] = {"MeanAggregation": "mean", "SumAggregation": "sum", "NormAggregation": "norm"}
UNUSED = ("metrics.", "predictor.criterion.")
"""Beginnings of names that hold no part of the network."""
LOSSES = {"regression": "squared_error", "binary": "binary", "classes": "cross_entropy"}
"""Under which loss each kind is judged."""
OLDER = b"encoder.encoder."
"""Begins the names of chemprop 1's weights; of the message passing, since it read solvents too."""


class Ensemble(nn.Module):
    """Several networks released as one: their mean prediction, or the logit of their mean probability.

    Parameters
    ----------
    members : networks of one kind.
    kind : "regression"; "binary", logits of single classes; or "classes", logits of one target's classes.

    Attributes
    ----------
    targets : names of the columns it predicts, where files say them.
    """

    collate = staticmethod(GraphNet.collate)
    targets: tuple[str, ...] = ()

    def __init__(self, members: Sequence[nn.Module], kind: str) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.kind = kind
        each = [getattr(member, "batches", None) for member in members]
        depths = {part.depth for part in self.modules() if isinstance(part, DirectedMessages)}
        self.batches = each[0] if all(each) and len(depths) == 1 else None

    def prepared(self, inputs: Tensor) -> Molecules:
        """Return rows (n, w) as graphs, which all members read."""
        found: Molecules = self.members[0].prepared(inputs)  # type: ignore[operator]
        return found

    def forward(self, inputs: Tensor | Graphs | Molecules) -> Tensor:
        """Return what chemprop predicts with an ensemble, on the scale of one network's outputs."""
        outputs = torch.stack([member(inputs) for member in self.members])
        if self.kind == "binary":
            return torch.logit(torch.sigmoid(outputs.double()).mean(0)).to(outputs.dtype)
        if self.kind == "classes":
            return torch.log(torch.softmax(outputs, dim=-1).mean(0))
        return outputs.mean(0)


class _Inert:
    """Stands for an object of a class that the file names: its attributes, and nothing that runs."""

    def __init__(self, *arguments: Any) -> None:
        self.arguments = arguments


def is_chemprop(path: str | Path) -> bool:
    """Tell whether a file is a network saved by chemprop 2, by the names in it; nothing is loaded.

    Raises
    ------
    InvalidInput
        If chemprop 1 saved it.
    """
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
    except (OSError, RuntimeError, ValueError, pickle.UnpicklingError, EOFError):
        return False
    if "argparse.Namespace" in names and _is_older(Path(path)):
        raise _older(Path(path).name)
    return any(name.startswith("chemprop.nn.message_passing.") for name in names)


def _is_older(path: Path) -> bool:
    """Tell whether a file holds weights under chemprop 1's names; nothing is loaded."""
    with zipfile.ZipFile(path) as archive:
        inner = [name for name in archive.namelist() if name.endswith("data.pkl")]
        return any(OLDER in archive.read(name) for name in inner)


def _older(subject: str) -> InvalidInput:
    return InvalidInput(
        f"{subject}: must be a network saved by chemprop 2. Found one of chemprop 1, whose features are others. "
        f"Convert it ('chemprop convert -i {subject} -o v2.pt') and audit it by leaq.audit(model, members, nonmembers) "
        "with chemprop's own model and loaders, featurizer v1; or train it again."
    )


def chemprop_files(path: str | Path) -> list[Path]:
    """Return the files of what chemprop saved: a file, or of the folder of a training those of its ensemble.

    None where it is neither.
    """
    place = Path(path)
    found = sorted(place.rglob("best.pt")) if place.is_dir() else [place]
    files = [file for file in found if file.suffix in (".pt", ".ckpt") and is_chemprop(file)]
    return files if len(files) == len(found) else []


def read_chemprop(*paths: str | Path) -> GraphNet | Ensemble:
    """Read a network of chemprop 2, or several as one ensemble.

    The network takes rows of the embedder ``molgraph``. It returns predictions (n, t) in the unit of the targets,
    logits (n, t) of binary targets (``loss="binary"``), or logits (n, k) of one target with k classes.

    Raises
    ------
    StoreError
        If a file cannot be read.
    InvalidInput
        If it is no network of chemprop 2, or one with parts that are not read here.

    Examples
    --------
    >>> read_chemprop("nowhere.pt")
    Traceback (most recent call last):
    leaq.errors.StoreError: nowhere.pt: cannot be read (No such file or directory).
    """
    if not paths:
        raise InvalidInput("read_chemprop: needs at least one file. Found none.")
    found = [_read(Path(path)) for path in paths]
    if len({(kind, network.outputs) for network, kind in found}) > 1:
        raise InvalidInput("read_chemprop: an ensemble's networks must predict the same. Found different outputs.")
    networks, kind = [network.eval() for network, _ in found], found[0][1]
    if len(networks) == 1:
        return networks[0]
    ensemble = Ensemble(networks, kind).eval()
    ensemble.targets = networks[0].targets
    return ensemble


def said_by(network: GraphNet | Ensemble) -> str:
    """Return the specification that trains networks like one that was read, as ``--model`` takes it.

    Raises
    ------
    InvalidInput
        If the networks of an ensemble have other architectures: shadow models of it would be of one.
    """
    members = list(network.members) if isinstance(network, Ensemble) else [network]
    described = list(dict.fromkeys(one.described() for one in members if isinstance(one, GraphNet)))
    if len(described) > 1:
        raise InvalidInput(
            f"Shadow models of an ensemble are ensembles of one architecture. Found {' and '.join(described)}. Release "
            "networks of one, or audit the ensemble as the source, with members and nonmembers, without shadow models."
        )
    more = f", ensemble={len(members)}" if len(members) > 1 else ""
    return f"chemprop({described[0]}{more})"


def fill_chemprop(files: Sequence[Path], template: nn.Module) -> nn.Module:
    """Return a copy of leaq's own network with the weights of chemprop's files, its scaler of the targets included.

    Parameters
    ----------
    template : what ``--model chemprop`` builds: a network (between scalers: `module`, buffers `output_mean` and
        `output_scale`), or an `Ensemble` of such.

    Raises
    ------
    InvalidInput
        If the files hold another architecture, or another number of networks.
    """
    filled = copy.deepcopy(template).eval()
    members = list(filled.members) if isinstance(filled, Ensemble) else [filled]
    if len(members) != len(files):
        raise InvalidInput(
            f"The released file must hold as many networks as are trained. Found {len(files)} of chemprop's and "
            f"{len(members)} of the model named. Name it with model='chemprop(ensemble={len(files)})'."
        )
    for file, member in zip(files, members, strict=True):
        network, _ = _read(file)
        _fill(file.name, network, member)
    return filled


def _fill(subject: str, network: GraphNet, member: nn.Module) -> None:
    inner = getattr(member, "module", member)
    if not isinstance(inner, GraphNet) or not isinstance(inner.message_passing, DirectedMessages):
        raise InvalidInput(
            f"{subject}: a network that chemprop saved has shadow models of its own kind. Found "
            f"{type(inner).__name__}. Name model='chemprop({network.described()})'."
        )
    state = network.state_dict()
    scaler = {part: state.pop(f"predictor.output_transform.{part}", None) for part in ("mean", "scale")}
    own = inner.state_dict()
    alike = {name: tuple(tensor.shape) for name, tensor in state.items()} == {
        name: tuple(tensor.shape) for name, tensor in own.items()
    }
    if not alike or network.described() != inner.described():
        raise InvalidInput(
            f"{subject}: shadow models must be of the released network's architecture. Found {network.described()} in "
            f"the file and {inner.described()} trained. Name model='chemprop({network.described()})'; a network with "
            "other parts beside these is trained with recipe."
        )
    inner.load_state_dict(state)
    for part, values in scaler.items():
        if (held := dict(member.named_buffers()).get(f"output_{part}")) is not None:
            plain = torch.full_like(held, float(part == "scale"))  # a file without a scaler predicts in its own unit
            held.copy_(plain if values is None else values.reshape(held.shape))


def _read(path: Path) -> tuple[GraphNet, str]:
    content = _content(path)
    if not {"hyper_parameters", "state_dict"} <= set(content) or "message_passing" not in content["hyper_parameters"]:
        if "args" in content:
            raise _older(path.name)
        raise InvalidInput(f"{path.name}: must be a network saved by chemprop 2. Found another file.")
    options, state = content["hyper_parameters"], content["state_dict"]
    _refuse_other_records(path.name, options)
    network, kind = _built(path.name, options, scaled="predictor.output_transform.mean" in state)
    own = network.state_dict()
    given = {name: tensor for name, tensor in state.items() if not name.startswith(UNUSED)}
    if set(given) != set(own) or any(given[name].shape != own[name].shape for name in own):
        odd = sorted(set(given) ^ set(own)) or [name for name in own if given[name].shape != own[name].shape]
        raise InvalidInput(
            f"{path.name}: weights must be those of the network it describes. Found others: {some(odd)}. "
            "Save it again with a current chemprop 2."
        )
    network.load_state_dict(given)
    named = tuple(map(str, content.get("output_columns") or ()))
    network.targets = named if len(named) == options["predictor"]["n_tasks"] else ()
    return network, kind


def _refuse_other_records(subject: str, options: Mapping[str, Any]) -> None:
    """Refuse networks whose records are no single molecules, or whose targets are not a molecule's."""
    several = "blocks" in options["message_passing"] or "components" in options["message_passing"]
    found = (
        "several molecules a record, as of reactions and solvents"
        if several
        else ""
        if "predictor" in options
        else "targets of atoms or bonds"
    )
    if found:
        how = "" if several else ", in a module that returns one row a molecule"
        raise InvalidInput(
            f"{subject}: read are networks that predict properties of one molecule. Found {found}. Audit it with "
            f"leaq.audit(model, members, nonmembers, loss=...), the model loaded and its loaders made by chemprop{how}."
        )


def _content(path: Path) -> Mapping[str, Any]:
    """Return the file's content with inert records for objects."""
    strange: list[str] = []
    try:
        names = torch.serialization.get_unsafe_globals_in_checkpoint(str(path))
        strange += [name for name in names if not name.startswith(PACKAGES)]
        allowed: list[Any] = [] if strange else [(_stand_in(name), name) for name in names]
        with torch.serialization.safe_globals(allowed):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as err:
        raise StoreError(f"{path.name}: cannot be read ({err.strerror or type(err).__name__}).") from None
    except (RuntimeError, ValueError, AttributeError, TypeError, pickle.UnpicklingError, EOFError):
        if strange:
            raise InvalidInput(
                f"{path.name}: a network of chemprop names classes of chemprop, lightning and torch alone. Found "
                f"{strange[0]!r}, which loading the file would run. Do not load it."
            ) from None
        raise InvalidInput(
            f"{path.name}: must be a network saved by chemprop 2. Found a file that torch cannot read safely. Save it "
            "again with a current chemprop 2."
        ) from None
    return content if isinstance(content, Mapping) else {}


def _stand_in(name: str) -> type:
    if name.endswith(".AttributeDict"):
        return dict
    return type(name.rpartition(".")[2], (_Inert,), {})


def _built(subject: str, options: Mapping[str, Any], *, scaled: bool) -> tuple[GraphNet, str]:
    """Build the network that the hyper-parameters describe, and tell what it predicts."""
    messages, agg, end = (options[part] for part in ("message_passing", "agg", "predictor"))
    kind, how = KNOWN.get(end["cls"].__name__), AGGREGATIONS.get(agg["cls"].__name__)
    strange = [
        text
        for text, wrong in {
            f"message passing by {messages['cls'].__name__}": messages["cls"].__name__ != "BondMessagePassing",
            f"atom and bond features of {messages['d_v']} and {messages['d_e']} numbers (another featuriser)": (
                (messages["d_v"], messages["d_e"]) != (ATOM, BOND)
            ),
            "extra atom descriptors": bool(messages["d_vd"]),
            "undirected messages": bool(messages["undirected"]),
            "scaled atom or bond features": not _idle(messages["graph_transform"]),
            "extra descriptors of molecules": end["input_dim"] != messages["d_h"],
            f"aggregation by {agg['cls'].__name__}": how is None,
            f"predictions by {end['cls'].__name__}": kind is None,
            "an activation other than ReLU": not (_relu(messages["activation"]) and _relu(end["activation"])),
        }.items()
        if wrong
    ]
    if strange or how is None or kind is None:
        end_name = end["cls"].__name__
        loss = {"MveFFN": "loss='gaussian'"}.get(end_name, "a loss of your own (outputs, targets)")
        more = f", {loss}" if kind is None and end_name != "SpectralFFN" else ""
        raise InvalidInput(
            f"{subject}: read are networks of chemprop 2 with its standard parts. Found {strange[0]}. Audit it with "
            f"leaq.audit(model, members, nonmembers{', loss=...' * bool(more)}), the model loaded and its loaders made "
            f"by chemprop{more}."
        )
    hidden = end["hidden_dim"]
    inner = [hidden] * end["n_layers"] if isinstance(hidden, int) else list(hidden)
    outputs = end["n_tasks"] * (end.get("n_classes") or 1 if kind == "classes" else 1)
    if kind == "classes" and end["n_tasks"] > 1:
        raise InvalidInput(
            f"{subject}: of several targets with classes each, one network is read for each. Found {outputs}."
        )
    network = GraphNet(
        DirectedMessages(messages["d_h"], messages["depth"], bias=messages["bias"]),
        (messages["d_h"], *inner, outputs),
        aggregation=how,
        unscale=scaled,
        norm=float(agg.get("norm") or 100.0),
        normalise=bool(options["batch_norm"]),
    )
    network.kind = kind
    return network, kind


def _relu(activation: Any) -> bool:
    """Tell whether an activation, named, an enumeration's value or a module, is ReLU."""
    if isinstance(activation, _Inert):
        return type(activation).__name__ == "ReLU" or "relu" in [str(value).lower() for value in activation.arguments]
    return str(activation).lower() == "relu"


def _idle(transform: Any) -> bool:
    """Tell whether a transformation of graphs changes nothing."""
    parts = vars(transform).get("_modules", {}) if isinstance(transform, _Inert) else {}
    return all(type(part).__name__ == "Identity" for part in parts.values())
