"""A finished model and its records from files."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from leaq.data.columns import settle
from leaq.data.memory import no_records
from leaq.data.readers import read_table
from leaq.data.texts import read_texts
from leaq.errors import InvalidInput, LeaqError, StoreError, UnsupportedModel, listed_names, reason_of
from leaq.models import unwrap
from leaq.models.boxes import box_of, open_box, program_bytes
from leaq.models.causal import load_causal
from leaq.models.formats import bytes_in_memory, describe_file, filled_from
from leaq.models.formats.containers.gguf import is_language_gguf
from leaq.models.nets.chemprop import chemprop_files
from leaq.models.sklearn import Converted, from_sklearn, is_sklearn
from leaq.pipeline.cell import AuditConfig, FinishedModel
from leaq.pipeline.finished.case import Case
from leaq.pipeline.finished.chemprop import MOLECULES, open_chemprop, who_trained
from leaq.pipeline.finished.looking import (
    empty_network,
    fills_memory,
    is_large,
    network_of,
    refuse_large_folder,
    stays_in_file,
)
from leaq.pipeline.finished.modules import refuse_unseen
from leaq.pipeline.finished.records import Records, pair_of, read_records
from leaq.pipeline.subjects import Given
from leaq.quantizers import Identity
from leaq.quantizers.files.opening import open_file
from leaq.system.checksummed import read_npz
from leaq.system.files import sha256_within
from leaq.system.memory import give_back_memory, large_blocks_returned
from leaq.system.usercode import code_of, user_function
from leaq.training.batched import device_for
from leaq.training.recording import read_recording
from leaq.types import Checkpoints, Flag

SHOWN = 6
"""Numbers or columns of a record that are shown."""
USED = frozenset(
    {"source", "members", "model", "target", "ignore", "quantizers", "seed", "level", "draws", "threads", "device"}
    | set(FinishedModel.model_fields)
    | MOLECULES
)
"""Options of an audit that mean something for a finished model."""


def case_of(config: AuditConfig, given: Given) -> Case:
    """Return the finished model that a configuration names, or that is in memory, with its records.

    Raises
    ------
    InvalidInput
        If members or non-members are not named, an option is that belongs to models which are trained, or a file of
        weights does not say how they are used.
    UnsupportedModel
        If what is given is no model.
    """
    place = None if given.finished else Path(config.source)
    saved = chemprop_files(place) if place is not None else []
    _refuse_training(config, given, saved)
    builder = given.model or config.model
    alone = None if builder or saved else place
    language = given.tokenizer is not None or (alone is not None and _is_language_model(alone))
    named = {"members": given.members, "nonmembers": given.nonmembers}
    held = {name: data if data is not None else _read(config, name, language) for name, data in named.items()}
    loss = given.loss or (user_function(config.loss, what="--loss") if ":" in config.loss else config.loss)
    shipped = given.shipped if given.shipped is not None else _shipped(config.shipped)
    if language:
        opened = _language_model(place, given, config, held)
    elif given.reference is not None or config.reference:
        raise InvalidInput("reference belongs to a language model. Found another. Leave it out.")
    else:
        opened = open_chemprop(saved, config, held) if saved else _opened(place or given.data, builder, config, held)
    found = replace(opened, shipped=shipped, calibration=given.calibration)
    found = replace(found, checkpoints=_recorded(config, given, found.model))
    return replace(found, model=_placed(found.model, config), loss=loss if found.loss == "auto" else found.loss)


def _placed(model: Any, config: AuditConfig) -> Any:
    """Return a model on the GPU where one is asked for; otherwise it stays where it lies.

    Raises
    ------
    InvalidInput
        If there is no GPU that torch can use.
    """
    there = device_for(config.training)
    return model.to(there) if there.type == "cuda" and isinstance(model, nn.Module) else model


def _recorded(config: AuditConfig, given: Given, model: Any) -> Checkpoints | None:
    """Return the checkpoints of the model's training, from memory or a recorder's folder; None where there are none."""
    if given.checkpoints is not None or not config.recorded:
        return given.checkpoints
    refuse_unseen(unwrap(model))
    return read_recording(config.recorded, model)


def _language_model(place: Path | None, given: Given, config: AuditConfig, held: Mapping[str, Any]) -> Case:
    """Open a language model, and the one that calibrates the attack where there is one."""
    if place is not None and is_large(place):
        refuse_large_folder(place, rows=_rows(config))
    model, tokenizer = (given.data, None) if place is None else load_causal(place, in_file=fills_memory(place))
    give_back_memory()
    flags = _dequantized(place, describe_file(place) if place and place.suffix == ".gguf" else "")
    other = given.reference or config.reference or None
    if isinstance(other, str | Path):
        other = _placed(load_causal(other, in_file=Path(other).exists() and fills_memory(Path(other)))[0], config)
    tokenizer = given.tokenizer or tokenizer
    return Case(config, model, **held, tokenizer=tokenizer, reference=other, flags=flags, lent=place is not None)


def _opened(model: Any, builder: Any, config: AuditConfig, held: Mapping[str, Any]) -> Case:
    """Open whatever is no language model: a module, an estimator, a program, a file of weights, a function."""
    if is_sklearn(model):
        converted = from_sklearn(model)
        pairs = {name: pair_of(data, name, config.columns, config.target) for name, data in held.items()}
        pairs = {name: _given_to(converted, pair, name) for name, pair in pairs.items()}
        return Case(config, converted.module, **_records(config, pairs))
    read = _records(config, held)
    if isinstance(model, Path):
        return _of_file(model, builder, config, read)
    module = model if isinstance(model, nn.Module) else box_of(model)
    if module is None:
        raise UnsupportedModel(
            "A finished model must be a torch module, a scikit-learn estimator with weights, or something that can "
            f"be called. Found {type(model).__name__}. To train models on a table, name the data set or the file."
        )
    return Case(config, module, **read)


def _given_to(converted: Converted, pair: Any, name: str) -> Any:
    """Return records as a scikit-learn estimator's network takes them; what scikit-learn raises is said in a line."""
    try:
        return converted.records(pair, name)
    except LeaqError:
        raise
    except Exception as err:
        raise InvalidInput(
            f"{name}: the estimator must run on the records given. It raised {reason_of(err).rstrip('.')}. "
            "Give them as for fit."
        ) from err


