"""Which subject a configuration asks for."""

import hashlib
from functools import cache
from operator import attrgetter
from pathlib import Path

from leaq.config import modules_in
from leaq.errors import InvalidInput
from leaq.pipeline.cell import AuditConfig, FinishedModel, Origin
from leaq.pipeline.subjects.architecture import network_named
from leaq.pipeline.subjects.base import Kind, Subject
from leaq.pipeline.subjects.given import Given
from leaq.system.files import sha256_within
from leaq.system.usercode import code_of, is_code

ORIGINS = tuple(Origin.model_fields)
"""Options that say where models come from."""


@cache
def _kinds() -> tuple[Kind, ...]:
    found = [module.SUBJECT for module in modules_in("leaq.pipeline.subjects") if hasattr(module, "SUBJECT")]
    return tuple(sorted(found, key=attrgetter("place")))


def subject_of(config: AuditConfig, given: Given | None = None) -> Subject:
    """Return what gives the models of an audit: the perceptron, unless the user brings something.

    Raises
    ------
    InvalidInput
        If a function that is named cannot be had, or nothing says how shadow models of a released file are trained.
    """
    _refuse_finished(config)
    if config.model and config.recipe:
        raise InvalidInput(
            "A network is trained by leaq (model) or by yourself (recipe). Found both. Name one of them."
        )
    given = given or Given()
    named = {one for one in ORIGINS if getattr(config, one) or getattr(given, one) is not None}
    kinds = (kind for kind in _kinds() if not kind.options or named.intersection(kind.options))
    return next(found for kind in kinds if (found := kind.asked(config, given)) is not None)


def _refuse_finished(config: AuditConfig) -> None:
    """Refuse options of a finished model where models are trained: they would be passed over."""
    found = [name for name in config.named if name in FinishedModel.model_fields]
    if found:
        raise InvalidInput(
            f"{', '.join(found)} {'belong' if len(found) > 1 else 'belongs'} to a finished model. Found the source "
            f"{config.source!r}, on which models are trained. Name the model as the source (a module, or a file such "
            "as m.onnx), or with released the file that was trained on records of this source; or leave out."
        )


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
    net = network_named(config.model) if config.model and (given is None or given.model is None) else None
    if net is not None and kind != "smiles":
        raise InvalidInput(f"{net.spec()} reads molecules. Found a table of numbers; name its SMILES column.")
    if config.embedder != "auto":
        return config.embedder
    if net is not None:
        return net.embedder
    return "ecfp4" if kind == "smiles" else "identity"


def origin_digest(config: AuditConfig) -> str:
    """Return a digest of the user's code and released file, so that neither is answered from an old result; or ""."""
    # Of what goes by a name, the configuration says all but the content of pretrained weights.
    named = [code_of(spec) for spec in (config.model, config.recipe) if is_code(spec)]
    net = network_named(config.model)
    named += [net.contents()] if net is not None else []
    if config.model:
        named.append("no last batch of one record")  # results of networks trained otherwise are no answer
    if net is not None and net.one_logit:
        named.append("one logit of two classes")
    if config.released:
        named += sha256_within(Path(config.released))
    return hashlib.sha256("".join(named).encode()).hexdigest()[:16] if named else ""
