"""Files that appear whole or not at all, and that nobody but their owner can read.

A run folder can itself give members away (losses, row numbers, checkpoints), so folders are created with mode 0700
and files with 0600. A file is written beside its final place, flushed to disk and renamed: a reader sees the old
file or the new one, never half of one, whatever is killed in between. What a kill leaves half-way is called
``.NAME-xxxxxxxx`` and is removed by `sweep`. Nothing but a regular file is ever replaced.
"""

import contextlib
import glob
import hashlib
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from leaq.errors import InvalidInput, StoreError, closest, some

MODELS = frozenset(
    {".safetensors", ".gguf", ".onnx", ".pt", ".pth", ".bin", ".ckpt", ".pt2", ".ts", ".torchscript", ".tflite", ".xml"}
)
"""How the names of files end that hold a model."""


def is_model(source: str | Path) -> bool:
    """Whether a source is a finished model, a file of one or a folder, and no table of records.

    Examples
    --------
    >>> is_model("weights.safetensors"), is_model("my.csv"), is_model("wine")
    (True, False, False)
    >>> is_model("a" * 3000)
    False
    """
    path = Path(source)
    with contextlib.suppress(OSError, ValueError):  # a name no file can have
        return path.suffix.lower() in MODELS or path.is_dir()
    return False


def no_file(path: Path, what: str = "file", remedy: str = "") -> InvalidInput:
    """Return the refusal of a file that is not there: with the one of its folder that is nearest in name."""
    near = closest(path.name, [item.name for item in path.parent.iterdir()] if path.parent.is_dir() else [])
    return InvalidInput(f"There is no {what} {str(path)!r}.{near}{remedy and f' {remedy}'}")


def refuse_missing(path: Path) -> None:
    """Refuse a file or folder that does not exist; raises `no_file`."""
    if not path.exists():
        raise no_file(path)


STAND_INS = {
    b"version https://git-lfs": "a pointer of Git LFS, which keeps the file elsewhere. Fetch it with 'git lfs pull'",
    b"<!doctype html": "a web page. Download the file itself, not the page that shows it",
    b"<html": "a web page. Download the file itself, not the page that shows it",
}
"""What downloads leave in a file's place, by how it begins."""


def refuse_stand_in(path: Path) -> None:
    """Refuse what stands in a file's place: a pointer to it, or a web page about it.

    Raises
    ------
    StoreError
        If the file begins as one of them does.
    """
    with path.open("rb") as file:
        begins = file.read(32).lstrip(b"\xef\xbb\xbf \r\n").lower()
    for mark, what in STAND_INS.items():
        if begins.startswith(mark):
            raise StoreError(f"{path.name}: this is no data but {what}.")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_within(path: Path) -> list[str]:
    """Return the SHA-256 of a file, or of every file in a folder, in the order of their names."""
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return [sha256_of(file) for file in files if file.is_file()]


STALE = 3600.0
"""Seconds after which nobody writes a temporary file any more: writing one takes well under a minute."""
HEAD = 65536
"""Bytes at the beginning of a file that tell what it is."""
LONGEST = 200
"""Bytes of a file's name that its temporary file's name repeats; file systems allow 255 in all."""


def refuse_no_run(folder: Path) -> None:
    """Refuse what is no run folder; costs nothing, so that a wrong name is answered at once.

    Raises
    ------
    InvalidInput
        If it is not there, or there is no config.json in it.
    """
    if not folder.exists():
        raise no_file(folder, "run folder", "Name an --out folder.")
    if not (folder / "config.json").is_file():
        within = sorted(str(found.parent) for found in folder.glob("*/config.json"))  # as leaq protect leaves
        which = f"that of an audit. Found in it: {some(within)}." if within else "an --out folder."
        raise InvalidInput(f"{str(folder)!r} is no run folder: it has no config.json. Name {which}")


def private_folder(folder: Path) -> Path:
    """Create `folder` and what is missing above it, readable by the owner alone; existing ones keep their mode."""
    with _writing(folder, "It cannot be created", " Name another one."):
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(exist_ok=True, mode=0o700)  # not parents=True: those would get the umask
        if not folder.is_dir():
            raise NotADirectoryError(20, "a file of that name is there")
    return folder


@contextlib.contextmanager
def _writing(folder: Path, failed: str, remedy: str = "") -> Iterator[None]:
    """Turn what the system says where a folder cannot be written to into `StoreError`."""
    try:
        yield
    except OSError as err:
        raise StoreError(f"The folder {str(folder)!r} must be writable. {failed} ({_reason(err)}).{remedy}") from None


def writable_place(path: Path, *, over: str = "") -> Path:
    """Return `path` if a file can be put there; asked before hours of work, not after them.

    Parameters
    ----------
    over : text by which a file that stands there is known as one of the same kind, which may be replaced.

    Raises
    ------
    StoreError
        If the folder is missing or cannot be written to, or `path` is a folder, a device, a pipe or a socket, or
        another kind of file.
    """
    with _writing(path.parent, "Writing there fails", " Name another place; nothing was written."):
        if path.is_dir():
            raise StoreError(f"{str(path)!r} must be a file. It is a folder. Name a file in it.")
        if not path.parent.is_dir():
            raise StoreError(f"The folder of {str(path)!r} must exist. {str(path.parent)!r} does not. Create it first.")
        _refuse_special(path)
        _refuse_other(path, over)
        Path(_temporary(path, 0o600)).unlink()
    return path


