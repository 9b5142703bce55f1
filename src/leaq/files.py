"""Files that appear whole or not at all, and that nobody but their owner can read.

A run folder can itself give members away (losses, row numbers, checkpoints), so folders are created with mode 0700
and files with 0600. A file is written beside its final place, flushed to disk and renamed: a reader sees the old
file or the new one, never half of one, whatever is killed in between.
"""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from leaq.errors import StoreError

__all__ = ["private_folder", "read_bytes", "writable_place", "write_atomic", "write_pages"]


def private_folder(folder: Path) -> Path:
    """Create `folder` and what is above it, readable by the owner alone; an existing one keeps its mode."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as err:
        raise StoreError(
            f"The folder {str(folder)!r} must be writable. It cannot be created ({_reason(err)}). Name another one."
        ) from None
    return folder


def writable_place(path: Path) -> Path:
    """Return `path` if a file can be put there; asked before hours of work, not after them.

    Raises
    ------
    StoreError
        If the folder is missing or cannot be written to, or `path` is a folder.
    """
    if path.is_dir():
        raise StoreError(f"{str(path)!r} must be a file. It is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise StoreError(f"The folder of {str(path)!r} must exist. {str(path.parent)!r} does not. Create it first.")
    try:
        handle, probe = tempfile.mkstemp(dir=path.parent, prefix=".leaq-")
        os.close(handle)
        Path(probe).unlink()
    except OSError as err:
        raise StoreError(
            f"The folder {str(path.parent)!r} must be writable. Writing there fails ({_reason(err)}). "
            "Name another place; nothing was written."
        ) from None
    return path


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o600) -> None:
    """Write a file so that it is there whole or not at all.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written to; an earlier file of that name is untouched.
    """
    data = content.encode() if isinstance(content, str) else content

    def fill(temporary: str) -> None:
        handle = os.open(temporary, os.O_WRONLY)
        try:
            _write_all(handle, memoryview(data))
            os.fsync(handle)
        finally:
            os.close(handle)

    _appear(path, fill, mode)


def write_pages(path: Path, pages: memoryview, *, size: int, mode: int = 0o600) -> None:
    """Write the first `size` bytes of whole memory pages like `write_atomic`, past the page cache where possible.

    A file that is written once and not read soon needs no copy in the cache: making one costs several times the
    processor time of handing the pages to the disk.

    Parameters
    ----------
    pages : starts at a page of memory and is a whole number of pages long (an `mmap.mmap`).

    Raises
    ------
    StoreError
        As `write_atomic`.
    """

    def fill(temporary: str) -> None:
        try:
            handle = _poured(temporary, os.O_WRONLY | getattr(os, "O_DIRECT", 0), pages)
        except OSError:  # not every file system can; a full disk fails again below
            handle = _poured(temporary, os.O_WRONLY, pages)
        try:
            os.ftruncate(handle, size)
            os.fsync(handle)
        finally:
            os.close(handle)

    _appear(path, fill, mode)


def _poured(path: str, flags: int, pages: memoryview) -> int:
    handle = os.open(path, flags)
    try:
        _write_all(handle, pages)
    except OSError:
        os.close(handle)
        raise
    return handle


def _write_all(handle: int, data: memoryview) -> None:
    while data:
        data = data[os.write(handle, data) :]


def _appear(path: Path, fill: Callable[[str], None], mode: int) -> None:
    """Fill a temporary file, then give it its name."""
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
        os.close(handle)
        fill(temporary)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except OSError as err:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
        raise StoreError(
            f"{str(path)!r} could not be written ({_reason(err)}); what was there before is untouched. "
            "Free space or name another folder, then run the same command again."
        ) from None


def read_bytes(path: Path) -> bytes:
    """Return a file's content, or say why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as err:
        raise StoreError(f"{str(path)!r} cannot be read ({_reason(err)}).") from None


def _reason(err: OSError) -> str:
    return err.strerror or type(err).__name__
