"""The envelope of every file leaq keeps: it knows what it is, whose it is, and whether a byte of it was changed.

A checksummed file holds, somewhere in it, ``leaq-seal:`` and 64 hexadecimal digits: the SHA-256 of its kind, its key
(which cell, which chunk of models, which step of which recording) and its bytes with zeros in the digits' place. The
checksum stands where the file's format has room for a remark, so other programs read the files as before: the first
field of a JSON object, the comment of an NPZ archive, the metadata of a safetensors file. It is looked at before
anything is parsed, so damage is found before a format library meets it.

A checksum is no signature: it finds accidents (bad disks, half copies, a restored or mixed-up file), not a
forger, who can compute it again.

NPZ archives are read here, behind one boundary: what a file claims is checked before memory is given to it, and
whatever numpy or zipfile say to damage is one error.
"""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib import format as npy

from leaq.errors import InvalidInput, StoreError
from leaq.system.files import read_bytes, refuse_stand_in, write_by
from leaq.system.memory import refuse_larger

MARK = b"leaq-seal:"
DIGITS = 64
BLANK = MARK.decode() + "0" * DIGITS
"""A checksum that is still to be made; a format puts it where it has room."""
BLOCK = 2**20
"""Bytes of a file that are looked at together."""
_AGAIN = "Run the same command again to make it anew."


class DamagedFile(StoreError):
    """A file is truncated, was changed after it was written, or is another one's; what it held must be made again."""


def with_checksum(content: bytes, *, kind: str, key: str) -> bytes:
    """Return `content` with its blank checksum filled in.

    Examples
    --------
    >>> checksummed = with_checksum(b"# " + BLANK.encode() + b" 1, 2, 3", kind="list", key="mine")
    >>> checksummed[:22]
    b'# leaq-seal:00cfbeeeda'
    """
    filled = bytearray(content)
    put_checksum(memoryview(filled), kind=kind, key=key)
    return bytes(filled)


def put_checksum(content: memoryview, *, kind: str, key: str) -> None:
    """Fill in the checksum of bytes that hold one, blank or of earlier content; nothing is copied."""
    start = _place(content)
    content[start : start + DIGITS] = b"0" * DIGITS
    content[start : start + DIGITS] = _checksum([content], kind, key).encode()


def read_checked(path: Path, *, kind: str, key: str) -> bytes:
    """Return a file's content.

    Raises
    ------
    DamagedFile
        If it is not to the byte what was checksummed as this kind under this key.
    StoreError
        If it cannot be read.
    """
    content = read_bytes(path)
    view = memoryview(content)
    try:
        start = _place(view)
    except ValueError:
        raise DamagedFile(f"{str(path)!r} is truncated or no file of leaq: it has no checksum. {_AGAIN}") from None
    parts = [view[:start], memoryview(b"0" * DIGITS), view[start + DIGITS :]]
    if _checksum(parts, kind, key).encode() != view[start : start + DIGITS]:
        raise DamagedFile(
            f"{str(path)!r} was changed after it was written, or is another file under this name (checksum). {_AGAIN}"
        )
    return content


def checksum_of(path: Path) -> str:
    """Return the digits of a checksummed JSON file's checksum without reading the rest; empty where there are none."""
    try:
        with path.open("rb") as file:
            head = file.read(len(MARK) + DIGITS + 32)
    except OSError:
        return ""
    at = head.find(MARK) + len(MARK)
    return head[at : at + DIGITS].decode("ascii", "replace") if at >= len(MARK) else ""


def json_with_checksum(text: str, *, kind: str, key: str) -> bytes:
    """Return the text of a JSON object with its checksum as the first field.

    Examples
    --------
    >>> json_with_checksum('{"a": 1}', kind="list", key="mine")[-10:]
    b'", "a": 1}'
    """
    rest = text[1:]
    comma = "" if rest.strip() == "}" else ", "
    return with_checksum(f'{{"seal": "{BLANK}"{comma}{rest}'.encode(), kind=kind, key=key)


def read_json(path: Path, *, kind: str, key: str) -> dict[str, Any]:
    """Return the fields of a checksummed JSON object; raises as `read_checked`."""
    content = read_checked(path, kind=kind, key=key)
    with _parsing(path):
        plain = dict(json.loads(content))
        del plain["seal"]
    return plain