def places_beside(path: str | Path, kinds: Mapping[str, str]) -> tuple[Path, ...]:
    """Return the places of files of one name and several endings; refuse those where another file stands.

    Parameters
    ----------
    path : the name, with one of the endings, a page's, or none.
    kinds : by ending the text by which a file that may be replaced is known; see `writable_place`.

    Raises
    ------
    StoreError
        As `writable_place` does.
    """
    base = Path(path)
    base = base.with_suffix("") if base.suffix in {".html", *kinds} else base
    return tuple(writable_place(base.with_name(base.name + ending), over=mark) for ending, mark in kinds.items())


def write_atomic(path: Path, content: bytes | str, *, mode: int = 0o600, over: str = "") -> None:
    """Write a file so that it is there whole or not at all.

    Parameters
    ----------
    over : text by which a file that may be replaced is known; any file if not given.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written to, or another kind of file stands there, which is untouched
        in all these cases.
    """
    _refuse_other(path, over)
    data = content.encode() if isinstance(content, str) else content

    def fill(temporary: str) -> None:
        handle = os.open(temporary, os.O_WRONLY)
        try:
            _write_all(handle, memoryview(data))
            os.fsync(handle)
        finally:
            os.close(handle)

    write_by(path, fill, mode=mode)


def write_pages(path: Path, pages: memoryview, *, size: int) -> None:
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

    write_by(path, fill)


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


def write_by(path: Path, fill: Callable[[str], None], *, mode: int = 0o600) -> None:
    """Write a file like `write_atomic` by a function that fills an empty one, whose name it is given.

    Raises
    ------
    StoreError
        As `write_atomic`.
    """
    temporary = None
    try:
        _refuse_special(path)
        temporary = _temporary(path, mode)
        fill(temporary)
        Path(temporary).replace(path)
    except OSError as err:
        if temporary is not None:
            with contextlib.suppress(OSError):  # the folder may be gone
                Path(temporary).unlink()
        raise StoreError(
            f"{str(path)!r} could not be written ({_reason(err)}); what was there before is untouched. "
            "Free space or name another folder, then run the same command again."
        ) from None


def _temporary(path: Path, mode: int) -> str:
    """Create an empty file beside `path`; the system takes the umask off its mode."""
    name = os.fsdecode(os.fsencode(path.name)[:LONGEST])
    while True:
        found = path.with_name(f".{name}-{secrets.token_hex(4)}")
        with contextlib.suppress(FileExistsError):
            os.close(os.open(found, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0), mode))
            return str(found)


def _refuse_special(path: Path) -> None:
    """Refuse what a rename would do away with though it is no file: /dev/null, a pipe, /dev/stdout."""
    try:
        kind = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        kind = stat.S_IFREG
    if not stat.S_ISREG(kind) or path.parent.absolute() == Path("/dev"):
        raise StoreError(
            f"{str(path)!r} must be a regular file or not be there yet. It is a device, a pipe or a socket, which a "
            "file would take the place of. Name a file."
        )


def _refuse_other(path: Path, over: str) -> None:
    """Refuse to replace a file of another kind: a page or table is easily given the name of the data it is about."""
    if not over or not path.is_file():
        return
    with path.open("rb") as file:
        head = file.read(HEAD)
    if head and over.encode() not in head:
        raise StoreError(
            f"{str(path)!r} must not be there yet, or be a file that leaq wrote there. It is another file, which would "
            "be lost. Name another place, or move it away."
        )


def sweep(folder: Path, name: str = "", *, older_than: float = STALE) -> int:
    """Remove the temporary files that killed processes left for files whose names start with `name`; return how many.

    Parameters
    ----------
    older_than : seconds since the last byte; 0 only where no other process can be writing such a file.
    """
    count = 0
    for path in folder.glob(f".{glob.escape(name)}*-" + "[0-9a-f]" * 8):
        with contextlib.suppress(OSError):  # another process may sweep too
            if time.time() - path.lstat().st_mtime >= older_than:
                path.unlink()
                count += 1
    return count


def put_aside(path: Path, suffix: str) -> Path:
    """Rename a file of leaq's own that is not to be read again, and return where it is.

    Raises
    ------
    StoreError
        If the folder cannot be written to.
    """
    with _writing(path.parent, f"{path.name} cannot be set aside"):
        return path.replace(path.with_suffix(suffix))


def remove(path: Path) -> None:
    """Remove a file of leaq's own, if it is there; raises as `put_aside`."""
    with _writing(path.parent, f"{path.name} cannot be removed"):
        path.unlink(missing_ok=True)


def read_bytes(path: Path) -> bytes:
    """Return a file's content, or say why it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as err:
        raise StoreError(f"{str(path)!r} cannot be read ({_reason(err)}).") from None


def _reason(err: OSError) -> str:
    return err.strerror or type(err).__name__
