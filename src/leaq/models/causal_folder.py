"""A causal language model that stays in its folder: each matrix is read by every operation that needs it."""

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from leaq.errors import LeaqError, StoreError, need, some
from leaq.models.formats.filling import filled_from
from leaq.models.formats.matching import fitting
from leaq.models.formats.reading import read_file
from leaq.models.roles import tensors_of


def empty_causal(folder: Path) -> nn.Module | None:
    """Return the model of a folder without its weights, if they can stay there: one tensor a parameter, as it is named.

    None where transformers has to make its parameters of them (codes, experts that it joins), or cannot tell its
    architecture.
    """
    if not (folder / "config.json").is_file() or not list(folder.glob("*.safetensors")):
        return None
    transformers, accelerate = (
        need(name, extra="huggingface", purpose="Loading a language model") for name in ("transformers", "accelerate")
    )
    try:
        if "quantization_config" in json.loads((folder / "config.json").read_text()):
            return None
        config = transformers.AutoConfig.from_pretrained(str(folder), trust_remote_code=False)
        with accelerate.init_empty_weights(include_buffers=False):
            model: nn.Module = transformers.AutoModelForCausalLM.from_config(
                config, dtype=torch.float32, trust_remote_code=False
            )
        model.tie_weights()  # type: ignore[operator]
        fitting(read_file(folder, model), model, subject=folder.name)
    except (LeaqError, OSError, ValueError, KeyError):  # what is wrong with it transformers says when it reads it
        return None
    return model


def open_causal_folder(folder: Path, model: nn.Module) -> nn.Module:
    """Return the model that `empty_causal` gave, its matrices in the folder's files and all else in memory.

    Raises
    ------
    StoreError
        If the folder lacks a parameter.
    """
    filled_from(read_file(folder, model), model, subject=folder.name, fresh=True, mapped=True)
    refuse_lacking(folder.name, [name for name, tensor, _ in tensors_of(model) if tensor.is_meta])
    return model.eval()


def refuse_lacking(name: str, lacking: Sequence[str]) -> None:
    """Refuse a file or folder that lacks weights of its language model."""
    if lacking:
        raise StoreError(
            f"{name!r} must hold every weight of the model. Missing: {some(lacking)}. Save the whole model, or merge "
            "the adapter first."
        )
