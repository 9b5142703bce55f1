"""Quantized weights as a file: packed integer codes and scales in safetensors, read back bit for bit.

For each quantized parameter ``name`` the file holds ``name.codes`` (uint8, bits packed, or five ternary codes to a
byte) and one tensor per scale, ``name.scale`` and so on; every other parameter as it is released, and static ranges of
activations. The header's metadata name the quantizer of each parameter, so that a file explains itself. No pickle is
read or written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from fnmatch import fnmatch
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leaq.errors import InvalidInput, StoreError, some
from leaq.lazy import Tensor, torch
from leaq.models.weights import read_tensors
from leaq.quantizers.applying import Fitted, stacked
from leaq.quantizers.scheme import Scheme, trits_per_code
from leaq.results import Size
from leaq.types import Activations, Checkpoints, Role

if TYPE_CHECKING:
    from leaq.quantizers.calibration import Calibration

FORMAT = "leaq-packed-1"
RANGE = "activations."
"""In front of a weight's name: the range that its inputs are rounded in."""


def pack(
    checkpoints: Checkpoints, quantizer: Scheme, path: Path | str, *, calibration: Calibration | None = None
) -> Size:
    """Quantize, write packed codes and scales to `path`, and return what one model weighs.

    A quantizer that stops early is given the checkpoints of training, batch (s, c); any other the released weights. The
    bytes of the returned size are those of the file without its header, over the number of stacked models.

    Raises
    ------
    InvalidInput
        If the file's name does not say its format.
    StoreError
        If the file exists already.
    """
    from safetensors.torch import save_file

    path = Path(path)
    if path.suffix != ".safetensors":
        raise InvalidInput(f"{path.name}: a packed file must end in .safetensors, which is its format. Rename it.")
    if path.exists():
        raise StoreError(f"{path.name}: the file must not exist yet. Found one. Choose another name, or remove it.")
    if quantizer.earlier:
        checkpoints = quantizer.recorded(checkpoints).last()
    fitted = quantizer.fitted_to(checkpoints, calibration)
    tensors, described = _packed(checkpoints, fitted)
    rounding = fitted.rounding
    tensors |= {RANGE + name: tensor.contiguous() for name, tensor in (rounding.ranges if rounding else {}).items()}
    metadata = {
        "format": FORMAT,
        "quantizer": quantizer.spec(),
        "batch": json.dumps(checkpoints.batch),
        "roles": json.dumps(dict(checkpoints.roles)),
        "activations": json.dumps(_told(rounding)),
        "quantized": json.dumps(described),
    }
    save_file(tensors, str(path), metadata=metadata)
    return fitted.size(checkpoints)


def _packed(checkpoints: Checkpoints, fitted: Fitted) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the file's tensors, and what each quantized parameter is."""
    released, plan = fitted(checkpoints), fitted.scheme.plan(checkpoints)
    tensors: dict[str, Tensor] = {}
    described: dict[str, Any] = {}
    for name, (codes, scales) in fitted.codes(checkpoints).items():
        exact = stacked(checkpoints, name)
        decoded = plan[name].dequantize(codes, scales).to(exact.dtype)
        if not torch.equal(decoded, stacked(released, name)):
            raise StoreError(
                f"{plan[name].spec()}: codes and scales of {name!r} must give the released weights. They do not: the "
                "scheme's encode and decode disagree with what it releases."
            )
        rule = plan[name]
        tensors[f"{name}.codes"] = pack_codes(codes.flatten(1), rule)
        kept = rule.in_file(scales)
        tensors |= {f"{name}.{key}": value.contiguous() for key, value in kept.items()}
        described[name] = {
            "quantizer": rule.spec(),
            "shape": list(exact.shape[1:]),
            "dtype": str(exact.dtype).removeprefix("torch."),
            "scales": sorted(kept),
        }
    rest = {name: tensor.contiguous() for name, tensor in released.params.items() if name not in described}
    return tensors | rest, described


def unpack(path: Path | str) -> tuple[Checkpoints, str]:
    """Read a packed file: the released weights, bit for bit, and the quantizer's specification."""
    from leaq.quantizers.registry import build

    tensors, metadata = read_tensors(path)
    if metadata.get("format") != FORMAT:
        raise StoreError(
            f"{Path(path).name}: must be a packed file of format {FORMAT}. Found {metadata.get('format', 'none')!r}. "
            "Weights that are not packed are read with read_weights."
        )
    batch = tuple(json.loads(metadata["batch"]))
    roles: dict[str, Role] = json.loads(metadata["roles"])
    params = {name: tensors[name] for name in roles if name in tensors}
    for name, item in packed_with(metadata).items():
        rule = build(item["quantizer"])
        shape, models = item["shape"], prod(batch)
        codes = unpack_codes(tensors[f"{name}.codes"], rule, prod(shape)).reshape(models, *shape)
        scales = {key: tensors[f"{name}.{key}"] for key in item["scales"]}
        params[name] = rule.dequantize(codes, scales).to(getattr(torch, item["dtype"])).reshape(*batch, *shape)
    return Checkpoints(
        {name: params[name] for name in roles}, roles, batch, activations=_read_activations(metadata, tensors, batch)
    ), metadata["quantizer"]


