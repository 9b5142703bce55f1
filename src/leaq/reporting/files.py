"""Files that are complete or absent: written beside their place, then moved there."""

import os
import tempfile
from pathlib import Path

from leaq.errors import StoreError

__all__ = ["write_text"]


def write_text(path: Path, text: str) -> Path:
    """Write a text file completely or not at all; an older file stays until the new one is complete."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
            Path(name).chmod(0o666 & ~_umask())
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as err:
        raise StoreError(
            f"{path}: cannot be written ({err.strerror or err}). Choose another place or free some space."
        ) from None
    return path


def _umask() -> int:
    """Permissions new files do not get; can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