def _records(config: AuditConfig, held: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: read_records(data, name=name, columns=config.columns, target=config.target) for name, data in held.items()
    }


def _of_file(path: Path, builder: Any, config: AuditConfig, read: Mapping[str, Any]) -> Case:
    """Open a program, or build the network of a file of weights and fill it with them."""
    if not builder:
        program = None if path.is_dir() else open_box(path)
        if program is None:
            raise _bare(path)
        return Case(config, program, **read)
    about, mapped = _about(**read, loss=config.loss), False
    network = empty_network(builder, about) if is_large(path) else None
    if network is not None:
        mapped = stays_in_file(path, network, rows=_rows(config))
    fresh = network is not None or not callable(builder)
    network = network or network_of(builder, about)
    with large_blocks_returned(mapped):
        module, stored = filled_from(open_file(path, network), network, subject=path.name, fresh=fresh, mapped=mapped)
    forms = ", ".join(dict.fromkeys(stored.values()))
    flags = _dequantized(path, f"weights as {forms}" if forms else "")
    return Case(config, module, **read, flags=flags, lent=True)


def _bare(path: Path) -> InvalidInput:
    return InvalidInput(
        f"Weights alone do not say how they are used. {path.name} holds {describe_file(path)}. Name the function that "
        "builds the network with --model file.py:function (its code is run), or in Python with model=."
    )


def _read(config: AuditConfig, name: str, language: bool) -> Any:
    """Return records of a file: texts, an NPZ's arrays, or a table without the columns to ignore."""
    path = Path(getattr(config, name))
    if language:
        return read_texts(path)
    if path.suffix.lower() == ".npz" or not path.suffix:
        return read_records_file(path)
    frame = settle(read_table(path).frame).frame  # numbers of any dialect
    return frame[[column for column in frame.columns if column not in config.ignore]]


def told_of(config: Mapping[str, Any], rows: Sequence[int]) -> list[str]:
    """Return what the file of members holds in some rows, counted from 0, each in a line; none if it is no file."""
    made = AuditConfig.from_dict({name: value for name, value in config.items() if name in USED})
    if not Path(made.members).is_file():
        return []
    data = _read(made, "members", language=False)
    if isinstance(data, Mapping):
        inputs, targets = np.asarray(data["x"]), np.asarray(data["y"])
        return [f"y={targets[row]}: {', '.join(f'{one:.4g}' for one in inputs[row].ravel()[:SHOWN])}" for row in rows]
    names = sorted(data.columns, key=lambda name: name != made.target)[:SHOWN]
    return [", ".join(f"{name}={data[name].iloc[row]}" for name in names) for row in rows]


def _refuse_training(config: AuditConfig, given: Given, saved: Sequence[Path]) -> None:
    """Refuse what a finished model lacks, or cannot use; `saved` are the files of a network that chemprop saved."""
    missing = [name for name in ("members", "nonmembers") if not getattr(config, name)]
    if missing and saved:
        raise who_trained(config.source, saved, missing)
    if saved and config.model:
        name = Path(config.source).name
        raise InvalidInput(f"{name} says itself which network it holds. Found model={config.model!r}. Leave it out.")
    if missing and config.target and isinstance(given.data, Mapping | list | tuple | np.ndarray):
        raise no_records(given.data)
    if missing:
        whose = config.source if given.finished else Path(config.source).name
        raise InvalidInput(
            f"A finished model ({whose}) is audited on members (records that trained it) and nonmembers (records that "
            f"did not). Missing: {listed_names(missing)}. Name them; to train models on a table, name the table as the "
            "source, in Python a data frame or a pair (X, y)."
        )
    used = USED if saved else USED - MOLECULES
    unused = sorted(name for name in config.named if name not in used)
    if unused:
        raise InvalidInput(
            f"Of a finished model nothing is trained, so {', '.join(unused)} {'have' if len(unused) > 1 else 'has'} no "
            "meaning here. Leave out, or name the table it was trained on as the source and the model with released "
            "and recipe."
        )


