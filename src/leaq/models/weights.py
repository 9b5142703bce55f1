"""Weights from files, into an architecture: safetensors only, and only if names and shapes match."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, LeaqError, StoreError
from leaq.models.roles import shared_names, tensors_of
from leaq.system.files import nearest
from leaq.system.usercode import accepted, raised, user_function

__all__ = [
    "OpenWeights",
    "architecture",
    "built",
    "check_match",
    "load_into",
    "open_weights",
    "read_tensors",
    "tensors_in",
]

PICKLED = frozenset({".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt", ".joblib"})


class OpenWeights:
    """The tensors of a safetensors file, read from the mapped file one by one.

    Attributes
    ----------
    bytes : what all tensors take.
    metadata : the words in the file's header.
    """

    def __init__(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        self._path, self._error = path, SafetensorError
        try:
            self._file = safe_open(path, framework="pt")
            self._names = list(self._file.keys())  # type: ignore[no-untyped-call]
            self.metadata: dict[str, str] = self._file.metadata() or {}  # type: ignore[no-untyped-call]
        except SafetensorError as err:
            raise StoreError(f"{path.name}: this is no readable safetensors file ({err}). Save it again.") from None
        with path.open("rb") as handle:  # the format: length of the header, header, tensors
            self.bytes = path.stat().st_size - 8 - int.from_bytes(handle.read(8), "little")

    def keys(self) -> list[str]:
        """Return the names."""
        return self._names

    def get(self, name: str) -> Tensor:
        """Read one tensor."""
        try:
            tensor: Tensor = self._file.get_tensor(name)  # type: ignore[no-untyped-call]
        except self._error as err:
            raise StoreError(f"{self._path.name}: {name!r} cannot be read ({err}). Save it again.") from None
        return tensor


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
        raise InvalidInput(f"There is no weights file {str(path)!r}.{nearest(path)} Name an existing file of weights.")
    with path.open("rb") as handle:
        head = handle.read(9)
    # A safetensors file begins with the length of its header, which may look like anything, and the header's "{".
    looks = head[:4] == b"PK\x03\x04" or head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
    if path.suffix.lower() in PICKLED or (looks and head[8:] != b"{"):
        raise InvalidInput(
            f"{path.name}: weights must be a safetensors file. Found a pickled one, and opening it can run any code "
            "that its author put there. Where you trust the author, convert it once: "
            "safetensors.torch.save_file(torch.load(path, weights_only=True), 'weights.safetensors')"
        )
    return OpenWeights(path)


def tensors_in(path: str | Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, all at once; see `open_weights`."""
    return read_tensors(path)[0]


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


def check_match(module: nn.Module, weights: Mapping[str, Tensor], *, subject: str) -> None:
    """Refuse weights of another architecture, naming the first differences."""
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
        f"{word}: {', '.join(names[:3])}{', ...' * (len(names) > 3)}"
        for word, names in (("missing", missing), ("unexpected", surplus), ("shapes", shapes))
        if names
    ]
    if problems:
        raise InvalidInput(
            f"{subject}: the weights must belong to the same architecture as the model. Found {'; '.join(problems)}. "
            "Build the model with the options it was trained with."
        )


def load_into(module: nn.Module, path: str | Path) -> nn.Module:
    """Load a safetensors file into a freshly built module and return it in evaluation mode."""
    weights = tensors_in(path)
    check_match(module, weights, subject=Path(path).name)
    module.load_state_dict(weights, strict=False, assign=any(t.is_meta for t in module.parameters()))
    with torch.no_grad():
        return module.eval()
