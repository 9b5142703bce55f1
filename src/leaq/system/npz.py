"""One boundary around NPZ archives.

What a file claims is checked before memory is given to it, and whatever numpy or zipfile say to damage is one error.
"""

import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy.typing as npt
from numpy.lib import format as npy

from leaq.errors import InvalidInput
from leaq.system.limits import refuse_larger

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
        with zipfile.ZipFile(BytesIO(source) if isinstance(source, bytes) else source) as archive:
            _refuse_claims(archive, name)
            found = {}
            for member in archive.infolist():
                with archive.open(member) as file:
                    found[member.filename.removesuffix(".npy")] = npy.read_array(file, allow_pickle=False)
            return found
    except InvalidInput:
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
