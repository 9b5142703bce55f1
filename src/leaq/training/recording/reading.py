"""Reading a recording where the model was trained elsewhere: its folder is looked at and never written to.

One set of weights is laid out once as the bytes of a safetensors file, and filled again and again.
"""

import json
import mmap
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from leaq.errors import InvalidInput, NotEnoughEvidence, StoreError, some
from leaq.models import roles_of, unwrap
from leaq.models.roles import tensors_of
from leaq.system.checksummed import BLANK, DamagedFile, put_checksum, read_checked, read_json
from leaq.types import Checkpoints

ABOUT = "recording.json"
"""Says whose weights a folder holds, and how they were recorded."""
FEWEST = 2
_NAME = re.compile(r"step-(\d{12})\.safetensors")


def identity(recording: str, step: int) -> str:
    """Return what the file of a step is checksummed under: no other step's, and no other recording's, passes for it."""
    return f"{recording}/{step}"


def file_of(folder: Path, step: int) -> Path:
    """Return where the weights of a step are kept."""
    return folder / f"step-{step:012d}.safetensors"


def steps_in(folder: Path) -> list[int]:
    """Return the steps whose files are there, ascending."""
    return sorted(int(found.group(1)) for path in folder.iterdir() if (found := _NAME.fullmatch(path.name)))


def read_about(folder: Path) -> dict[str, Any]:
    """Return a recording's number, weights by name, and options; raises `KeyError` or `DamagedFile`."""
    found = read_json(folder / ABOUT, kind="recording", key="")
    return {name: found[name] for name in ("recording", "weights", "options")}


def read_step(folder: Path, recording: str, step: int) -> dict[str, Tensor]:
    """Read a step's file; raises `DamagedFile` if it is not to the byte what was recorded."""
    from safetensors import SafetensorError
    from safetensors.torch import load

    path = file_of(folder, step)
    try:
        return dict(load(read_checked(path, kind=KIND, key=identity(recording, step))))
    except (DamagedFile, SafetensorError):
        raise DamagedFile(
            f"{str(path)!r} is damaged, or is no checkpoint of step {step} of this recording. Delete it to go on "
            "without it."
        ) from None


def read_recording(folder: str | Path, model: nn.Module) -> Checkpoints:
    """Return the checkpoints that a `leaq.Recorder` with ``folder=`` kept, batch (1, c).

    Parameters
    ----------
    model : the network that was recorded, with whatever weights; only its architecture is looked at.

    Raises
    ------
    StoreError
        If there is no such folder, it holds no recording, or a file of it is damaged.
    InvalidInput
        If the recording is of another architecture.
    NotEnoughEvidence
        If it holds fewer than two checkpoints.

    Examples
    --------
    >>> import tempfile
    >>> from leaq.training.recording import Recorder
    >>> folder, net = Path(tempfile.mkdtemp()) / "run", nn.Linear(3, 2)
    >>> recorder = Recorder(net, folder=folder)
    >>> recorder.step(), recorder.step(), recorder.flush()
    (None, None, None)
    >>> read_recording(folder, nn.Linear(3, 2)).batch
    (1, 2)
    """
    place, module = Path(folder), unwrap(model)
    about, steps = _opened(place)
    shapes = {name: [str(tensor.dtype), *tensor.shape] for name, tensor, _ in tensors_of(module)}
    odd = sorted(name for name, kind in about["weights"].items() if shapes.get(name) != kind)
    if odd:
        raise InvalidInput(
            f"The recording in {str(folder)!r} must be of the model's own architecture. Not in the model, or of "
            f"another shape or type: {some(odd)}. Name the folder that this model's recorder wrote."
        )
    roles = {name: role for name, role in roles_of(module).items() if name in about["weights"]}
    rows = [read_step(place, str(about["recording"]), step) for step in steps]
    stacked = {name: torch.stack([row[name] for row in rows]).unsqueeze(0) for name in roles}
    return Checkpoints(stacked, roles, (1, len(steps)), tuple(steps))


