"""Where recorded weights are kept: in memory, or as safetensors files that appear whole or not at all."""

import json
import secrets
import weakref
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from leaq.errors import StoreError, differing, some
from leaq.system.checksummed import DamagedFile, json_with_checksum
from leaq.system.files import private_folder, sweep, write_atomic, write_pages
from leaq.training.recording.reading import ABOUT, Image, file_of, identity, read_about, read_step, steps_in


class MemoryStore:
    """Keeps copies in main memory; the room of a dropped step serves the next one."""

    def __init__(self) -> None:
        self._kept: dict[int, dict[str, Tensor]] = {}
        self._free: list[dict[str, Tensor]] = []

    def put(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights; allocates only while the number of kept steps grows."""
        room = self._free.pop() if self._free else {}
        for name, tensor in weights.items():
            if name not in room:
                room[name] = torch.empty_like(tensor, device="cpu")
            room[name].copy_(tensor)
        self._kept[step] = room

    def drop(self, step: int) -> None:
        """Forget a step, keep its room."""
        self._free.append(self._kept.pop(step))

    def get(self, step: int) -> Mapping[str, Tensor]:
        """Return the weights of a step."""
        return self._kept[step]

    def steps(self) -> list[int]:
        """Return the steps that are kept, ascending."""
        return sorted(self._kept)

    def flush(self) -> None:
        """Nothing to wait for."""


class FolderStore:
    """Keeps one file a step in a private folder, and beside them what they belong to.

    Each file's checksum covers its step and the recording's own number, drawn when the folder was new: a damaged file,
    or one of another step or recording, is refused.

    The training loop waits for a copy of the weights in memory; one thread writes it while training goes on, and
    the next copy waits for it. So at most one checkpoint is lost when the process is killed, never half of one, and
    the memory taken is that of one model. What goes wrong in the thread is raised at the next call, or when the
    interpreter ends.

    Raises
    ------
    StoreError
        If the folder holds a recording of another architecture or with other options.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        self.folder = private_folder(folder)
        if earlier := _OPEN.get(folder.resolve()):  # of the same process, as when a notebook cell runs again
            earlier.flush()
        self.resumed = (folder / ABOUT).exists()
        if self.resumed:
            self._number = self._check(about)
        elif steps_in(folder):
            raise StoreError(f"{str(folder)!r} must hold {ABOUT} beside its checkpoints. Name an empty folder.")
        else:
            self._number = secrets.token_hex(8)
            text = json.dumps({"recording": self._number, **about}, indent=1, sort_keys=True)
            write_atomic(folder / ABOUT, json_with_checksum(text, kind="recording", key=""))
        sweep(folder, "step-", older_than=0)  # what a killed process was writing
        self._image: Image | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="leaq-recorder")  # its thread starts with the first job
        self._pending: list[Future[None]] = []
        weakref.finalize(self, _settle, self._pending)
        _OPEN[folder.resolve()] = self

    def _check(self, about: Mapping[str, Any]) -> str:
        """Refuse a recording of something else; return its number."""
        try:
            found = read_about(self.folder)
        except (DamagedFile, KeyError):
            raise StoreError(f"{ABOUT} in {str(self.folder)!r} is damaged. Name an empty folder.") from None
        number, weights, options = str(found["recording"]), found["weights"], found["options"]
        wanted = json.loads(json.dumps(about))
        if weights != wanted["weights"]:
            odd = differing(weights, wanted["weights"])
            raise StoreError(
                f"{str(self.folder)!r} must hold checkpoints of this architecture. Others are: {some(odd)}. "
                "Name another folder, or build the model as it was."
            )
        if options != wanted["options"]:
            odd = differing(options, wanted["options"])
            raise StoreError(
                f"{str(self.folder)!r} was recorded with other options ({', '.join(odd)}). "
                "Use the same ones to go on, or name another folder."
            )
        return number

    def steps(self) -> list[int]:
        """Return the steps that are there, ascending."""
        return steps_in(self.folder)

    def put(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Copy the weights, and write them behind the caller's back into a file that is there whole or not at all."""
        self.flush()
        self._image = self._image or Image(weights)
        self._image.fill(weights)
        path = file_of(self.folder, step)
        self._pending.append(self._writer.submit(_write, self._image, path, identity(self._number, step)))

    def drop(self, step: int) -> None:
        """Delete a step's file, after what is being written."""
        self._pending.append(self._writer.submit(file_of(self.folder, step).unlink, missing_ok=True))

    def flush(self) -> None:
        """Wait for the disk; raise the first thing that went wrong there."""
        _settle(self._pending)

    def get(self, step: int) -> Mapping[str, Tensor]:
        """Read a step's file; raises `DamagedFile` if it is not to the byte what was recorded."""
        self.flush()
        return read_step(self.folder, self._number, step)


def _write(image: Image, path: Path, identity: str) -> None:
    image.add_checksum(identity)
    write_pages(path, image.pages, size=image.size)


_OPEN: weakref.WeakValueDictionary[Path, FolderStore] = weakref.WeakValueDictionary()


def _settle(pending: list[Future[None]]) -> None:
    """Wait for all that is pending and forget it; holds no store, so that one can be collected."""
    errors = [error for error in (job.exception() for job in pending) if error is not None]
    pending.clear()
    if errors:
        raise errors[0]
