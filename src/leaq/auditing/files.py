"""A finished model and its records from files."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from leaq.auditing import audit_finished
from leaq.auditing.texts import told
from leaq.cell import AuditConfig
from leaq.errors import InvalidInput, StoreError
from leaq.evaluation.losses import LOSSES
from leaq.models.boxes import open_box
from leaq.models.causal import Told, load_causal
from leaq.models.formats import describe_file, filled_from
from leaq.models.formats.gguf import is_language_gguf
from leaq.models.weights import architecture
from leaq.results import CellResult
from leaq.system.files import sha256_within
from leaq.system.npz import read_npz
from leaq.system.usercode import code_of, user_function
from leaq.types import Flag, Progress, silent

__all__ = ["audit_file", "audit_files", "files_digest", "read_arrays", "read_texts"]

OWN = ("quantizers", "seed", "level", "draws", "length", "n_train", "overlap", "neighbours")
"""Options of an audit that a finished model takes as they are."""
USED = frozenset({*OWN, "source", "members", "nonmembers", "model", "loss", "shipped", "reference", "threads"})
"""Options of an audit that mean something for a finished model."""


def audit_file(config: AuditConfig, *, progress: Progress = silent) -> CellResult:
    """Audit the finished model that a configuration names as its source.

    Raises
    ------
    InvalidInput
        If members or non-members are not named, or an option is that belongs to models which are trained.
    """
    _refuse_training(config)
    given = {name: getattr(config, name) for name in OWN}
    given["shipped"] = _shipped(config.shipped)
    given["reference"] = Path(config.reference) if config.reference else None
    found = audit_files(
        Path(config.source),
        Path(config.members),
        Path(config.nonmembers),
        arch=config.model or None,
        loss=config.loss,
        progress=progress,
        **given,
    )
    chosen = {"kind": "model", "loss": found.config.get("loss", config.loss)}
    used = {name: value for name, value in config.to_dict().items() if name in USED}
    data = {**found.data, "name": Path(config.source).stem}
    return replace(found, data=data, config={**used, **chosen})


def _refuse_training(config: AuditConfig) -> None:
    """Refuse what a finished model lacks, or cannot use."""
    missing = [name for name in ("members", "nonmembers") if not getattr(config, name)]
    if missing:
        raise InvalidInput(
            f"{Path(config.source).name} is a finished model, audited on members (records that trained it) and "
            f"nonmembers (records that did not). Missing: {' and '.join(missing)}. Name them; to train models on a "
            "table, name the table as the source."
        )
    plain, mine = AuditConfig(source=config.source).to_dict(), config.to_dict()
    unused = sorted(
        key
        for name, value in mine.items()
        if name not in USED and value != plain[name]
        for key in ([k for k in value if value[k] != plain[name][k]] if isinstance(value, dict) else [name])
    )
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


def files_digest(config: AuditConfig) -> str:
    """Return a digest of the files that an audit of a finished model reads."""
    places = [config.source, config.members, config.nonmembers, config.reference]
    places += [str(place) for place in _shipped(config.shipped).values()]
    digest = hashlib.sha256("".join(code_of(spec) for spec in (config.model, config.loss) if ":" in spec).encode())
    for place in filter(None, places):
        for found in sha256_within(Path(place)):
            digest.update(bytes.fromhex(found))
    return digest.hexdigest()


def audit_files(
    weights: Path,
    members: Path,
    nonmembers: Path,
    *,
    arch: str | None = None,
    progress: Progress = silent,
    **options: Any,
) -> CellResult:
    """Audit weights in a file (with `arch`), a program in a file, or a language model in a folder or GGUF file.

    Parameters
    ----------
    weights : a file of weights (safetensors, GGUF); one of a program (ONNX, TorchScript, exported, LiteRT, OpenVINO),
        which is run as it is; or a folder with a causal language model and its tokenizer.
    members, nonmembers : NPZ files with arrays x and y; for a language model text files with one text a line, or
        JSON lines with "text".
    arch : ``module:function`` that builds the network; imports and runs the user's code.
    options : those of `leaq.audit`; `loss` may also be ``module:function``, `shipped` maps names to files and
        `reference` is a folder.
    """
    if _is_language_model(weights, arch):
        model, tokenizer = load_causal(weights)
        reference = options.pop("reference", None)
        if reference is not None:
            options["reference"] = load_causal(reference)[0]
        texts = (read_texts(members), read_texts(nonmembers))
        result = audit_finished(model, *texts, tokenizer=tokenizer, progress=progress, **options)
        return _dequantized(result, weights, describe_file(weights) if weights.suffix == ".gguf" else "")
    options.pop("reference", None)
    loss = options.pop("loss", "auto")
    arrays = (read_arrays(members), read_arrays(nonmembers))
    model, held = (open_box(weights), "") if arch is None else _built(arch, weights, _about(*arrays, loss=loss))
    if model is None:
        raise InvalidInput(
            f"Weights alone do not say how they are used. {weights.name} holds {describe_file(weights)}. Name the "
            "function that builds the network with --model file.py:function; it is imported from the current folder "
            "and run."
        )
    result = audit_finished(model, *arrays, loss=_loss(loss), progress=progress, **options)
    return _dequantized(result, weights, held)


def _is_language_model(weights: Path, arch: str | None) -> bool:
    if arch is not None:
        return False
    return weights.is_dir() or (weights.suffix == ".gguf" and is_language_gguf(weights))


def _about(members: Mapping[str, Any], nonmembers: Mapping[str, Any], *, loss: str) -> dict[str, Any]:
    """Return what the records say about the network they belong to: widths, and what its outputs are."""
    shape, targets = members["x"].shape[1:], [np.asarray(part["y"]) for part in (members, nonmembers)]
    whole = all(y.ndim == 1 and y.size and bool(np.all(y == np.floor(y)) and y.min() >= 0) for y in targets)
    classes = whole and loss in ("auto", "cross_entropy", "binary")
    wide = targets[0].shape[1] if targets[0].ndim == 2 else 1
    return {
        "features": int(np.prod(shape)),
        "outputs": int(max(y.max() for y in targets)) + 1 if classes else wide,
        "task": "classification" if classes else "regression",
        "shape": tuple(shape),
    }


def _built(arch: str, weights: Path, about: Mapping[str, Any]) -> tuple[nn.Module, str]:
    """Build the network and fill it with a file's weights; say in which form these were, if quantized."""
    module, forms = filled_from(weights, architecture(arch, given=about))
    return module, f"weights as {', '.join(forms)}" if forms else ""


