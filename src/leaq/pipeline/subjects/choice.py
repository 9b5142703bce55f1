"""Which subject a configuration asks for."""

import hashlib
from pathlib import Path

from leaq.errors import InvalidInput
from leaq.models.nets import NETS, Net
from leaq.pipeline.cell import AuditConfig, FinishedModel
from leaq.pipeline.subjects.architecture import Architecture
from leaq.pipeline.subjects.artefact import Artefact
from leaq.pipeline.subjects.base import Subject
from leaq.pipeline.subjects.given import Given
from leaq.pipeline.subjects.heads import Heads
from leaq.pipeline.subjects.recipe import OwnTraining
from leaq.system.files import nearest, sha256_within
from leaq.system.usercode import code_of, user_function

__all__ = ["embedder_of", "origin_digest", "subject_of"]


def subject_of(config: AuditConfig, given: Given | None = None) -> Subject:
    """Return what gives the models of an audit: the perceptron, unless the user brings something.

    Raises
    ------
    InvalidInput
        If a function that is named cannot be had, or nothing says how shadow models of a released file are trained.
    """
    given = given or Given()
    _refuse_finished(config)
    if config.model and config.recipe:
        raise InvalidInput(
            "A network is trained by leaq (model) or by yourself (recipe). Found both. Name one of them."
        )
    if bool(config.released) != bool(config.members):
        raise InvalidInput(
            "A released file (released) needs the records that trained it (members), and they need it. Found one of "
            "the two. Name both."
        )
    released = given.released if given.released is not None else config.released or None
    trainer = _trainer(config, given, bare=released is not None)
    if released is None:
        return trainer
    if isinstance(trainer, Heads):
        raise InvalidInput(
            "A released file is attacked with shadow models trained as it was, so its training must be named. Found "
            "none. Name it with recipe (file.py:function of records and seed) or, for a network that leaq can train, "
            "with model."
        )
    if given.released is None and not (path := Path(config.released)).exists():
        raise InvalidInput(
            f"There is no released file {config.released!r}.{nearest(path)} Name an existing file of weights."
        )
    return Artefact(released, trainer)


def _refuse_finished(config: AuditConfig) -> None:
    """Refuse options of a finished model where models are trained: they would be passed over."""
    mine, usual = config.to_dict(), {name: item.default for name, item in FinishedModel.model_fields.items()}
    found = [name for name, value in usual.items() if mine[name] != (list(value) if value == () else value)]
    if found:
        raise InvalidInput(
            f"{', '.join(found)} {'belong' if len(found) > 1 else 'belongs'} to a finished model. Found the source "
            f"{config.source!r}, on which models are trained. Name the model as the source (a module, or a file such "
            "as m.onnx), or with released the file that was trained on records of this source; or leave out."
        )


def _trainer(config: AuditConfig, given: Given, *, bare: bool) -> Subject:
    make, train = given.model, given.recipe
    if make is None and config.model:
        make = _network(config.model) or user_function(config.model, what="model")
    if train is None and config.recipe:
        train = user_function(config.recipe, what="recipe")
    if train is not None:
        return OwnTraining(train, config.seed)
    if make is None:
        return Heads(config.training, config.seed)
    # A file that was trained elsewhere holds no scalers of ours, so its shadow models have none.
    training = config.training.model_copy(update={"standardise": "none"}) if bare else config.training
    return Architecture(make, training, config.seed)


def _network(model: str) -> Net | None:
    """Return one of leaq's own networks, None where a function is named."""
    return None if not model or ":" in model or model.endswith(".py") else NETS.build(model)


def embedder_of(config: AuditConfig, kind: str, given: Given | None = None) -> str:
    """Return what turns records into numbers: what is named, or what "auto" stands for.

    Parameters
    ----------
    kind : "smiles" or "table".

    Raises
    ------
    InvalidInput
        If a network of leaq's reads molecules, and the records are none.
    """
    net = _network(config.model) if given is None or given.model is None else None
    if net is not None and kind != "smiles":
        raise InvalidInput(f"{net.spec()} reads molecules. Found a table of numbers; name its SMILES column.")
    if config.embedder != "auto":
        return config.embedder
    if net is not None:
        return net.embedder
    return "ecfp4" if kind == "smiles" else "identity"


def origin_digest(config: AuditConfig) -> str:
    """Return a digest of the user's code and released file, so that neither is answered from an old result; or ""."""
    own = _network(config.model) is not None  # the configuration names all of it
    named = [code_of(spec) for spec in ("" if own else config.model, config.recipe) if spec]
    if config.model:
        named.append("no last batch of one record")  # results of networks trained otherwise are no answer
    if config.released:
        named += sha256_within(Path(config.released))
    return hashlib.sha256("".join(named).encode()).hexdigest()[:16] if named else ""
