"""Who works on what, when several processes share a run folder.

A claim is an operating-system lock on a small file. The kernel gives it up when its process ends, however it ends:
there is no stale claim to clean up after a kill, and no clock to agree on. On network file systems the lock is as
good as theirs (NFS 4, Lustre mounted with -o flock); where locks are not supported, taking one is refused.
"""

import fcntl
import json
import os
import platform
from pathlib import Path
from typing import Self

from leaq.errors import StoreError

__all__ = ["Claim"]


class Claim:
    """The right to compute one cell; held until `release`, or until the process ends.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cell.lock"
    >>> mine = Claim.take(path)
    >>> Claim.take(path) is None
    True
    >>> mine.release()
    >>> Claim.take(path) is None
    False
    """

    def __init__(self, handle: int) -> None:
        self._handle: int | None = handle

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Return the claim, or None while another process (or this one) holds it."""
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as err:
            raise StoreError(
                f"The folder {str(path.parent)!r} must be writable. {path.name} cannot be made ({err.strerror})."
            ) from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return None
        except OSError as err:
            os.close(handle)
            raise StoreError(
                f"The file system of {str(path.parent)!r} must support locks. It says: {err.strerror}. "
                "Put the run folder on a local disk."
            ) from None
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode())
        return cls(handle)

    def release(self) -> None:
        """Let others have it; the file stays, so that nobody locks a file another one removes."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None