def _shipped(given: Sequence[str]) -> dict[str, Path]:
    pairs = [item.partition("=") for item in given]
    bad = [item for item, (name, _, place) in zip(given, pairs, strict=True) if not (name and place)]
    if bad:
        raise InvalidInput(f"shipped must read name=file. Found {bad[0]!r}.")
    return {name: Path(place) for name, _, place in pairs}


def places_of(config: AuditConfig) -> list[str]:
    """Return the files and folders that an audit of a finished model reads."""
    shipped = [str(place) for place in _shipped(config.shipped).values()]
    named = (config.source, config.members, config.nonmembers, config.recorded, config.reference)
    return [place for place in (*named, *shipped) if place]


def files_digest(config: AuditConfig) -> str:
    """Return a digest of the files that an audit of a finished model reads, once large ones were looked at."""
    _look_first(config)
    digest = hashlib.sha256("".join(code_of(spec) for spec in (config.model, config.loss) if ":" in spec).encode())
    for place in places_of(config):
        for found in sha256_within(Path(place)):
            digest.update(bytes.fromhex(found))
    return digest.hexdigest()


def _look_first(config: AuditConfig) -> None:
    """Refuse what an audit of large files would refuse, before they are hashed."""
    if not is_large(*places_of(config)):
        return
    path = Path(config.source)
    saved = chemprop_files(path)
    _refuse_training(config, Given(), saved)
    language = not (config.model or saved) and _is_language_model(path)
    for place in (*([] if saved else [path]), *_shipped(config.shipped).values()):
        if place.is_dir() or not program_bytes(place):  # missing, damaged or pickled, as far as its header says
            bytes_in_memory(place)
    if not (language or config.model or saved or program_bytes(path)):
        raise _bare(path)
    read = {name: _read(config, name, language) for name in ("members", "nonmembers")}
    if language:
        for model in (path, config.reference or path):
            refuse_large_folder(model, rows=_rows(config))
    elif config.model:
        about = _about(**_records(config, read), loss=config.loss)
        if is_large(path) and (network := empty_network(config.model, about)) is not None:
            stays_in_file(path, network, rows=_rows(config))


def _rows(config: AuditConfig) -> int:
    """Return how many quantizers an audit has beside full precision."""
    return sum(not isinstance(one, Identity) for one in config.schemes)


def _is_language_model(weights: Path) -> bool:
    return weights.is_dir() or (weights.suffix == ".gguf" and is_language_gguf(weights))


def _about(members: Records, nonmembers: Records, *, loss: str) -> dict[str, Any]:
    """Return what the records say about the network they belong to: widths, and what its outputs are."""
    inputs, targets = members.batches[0].inputs, [members.targets, nonmembers.targets]
    shape = tuple(inputs.shape[1:]) if isinstance(inputs, torch.Tensor) else ()
    whole = all(y.ndim == 1 and y.size and bool(np.all(y == np.floor(y)) and y.min() >= 0) for y in targets)
    classes = whole and loss in ("auto", "cross_entropy", "binary")
    wide = targets[0].shape[1] if targets[0].ndim == 2 else 1
    return {
        "features": int(np.prod(shape)),
        "outputs": int(max(y.max() for y in targets)) + 1 if classes else wide,
        "task": "multitask" if wide > 1 else "classification" if classes else "regression",
        "shape": shape,
    }


def _dequantized(weights: Path | None, held: str) -> tuple[Flag, ...]:
    """Say that what counts as full precision was quantized before, where it was."""
    if weights is None or not held:
        return ()
    text = (
        f"{weights.name} holds {held}, dequantized here without an original to compare with: its conventions are taken "
        "as it names them, and 'full precision' means what it holds."
    )
    return (Flag("already-quantized", text),)


def read_records_file(path: Path) -> Mapping[str, Any]:
    """Return the arrays x and y of an NPZ file.

    Raises
    ------
    StoreError
        If there is no such file, or it is no NPZ file.
    InvalidInput
        If it holds no x and y, or Python objects, which only pickle can read.
    """
    try:
        with path.open("rb"):
            pass
    except OSError as err:
        raise StoreError(f"{path.name!r} cannot be read ({err.strerror or type(err).__name__}).") from None
    arrays = read_npz(path, name=path.name)
    for x, y in (("x", "y"), ("X", "y"), ("X", "Y"), ("inputs", "targets")):
        if x in arrays and y in arrays:
            return {"x": arrays[x], "y": arrays[y]}
    raise InvalidInput(f"{path.name}: must hold the arrays x and y. Found {', '.join(arrays) or 'none'}.")
