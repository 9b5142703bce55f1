"""A causal language model that stays in its GGUF file: each weight is decoded by every operation that needs it.

Names and what is done to a tensor are transformers' own rules, so that the numbers are those of its reader.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import StoreError, need
from leaq.models.calling import exchange
from leaq.models.causal_folder import refuse_lacking
from leaq.models.formats.gguf_file import GgufFile, GgufTensor, let_go, open_gguf
from leaq.models.later import Later

ONE_TO_ONE = {"TensorProcessor", "LlamaTensorProcessor", "NemotronTensorProcessor", "Gemma2TensorProcessor"}
"""Rules of transformers that make one parameter of one tensor; others merge or split the tensors of experts."""


def stays_in_gguf(path: Path) -> bool:
    """Whether a language model's weights can stay in its GGUF file: one tensor a parameter, of one file."""
    file = open_gguf(path)
    architecture = _rules(file)[1]
    return architecture is not None and architecture.__name__ in ONE_TO_ONE and not file.fields.get("split.count")


def open_causal_gguf(path: Path) -> nn.Module:
    """Return the model of a file that `stays_in_gguf`, its matrices in the file and all else in memory.

    Raises
    ------
    StoreError
        If the file lacks a parameter, or holds numbers of another shape or none.
    """
    transformers, accelerate = _library("transformers"), _library("accelerate")
    file = open_gguf(path)
    rules, kind = _rules(file)
    settings = rules.load_gguf_checkpoint(str(path), return_tensors=False)["config"]
    config = transformers.AutoConfig.from_pretrained(str(path.parent), gguf_file=path.name, trust_remote_code=False)
    with accelerate.init_empty_weights(include_buffers=False):
        model: nn.Module = transformers.AutoModelForCausalLM.from_config(
            config, dtype=torch.float32, trust_remote_code=False
        )
    rule = kind(config=settings)
    names = rules.get_gguf_hf_weights_map(model, rule)
    own = dict(model.named_parameters(remove_duplicate=False))
    for tensor in file.tensors:
        if (name := names.get(tensor.name)) in own:
            _fill(model, name, own[name].shape, _reader(tensor, rule))
    model.tie_weights()  # type: ignore[operator]
    refuse_lacking(path.name, [name for name, parameter in model.named_parameters() if parameter.is_meta])
    return model.eval()


def _library(name: str) -> Any:
    return need(name, extra="huggingface", purpose="Loading a language model")


def _rules(file: GgufFile) -> tuple[Any, Any]:
    """Return transformers' rules for GGUF files, and those of a file's architecture; None where it has none."""
    rules = _library("transformers.modeling_gguf_pytorch_utils")
    named = str(file.fields.get("general.architecture"))
    try:
        known = named in rules.GGUF_SUPPORTED_ARCHITECTURES
        return rules, rules.TENSOR_PROCESSORS.get(named, rules.TensorProcessor) if known else None
    except AttributeError:  # of another version: transformers reads the file itself then
        return rules, None


def _reader(tensor: GgufTensor, rule: Any) -> Callable[[], Tensor]:
    def read() -> Tensor:
        import gguf

        numbers = gguf.quants.dequantize(tensor.data, tensor.kind)
        let_go(tensor)
        made = rule.process(weights=numbers, name=tensor.name, tensor_key_mapping={}, parsed_parameters={"tensors": {}})
        return torch.from_numpy(np.require(made.weights, np.float32, ["C", "W"]))

    return read


def _fill(model: nn.Module, name: str, shape: torch.Size, read: Callable[[], Tensor]) -> None:
    value = read()
    if value.shape != shape:
        raise StoreError(
            f"{name} must have the shape {tuple(shape)} that the file's settings say. It holds {tuple(value.shape)}."
        )
    exchange(model, name, Later(tuple(shape), read) if value.ndim > 1 else value)
