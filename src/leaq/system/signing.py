"""Signatures of what is handed on: who says so, which a checksum cannot tell.

Ed25519 (RFC 8032) over the bytes as they are. Keys are PEM files as openssl writes them; the package `cryptography` is
imported when one is used.
"""

import base64
import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leaq.errors import InvalidInput, need
from leaq.system.files import no_file

ALGORITHM = "ed25519"
PURPOSE = "Signing a card, and checking a signature,"


def sign(content: bytes, key_file: str | Path) -> dict[str, str]:
    """Return the signature of some bytes: the algorithm, the public key and the value, both in base64.

    Raises
    ------
    InvalidInput
        If the file holds no Ed25519 private key without a passphrase.
    MissingExtra
        If `cryptography` is not installed.
    """
    serialization = need("cryptography.hazmat.primitives.serialization", extra="sign", purpose=PURPOSE)
    key = _key(key_file, lambda held: serialization.load_pem_private_key(held, password=None), "sign")
    raw = {"encoding": serialization.Encoding.Raw, "format": serialization.PublicFormat.Raw}
    public = key.public_key().public_bytes(**raw)
    return {"algorithm": ALGORITHM, "public_key": _text(public), "value": _text(key.sign(content))}


def signed_by(content: bytes, signature: Mapping[str, Any]) -> str | None:
    """Return the fingerprint of the key that signed these very bytes; None if the signature is not theirs."""
    ed25519 = need("cryptography.hazmat.primitives.asymmetric.ed25519", extra="sign", purpose=PURPOSE)
    invalid = need("cryptography.exceptions", extra="sign", purpose=PURPOSE).InvalidSignature
    try:
        public = base64.b64decode(str(signature["public_key"]), validate=True)
        value = base64.b64decode(str(signature["value"]), validate=True)
        if signature["algorithm"] != ALGORITHM:
            return None
        ed25519.Ed25519PublicKey.from_public_bytes(public).verify(value, content)
    except (invalid, KeyError, ValueError):
        return None
    return fingerprint(public)


def read_public_key(key_file: str | Path) -> str:
    """Return the fingerprint of a public key in a PEM file."""
    serialization = need("cryptography.hazmat.primitives.serialization", extra="sign", purpose=PURPOSE)
    key = _key(key_file, serialization.load_pem_public_key, "verify")
    raw = {"encoding": serialization.Encoding.Raw, "format": serialization.PublicFormat.Raw}
    return fingerprint(key.public_bytes(**raw))


def fingerprint(public: bytes) -> str:
    """Return a short name of a public key: the start of its SHA-256.

    Examples
    --------
    >>> fingerprint(bytes(32))
    '66687aadf862bd776c8fc18b8e9f8e20'
    """
    return hashlib.sha256(public).hexdigest()[:32]


def _key(key_file: str | Path, load: Any, able_to: str) -> Any:
    """Return the key in a PEM file that can sign, or verify."""
    path = Path(key_file)
    kind = "private" if able_to == "sign" else "public"
    make = "openssl genpkey -algorithm ed25519 -out key.pem; openssl pkey -in key.pem -pubout -out key.pub"
    if not path.is_file():
        raise no_file(path, "key file", f"Make a pair: {make}")
    try:
        key = load(path.read_bytes())
    except (ValueError, TypeError) as err:
        raise InvalidInput(
            f"{str(path)!r} must hold an unencrypted {kind} key (PEM). Found: {err} Make one: {make}"
        ) from None
    if type(key).__name__ not in ("Ed25519PrivateKey", "Ed25519PublicKey"):
        raise InvalidInput(f"{str(path)!r} must hold an Ed25519 key. Found {type(key).__name__}. Make one: {make}")
    return key


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