def _dequantized(result: CellResult, weights: Path, held: str) -> CellResult:
    """Say that what counts as full precision was quantized before, where it was."""
    if not held:
        return result
    text = (
        f"{weights.name} holds {held}, dequantized here without an original to compare with: its conventions are taken "
        "as it names them, and 'full precision' means what it holds."
    )
    return replace(result, flags=(*result.flags, Flag("already-quantized", text)))


def _loss(spec: str) -> Any:
    """Return a loss by name, or import the user's own."""
    if spec in LOSSES or ":" not in spec:
        return spec
    return user_function(spec, what="--loss")


def read_arrays(path: Path) -> Mapping[str, Any]:
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
    for x, y in (("x", "y"), ("X", "y"), ("inputs", "targets")):
        if x in arrays and y in arrays:
            return {"x": arrays[x], "y": arrays[y]}
    raise InvalidInput(f"{path.name}: must hold the arrays x and y. Found {', '.join(arrays) or 'none'}.")


def read_texts(path: Path) -> list[Told]:
    """Return the texts of a file: one a line, or the "text" (or "prompt" and "completion") of every JSON line."""
    try:
        text = path.read_text(encoding="utf-8-sig")  # universal newlines; other ends of lines belong to the texts
        lines = [line for line in text.split("\n") if line.strip()]
    except (OSError, UnicodeDecodeError) as err:
        raise StoreError(f"{path.name!r} must be a readable text file ({type(err).__name__}).") from None
    if path.suffix != ".jsonl":
        return list[Told](lines)
    try:
        found = [told(json.loads(line)) for line in lines]
    except ValueError:
        found = [None]
    if None in found:
        raise InvalidInput(
            f'{path.name}: every line must be JSON with "text", or with "prompt" and "completion". Found another.'
        )
    return [text for text in found if text is not None]
