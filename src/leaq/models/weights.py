"""Weights from files, into an architecture: safetensors only, and only if names and shapes match."""

import json
import zipfile
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, LeaqError, StoreError, some
from leaq.models.roles import shared_names, tensors_of
from leaq.system.files import no_file, refuse_stand_in
from leaq.system.usercode import accepted, raised, user_function

TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn, "F8_E5M2": torch.float8_e5m2, "F8_E8M0": torch.float8_e8m0fnu,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
    "U64": torch.uint64, "U32": torch.uint32, "U16": torch.uint16, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
"""Types of a safetensors file by their names in its header."""
NARROW = frozenset({"F16", "BF16", "F8_E4M3", "F8_E5M2"})
"""Those whose numbers are widened to 32 bits."""
PICKLED = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib"})

OTHERS = {b"\x89HDF": "an HDF5 file, as Keras writes", b"\x93NUMPY": "a NumPy array"}
"""Files of numbers that are no safetensors, by how they begin."""


class OpenWeights:
    """The tensors of a safetensors file: named and sized by its header, read one by one when they are asked for.

    Attributes
    ----------
    bytes : what all tensors take.
    metadata : the words in the file's header.
    shapes : of all tensors, by name.
    wide : what they take with fractions in 32 bits at least.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self._path = path
        try:
            with safe_open(path, framework="np") as checked:  # holds every place against the bytes that are there
                self.metadata: dict[str, str] = checked.metadata() or {}
        except SafetensorError as err:
            raise StoreError(f"{path.name}: this is no readable safetensors file ({err}). Save it again.") from None
        with path.open("rb") as handle:  # the format: length of the header, header, tensors
            length = int.from_bytes(handle.read(8), "little")
            header: dict[str, Any] = json.loads(handle.read(length))
        header.pop("__metadata__", None)
        self._start = 8 + length
        self._header = header
        self.bytes = path.stat().st_size - self._start
        self.shapes = {name: tuple(one["shape"]) for name, one in header.items()}
        self.wide = sum(
            prod(one["shape"]) * 4 if one["dtype"] in NARROW else one["data_offsets"][1] - one["data_offsets"][0]
            for one in header.values()
        )

    def keys(self) -> list[str]:
        """Return the names."""
        return list(self._header)

    def get(self, name: str) -> Tensor:
        """Read one tensor; nothing else of the file is then in memory."""
        kind, first, last = self._place(name)
        raw = torch.empty(last - first, dtype=torch.uint8)
        with self._path.open("rb", buffering=0) as handle:
            handle.seek(self._start + first)
            view, done = raw.numpy().data, 0
            while done < len(view) and (more := handle.readinto(view[done:])):
                done += more
        if done < len(raw):
            raise StoreError(f"{self._path.name}: {name!r} cannot be read (the file ends early). Save it again.")
        return raw.view(kind).reshape(self.shapes[name])

    def mapped(self, name: str) -> Tensor | None:
        """Return a tensor of 32-bit numbers that stays in the file, whose pages are read as they are used.

        Writing it changes memory alone. None for other types, which have to be read to be 32-bit numbers.
        """
        kind, first, last = self._place(name)
        if kind != torch.float32 or first == last or (self._start + first) % 4:
            return None
        place = np.memmap(self._path, "<f4", mode="c", offset=self._start + first, shape=self.shapes[name])
        return torch.from_numpy(place)

    def _place(self, name: str) -> tuple[torch.dtype, int, int]:
        one = self._header[name]
        if (kind := TYPES.get(one["dtype"])) is None:
            raise StoreError(
                f"{self._path.name}: {name!r} must be of a type that is read ({', '.join(TYPES)}). Found "
                f"{one['dtype']!s:.40}. Give the running model instead."
            )
        return kind, *one["data_offsets"]


def open_weights(path: str | Path) -> OpenWeights:
    """Open a safetensors file; its tensors are read when they are asked for.

    Raises
    ------
    InvalidInput
        If the file is missing; for pickled files, by name or by content: opening one can run any code.
    StoreError
        If it is no safetensors file.
    """
    path = Path(path)
    if not path.is_file():
        raise no_file(path, "weights file", "Name an existing file of weights.")
    refuse_stand_in(path)
    with path.open("rb") as handle:
        head = handle.read(9)
    # A safetensors file begins with the length of its header, which may look like anything, and the header's "{".
    looks = head[:4] == b"PK\x03\x04" or head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    other = next((what for mark, what in OTHERS.items() if head.startswith(mark)), "")
    if other or (head.startswith(b"PK") and _holds_arrays(path)):
        raise InvalidInput(
            f"{path.name}: weights must be a safetensors file. Found {other or 'an archive of NumPy arrays'}. Save "
            "them with safetensors.numpy.save_file({name: array, ...}, 'weights.safetensors')."
        )
    if path.suffix.lower() in PICKLED or (looks and head[8:] != b"{"):
        raise InvalidInput(
            f"{path.name}: weights must be a safetensors file. Found a pickled one, and opening it can run any code "
            "that its author put there. Where you trust the author, convert it once: "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors'); of a checkpoint "
            "take its 'state_dict' or 'model_state_dict', of a whole model model.state_dict()."
        )
    return OpenWeights(path)


def _holds_arrays(path: Path) -> bool:
    """Whether a file is an NPZ archive; torch's own are archives too."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    return bool(names) and all(name.endswith(".npy") for name in names)


