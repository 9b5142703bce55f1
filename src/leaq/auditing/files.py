"""A finished model and its records from files: what `leaq audit-model` does."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from leaq.auditing import audit_finished
from leaq.auditing.texts import told
from leaq.errors import InvalidInput, StoreError
from leaq.evaluation.losses import LOSSES
from leaq.models.boxes import open_box
from leaq.models.causal import Told, load_causal
from leaq.models.formats import describe_file, fill, read_file
from leaq.models.formats.gguf import is_language_gguf
from leaq.models.weights import architecture, load_into
from leaq.npz import read_npz
from leaq.results import CellResult
from leaq.types import Flag, Progress, silent
from leaq.usercode import user_function

__all__ = ["audit_files", "read_arrays", "read_texts"]


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
    model, held = (open_box(weights), "") if arch is None else _built(arch, weights)
    if model is None:
        raise InvalidInput(
            f"Weights alone do not say how they are used. {weights.name} holds {describe_file(weights)}. Name the "
            "function that builds the network with --arch module:function; it is imported from the current folder and "
            "run."
        )
    arrays = (read_arrays(members), read_arrays(nonmembers))
    result = audit_finished(model, *arrays, loss=_loss(loss), progress=progress, **options)
    return _dequantized(result, weights, held)


def _is_language_model(weights: Path, arch: str | None) -> bool:
    if arch is not None:
        return False
    return weights.is_dir() or (weights.suffix == ".gguf" and is_language_gguf(weights))


def _built(arch: str, weights: Path) -> tuple[nn.Module, str]:
    """Build the network and fill it with a file's weights; say in which form these were, if quantized."""
    module = architecture(arch)
    if any(tensor.is_meta for tensor in module.parameters()):
        return load_into(module, weights), ""
    reading = read_file(weights, module)
    filled = fill(reading.weights, module, subject=weights.name, kind=reading.kind, compare=False)
    return filled.module, f"weights as {', '.join(filled.forms)}" if filled.forms else ""


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