def refuse_foreign(recorded: Checkpoints, released: Checkpoints) -> None:
    """Refuse recorded weights, batch (1, c), that a model, batch (1,), does not hold in that shape.

    Raises
    ------
    InvalidInput
        With the names of some.
    """
    odd = [
        name
        for name, tensor in recorded.params.items()
        if name not in released.params or tensor.shape[2:] != released.params[name].shape[1:]
    ]
    if odd:
        raise InvalidInput(
            f"checkpoints must be of the model's own architecture. Not in the model, or of another shape: {some(odd)}."
        )


def with_released(recorded: Checkpoints, released: Checkpoints) -> Checkpoints:
    """Append the released weights to the recorded ones, unless they already are the last."""
    last = recorded.last()
    widened = {name: tensor.to(released.params[name]) for name, tensor in recorded.params.items()}
    if all(torch.equal(last.params[name].to(t), t) for name, t in released.params.items()):
        return recorded.replace(widened)
    joined = {name: torch.cat([widened[name], released.params[name].unsqueeze(1)], dim=1) for name in widened}
    return Checkpoints(joined, released.roles, (1, recorded.batch[1] + 1))


def _opened(folder: Path) -> tuple[dict[str, Any], list[int]]:
    """Return what a recording says of itself, and its steps."""
    if not (folder / ABOUT).is_file():
        raise StoreError(
            f"{str(folder)!r} must be the folder of a leaq.Recorder (folder=...), with {ABOUT} in it. "
            f"{'There is none' if folder.is_dir() else 'There is no such folder'}."
        )
    try:
        about = read_about(folder)
    except (DamagedFile, KeyError):
        raise StoreError(f"{ABOUT} in {str(folder)!r} is damaged. Record again.") from None
    steps = steps_in(folder)
    if len(steps) < FEWEST:
        raise NotEnoughEvidence(
            f"{str(folder)!r} must hold at least {FEWEST} checkpoints. Found {len(steps)}. Record more often."
        )
    return about, steps


KIND = "checkpoint"
"""What the checksum of such a file says it is."""


class Image:
    """The bytes of a safetensors file in whole pages of memory, whose tensors can be overwritten in place.

    Serialising a model anew for every checkpoint would copy all weights twice; here a checkpoint costs one copy.

    Parameters
    ----------
    weights : fixes names, shapes and types.

    Attributes
    ----------
    pages : memory from the start of a page to the end of one.
    size : bytes of the file, the beginning of `pages`.

    Examples
    --------
    >>> image = Image({"w": torch.zeros(2)})
    >>> image.fill({"w": torch.tensor([1.0, 2.0])})
    >>> from safetensors.torch import load
    >>> load(bytes(image.pages[: image.size]))["w"]
    tensor([1., 2.])
    """

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        from safetensors.torch import save

        # Copies: weights may be views of one storage, which the format does not allow.
        copies = {name: t.detach().to("cpu", copy=True).contiguous() for name, t in weights.items()}
        content = save(copies, metadata={"seal": BLANK})
        self.size = len(content)
        memory = mmap.mmap(-1, -(-self.size // mmap.PAGESIZE) * mmap.PAGESIZE)
        memory[: self.size] = content
        self.pages = memoryview(memory)
        start = 8 + int.from_bytes(content[:8], "little")  # the format: length of the header, header, tensors
        header = json.loads(content[8:start])
        self._tensors = {
            name: torch.frombuffer(
                memory, dtype=t.dtype, count=t.numel(), offset=start + header[name]["data_offsets"][0]
            ).view(t.shape)
            for name, t in weights.items()
            if t.numel()
        }

    def add_checksum(self, key: str) -> None:
        """Make the file know which checkpoint it is and what it holds; see `leaq.system.checksummed`."""
        put_checksum(self.pages[: self.size], kind=KIND, key=key)

    def fill(self, weights: Mapping[str, Tensor]) -> None:
        """Overwrite the tensors."""
        for name, tensor in self._tensors.items():
            tensor.copy_(weights[name])