def write_arrays(path: Path, arrays: Mapping[str, Any], *, kind: str, key: str, compressed: bool = False) -> None:
    """Write an NPZ archive like `write_atomic`, its checksum as the archive's comment; no array is copied.

    Raises
    ------
    StoreError
        If the disk is full or the folder cannot be written to; an earlier file of that name is untouched.
    """

    def fill(temporary: str) -> None:
        with Path(temporary).open("r+b") as file:
            (np.savez_compressed if compressed else np.savez)(file, **arrays)
            file.seek(-2, os.SEEK_END)  # a ZIP ends with its comment, and the comment's length before it
            file.write(len(BLANK).to_bytes(2, "little") + BLANK.encode())
            digits = _checksum(chain(_before_digits(file), [memoryview(b"0" * DIGITS)]), kind, key)
            file.seek(-DIGITS, os.SEEK_END)
            file.write(digits.encode())
            file.flush()
            os.fsync(file.fileno())

    write_by(path, fill)


def read_arrays(path: Path, *, kind: str, key: str) -> dict[str, Any]:
    """Return the arrays of a checksummed NPZ archive; raises as `read_checked`."""
    if not _whole(path, kind, key):
        read_checked(path, kind=kind, key=key)  # says what is wrong
    with _parsing(path):
        return read_npz(path, name=path.name)


def _whole(path: Path, kind: str, key: str) -> bool:
    """Tell whether an archive is to the byte what was checksummed, without holding it."""
    with suppress(OSError), path.open("rb") as file:
        found = _checksum(chain(_before_digits(file), [memoryview(b"0" * DIGITS)]), kind, key)
        return file.read().decode("ascii", "replace") == found
    return False


def _before_digits(file: BinaryIO) -> Iterator[memoryview]:
    """Yield what stands before a file's last digits, a block at a time; the file is then read up to them."""
    left = file.seek(0, os.SEEK_END) - DIGITS
    file.seek(0)
    while left > 0 and (block := file.read(min(left, BLOCK))):
        left -= len(block)
        yield memoryview(block)


@contextmanager
def _parsing(path: Path) -> Iterator[None]:
    """Turn whatever a library says to a checksummed file into damage: another version or a forger wrote it."""
    try:
        yield
    except Exception as err:
        reason = str(err) or type(err).__name__
        raise DamagedFile(f"{str(path)!r} cannot be read ({reason}). {_AGAIN}") from None


def _place(content: memoryview) -> int:
    """Return where the digits start: at the very end, where an archive has its comment, or first in the file."""
    last = len(content) - DIGITS
    if last >= len(MARK) and content[last - len(MARK) : last] == MARK:
        return last
    step = 1 << 16
    for start in range(0, len(content), step):
        found = bytes(content[start : start + step + len(MARK)]).find(MARK)
        if found >= 0 and start + found + len(MARK) + DIGITS <= len(content):
            return start + found + len(MARK)
    raise ValueError("there is no checksum")


def _checksum(parts: Iterable[memoryview], kind: str, key: str) -> str:
    digest = hashlib.sha256(json.dumps([kind, key]).encode())
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


HEADER = 1 << 16
"""Bytes of an array's header; real ones are below a kilobyte."""


def read_npz(source: Path | bytes, *, name: str) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays of an NPZ archive; no pickle is loaded.

    Parameters
    ----------
    name : what the archive is called in messages.

    Raises
    ------
    InvalidInput
        If it is no whole archive of arrays of numbers or text, or claims more memory than there is.
    """
    try:
        if isinstance(source, Path):
            refuse_stand_in(source)
        with zipfile.ZipFile(BytesIO(source) if isinstance(source, bytes) else source) as archive:
            _refuse_claims(archive, name)
            found = {}
            for member in archive.infolist():
                with archive.open(member) as file:
                    found[member.filename.removesuffix(".npy")] = npy.read_array(file, allow_pickle=False)
            return found
    except (InvalidInput, StoreError):
        raise
    except Exception as err:  # zipfile, zlib, numpy and tokenize have a dozen of their own
        reason = (str(err) or type(err).__name__).splitlines()[0]
        raise InvalidInput(
            f"{name}: must be an NPZ file of numbers or text, as np.savez writes it. It cannot be read ({reason})."
        ) from None


def _refuse_claims(archive: zipfile.ZipFile, name: str) -> None:
    """Add up what the arrays' own headers claim; sizes in the archive's list may be lies."""
    total = 0
    for member in archive.infolist():
        with archive.open(member) as file:
            version = npy.read_magic(file)
            read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
            shape, _, kind = read(file, max_header_size=HEADER)
        if kind.hasobject:
            raise ValueError(f"{member.filename!r} holds Python objects, which only pickle reads")
        claimed = kind.itemsize
        for length in shape:
            claimed *= length  # whole numbers of any size, where numpy's would wrap round
        if claimed > member.file_size:
            raise ValueError(f"{member.filename} claims {claimed:,} bytes and has {member.file_size:,}")
        total += claimed
    refuse_larger(total, name=name)
