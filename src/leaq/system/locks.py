"""Who works on what, when several processes share a folder.

It is an operating-system lock on a small, empty file. The kernel gives it up when its process ends, however it
ends: there is no stale lock to clean up after a kill, and no clock to agree on. On network file systems the lock is
as good as theirs (NFS 4, Lustre mounted with -o flock); where locks are not supported, taking one is refused. The
file is never written to, and a link in its place is never followed.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Self

from leaq.errors import StoreError

if TYPE_CHECKING:
    from filelock import BaseFileLock


class Lock:
    """The right to compute one cell, or to write one file; held until `release`, or until the process ends.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "cell.lock"
    >>> mine = Lock.take(path)
    >>> Lock.take(path) is None
    True
    >>> mine.release()
    >>> with Lock.wait(path):
    ...     Lock.take(path) is None
    True
    """

    def __init__(self, lock: "BaseFileLock") -> None:
        self._lock = lock

    @classmethod
    def take(cls, path: Path) -> Self | None:
        """Return the lock, or None while another process (or this one) holds it.

        Raises
        ------
        StoreError
            If the folder cannot be written to, its file system has no locks, or a link stands in the file's place.
        """
        return cls._acquired(path, blocking=False)

    @classmethod
    def wait(cls, path: Path) -> Self:
        """Return the lock as soon as nobody else holds it; raises as `take`."""
        lock = cls._acquired(path, blocking=True)
        assert lock is not None  # without a time limit, waiting ends with the lock
        return lock

    @classmethod
    def _acquired(cls, path: Path, *, blocking: bool) -> Self | None:
        from filelock import FileLock, Timeout

        if path.is_symlink() or (path.exists() and not path.is_file()):
            raise StoreError(
                f"{str(path)!r} must be a lock file of leaq. It is a link or a special file, which leaq never follows. "
                "Remove it."
            )
        if not path.parent.is_dir():  # filelock would make it, with a mode of its own
            raise StoreError(f"The folder {str(path.parent)!r} must be writable. It is not there.")
        lock = FileLock(
            path, mode=0o600, thread_local=False, blocking=blocking, fallback_to_soft=False, preserve_lock_file=True
        )
        try:
            lock.acquire()
        except Timeout:
            return None
        except (OSError, NotImplementedError) as err:
            reason = getattr(err, "strerror", None) or str(err)
            raise StoreError(
                f"The folder {str(path.parent)!r} must be writable, on a file system that supports locks. "
                f"{path.name} cannot be locked ({reason}). Name a folder on a local disk."
            ) from None
        return cls(lock)

    def release(self) -> None:
        """Let others have it; the file stays, so that nobody locks a file another one removes."""
        self._lock.release(force=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
