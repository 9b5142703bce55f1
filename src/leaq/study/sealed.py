"""Results as files that know when a byte of them is missing or changed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaq.errors import StoreError
from leaq.files import read_bytes

__all__ = ["DamagedFile", "seal", "unseal"]


class DamagedFile(StoreError):
    """A file is truncated, or was changed after it was written; what it held must be computed again."""


def seal(text: str) -> str:
    """Put the checksum of a JSON object's fields into it."""
    plain = json.loads(text)
    return json.dumps({"checksum": _checksum(plain), **plain}, indent=1) + "\n"


def unseal(path: Path) -> dict[str, Any]:
    """Return the JSON values that were sealed; raises `DamagedFile` if it is not what was written."""
    try:
        plain: dict[str, Any] = json.loads(read_bytes(path))
        stated = plain.pop("checksum")
    except (ValueError, KeyError, AttributeError, TypeError) as err:
        raise DamagedFile(
            f"{str(path)!r} is truncated or no result of leaq ({err}). Run the same command again to compute it anew."
        ) from None
    if stated != _checksum(plain):
        raise DamagedFile(
            f"{str(path)!r} was changed after it was written (checksum). Run the same command again to compute it anew."
        )
    return plain


def _checksum(plain: Mapping[str, Any]) -> str:
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
