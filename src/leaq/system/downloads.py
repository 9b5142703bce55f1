"""Files from elsewhere: where the user's cache is, and how files get there, resumed and checked.

A file in the cache is complete and checked, or absent: an interrupted download waits beside it as ``.part``.
"""

import os
import urllib.error
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Any

from leaq.errors import InvalidInput
from leaq.system.files import private_folder, sha256_of
from leaq.system.locks import Lock
from leaq.types import Progress, silent

CHUNK = 1 << 18
TIMEOUT = 30.0
"""Seconds without an answer before a server is called unreachable."""
LARGEST = 8 << 30
"""Bytes of a download; the largest file of the catalogues has well under a tenth of that."""


def cache_place() -> Path:
    """Return where downloads and embeddings go, created or not: LEAQ_CACHE_DIR, or the user's own cache folder."""
    named = os.environ.get("LEAQ_CACHE_DIR")
    if named:
        return Path(named)
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "leaq" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "leaq"


def cache_folder() -> Path:
    """Return the folder for downloads and embeddings, and create it.

    Embeddings of confidential molecules are confidential: the folder is created readable by its owner alone.
    """
    return private_folder(cache_place())


def download(
    url: str, path: Path, *, sha256: str = "", what: str = "", remedy: str = "", progress: Progress = silent
) -> Path:
    """Fetch `url` to `path`, going on where an interrupted download stopped, and check it before it counts.

    Parameters
    ----------
    sha256 : the hash the file must have; empty if none is known, then whoever calls checks the content.
    what : what is being fetched, for messages.
    remedy : what a user without a network can do, a sentence for messages.

    Raises
    ------
    InvalidInput
        If the server cannot be reached, or the file has another hash (it is then deleted).
    """
    what = what or path.name
    private_folder(path.parent)
    part = path.with_name(path.name + ".part")
    with Lock.wait(path.with_name(path.name + ".lock")):  # one process at a time fetches it; the others wait
        if path.exists():  # another process fetched it while this one waited
            return path
        try:
            _fetch(url, part, what, progress, checked=bool(sha256))
        except (urllib.error.URLError, OSError, ValueError) as err:
            kept = part.stat().st_size if part.exists() else 0
            more = f" {kept:,} bytes are kept; the next try goes on from there." if kept else ""
            raise InvalidInput(f"{what}: cannot be downloaded from {url} ({_reason(err)}).{more} {remedy}") from None
        found = sha256_of(part)
        if sha256 and found != sha256:
            part.unlink()
            raise InvalidInput(
                f"{what}: the file from {url} must have sha256 {sha256}. Found {found}: it was changed or damaged, and "
                f"was deleted. {remedy}"
            )
        part.replace(path)
    return path


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows to https alone where no hash decides what is taken: on the way, anybody can exchange the rest."""

    def __init__(self, *, checked: bool) -> None:
        self._checked = checked

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        """Refuse to leave https."""
        if not self._checked and not str(args[-1]).startswith("https://"):
            raise ValueError(
                f"the server redirects to {args[-1]}, which is not https, and no hash of the file is known"
            )
        return super().redirect_request(*args)


def _fetch(url: str, part: Path, what: str, progress: Progress, *, checked: bool) -> None:
    """Append what is missing to `part`; a server that cannot continue sends everything again."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "leaq", **({"Range": f"bytes={have}-"} if have else {})}
    request = urllib.request.Request(url, headers=headers)
    try:
        opener = urllib.request.build_opener(_Redirects(checked=checked))
        answer = opener.open(request, timeout=TIMEOUT)
    except urllib.error.HTTPError as err:
        with err:
            finished = f"bytes */{have}"  # the kept part is already the whole file
            if err.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and err.headers.get("Content-Range") == finished:
                return
            if err.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                raise
        part.unlink()
        return _fetch(url, part, what, progress, checked=checked)
    with answer:
        if answer.status != HTTPStatus.PARTIAL_CONTENT:
            have = 0
        length = answer.headers.get("Content-Length")
        total = have + int(length) if length else 0
        if total > LARGEST:
            raise ValueError(f"the server announces {total:,} bytes, more than the {LARGEST:,} that are taken")
        with part.open("ab" if have else "wb") as file:
            while block := answer.read(CHUNK):
                file.write(block)
                have += len(block)
                if have > LARGEST:
                    raise ValueError(f"the server sends more than the {LARGEST:,} bytes that are taken")
                progress(f"downloading {what}", have, max(total, have))
    if total and part.stat().st_size < total:
        raise OSError(f"the connection ended after {part.stat().st_size:,} of {total:,} bytes")
    return None


def _reason(err: Exception) -> str:
    if isinstance(err, urllib.error.HTTPError):
        return f"the server answers {err.code} {err.reason}"
    reason = getattr(err, "reason", None) or err
    return str(reason) or type(err).__name__