def packed_with(metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return what each quantized parameter of a packed file is: its quantizer, shape, type and the names of scales."""
    found: dict[str, Any] = json.loads(metadata["quantized"])
    return found


def _told(how: Activations | None) -> dict[str, Any] | None:
    if how is None:
        return None
    return {"bits": how.bits, "zero_point": how.zero_point, "ranges": list(how.ranges)}


def _read_activations(
    metadata: Mapping[str, str], tensors: Mapping[str, Tensor], batch: tuple[int, ...]
) -> Activations | None:
    if "activations" not in metadata:  # what version 0.1 wrote
        bits = json.loads(metadata["activation_bits"])
        return None if bits is None else Activations(bits)
    told = json.loads(metadata["activations"])
    if told is None:
        return None
    ranges = {name: tensors[RANGE + name].reshape(*batch, 2) for name in told["ranges"]}
    return Activations(told["bits"], told["zero_point"], ranges)


def pack_codes(codes: Tensor, rule: Scheme) -> Tensor:
    """Pack integer codes (b, count) into bytes (b, `rule.code_bytes(count)`), low bits first.

    Examples
    --------
    >>> from leaq.quantizers import Uniform
    >>> pack_codes(torch.tensor([[1, 2, 3]]), Uniform(bits=4)).tolist()
    [[33, 3]]
    """
    values = codes.cpu().numpy().astype(np.uint32)
    if rule.code_bits == trits_per_code():
        padded = np.pad(values, ((0, 0), (0, -values.shape[1] % 5))).reshape(len(values), -1, 5)
        return torch.from_numpy((padded @ 3 ** np.arange(5)).astype(np.uint8))
    bits = int(rule.code_bits)
    spread = (values[..., None] >> np.arange(bits, dtype=np.uint32)) & 1  # (b, count, bits)
    packed = np.packbits(spread.reshape(len(values), -1).astype(np.uint8), axis=1, bitorder="little")
    return torch.from_numpy(packed)


def unpack_codes(packed: Tensor, rule: Scheme, count: int) -> Tensor:
    """Undo `pack_codes`: bytes (b, ...) -> codes (b, count), uint8 or int32."""
    raw = packed.cpu().numpy()
    if rule.code_bits == trits_per_code():
        digits = raw[..., None].astype(np.int64) // 3 ** np.arange(5) % 3
        return torch.from_numpy(digits.reshape(len(raw), -1)[:, :count].astype(np.uint8))
    bits = int(rule.code_bits)
    spread = np.unpackbits(raw, axis=1, bitorder="little")[:, : count * bits].reshape(len(raw), count, bits)
    codes = (spread.astype(np.int64) << np.arange(bits)).sum(-1)
    return torch.from_numpy(codes.astype(np.uint8 if bits <= 8 else np.int32))


def read_weights(path: Path | str, *, keep: Iterable[str] = (), embeddings: Iterable[str] = ()) -> Checkpoints:
    """Read the weights of one model from a safetensors file; which of them are quantizable follows from their shape.

    Two axes make a linear weight, three a 1-d and four a 2-d convolution; a vector is a bias or a norm parameter.
    Half precision is read as float32, so that every quantizer starts from the same numbers.

    Parameters
    ----------
    keep : patterns (as of file names) of parameters to leave in full precision, whatever their shape.
    embeddings : patterns of weights that are looked up, not multiplied with.

    Raises
    ------
    InvalidInput
        If the file is a pickle (which could run code when read), or a pattern matches nothing.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    if metadata.get("format") == FORMAT:
        raise InvalidInput(f"{path.name}: is packed already with {metadata['quantizer']}. Give the original weights.")
    roles = {name: _role(name, tensor, keep, embeddings) for name, tensor in tensors.items()}
    for pattern in (*keep, *embeddings):
        if not any(fnmatch(name, pattern) for name in tensors):
            raise InvalidInput(f"{path.name}: no parameter matches {pattern!r}. Found {some(list(tensors), 8)}.")
    params = {name: t.float() if t.dtype in (torch.float16, torch.bfloat16) else t for name, t in tensors.items()}
    return Checkpoints(params, roles, ())


def _role(name: str, tensor: Tensor, keep: Iterable[str], embeddings: Iterable[str]) -> Role:
    if not tensor.is_floating_point() or any(fnmatch(name, pattern) for pattern in keep):
        return "other"
    if any(fnmatch(name, pattern) for pattern in embeddings):
        return "embedding"
    by_axes: dict[int, Role] = {2: "linear", 3: "conv1d", 4: "conv2d"}
    return by_axes.get(tensor.ndim, "bias" if name.endswith("bias") else "other")