def read_tensors(path: str | Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file, all at once, and the metadata in its header; see `open_weights`."""
    opened = open_weights(path)
    return {name: opened.get(name) for name in opened.keys()}, opened.metadata  # noqa: SIM118 - no mapping


def architecture(spec: str, *, given: Mapping[str, Any] | None = None, folder: Path | None = None) -> nn.Module:
    """Return the torch module that ``nets.py:make`` or ``nets:make`` builds. This runs the user's code.

    Parameters
    ----------
    given : arguments it may take, each if it names it: features, outputs, task, shape.
    folder : where files and modules are looked for first; the current folder by default.
    """
    return built(user_function(spec, what="An architecture", folder=folder), given or {}, subject=f"{spec!r}: the")


def built(make: Callable[..., Any], given: Mapping[str, Any], *, subject: str = "The") -> nn.Module:
    """Return the torch module that a function of the user's builds.

    Parameters
    ----------
    given : arguments it may take, each if it names it: features, outputs, task, shape.
    subject : the beginning of messages.

    Raises
    ------
    InvalidInput
        If it fails, or returns no torch module.
    """
    if isinstance(make, nn.Module):
        raise InvalidInput(
            f"{subject} network must be named by the function or class that builds it, for every model anew. Found a "
            f"{type(make).__name__} that was built already."
        )
    try:
        module = make(**accepted(make, dict(given)))
    except LeaqError:
        raise
    except Exception as err:  # whatever the user's code raises
        raise InvalidInput(
            f"{subject} network could not be built ({raised(err, make)}). The function may take features, outputs, "
            "task and shape, and nothing else that has no default."
        ) from err
    if not isinstance(module, nn.Module):
        raise InvalidInput(f"{subject} function must return a torch.nn.Module. Found {type(module).__name__}.")
    return module


def check_match(module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Refuse a released model's weights of another architecture, naming the first differences."""
    expected = {name: tuple(tensor.shape) for name, tensor, _ in tensors_of(module)}
    tied = shared_names(module)
    counters = {name for name, tensor in module.named_buffers() if not tensor.is_floating_point()}
    missing = [name for name in expected if name not in weights]
    surplus = [name for name in weights if name not in expected and name not in tied and name not in counters]
    shapes = [
        f"{name} is {tuple(weights[name].shape)}, not {shape}"
        for name, shape in expected.items()
        if name in weights and tuple(weights[name].shape) != shape
    ]
    problems = [
        f"{word}: {some(names)}"
        for word, names in (("missing", missing), ("unexpected", surplus), ("shapes", shapes))
        if names
    ]
    if problems:
        raise InvalidInput(
            "The released model's weights must belong to the same architecture as the model. Found "
            f"{'; '.join(problems)}. Build the model with the options it was trained with."
        )
