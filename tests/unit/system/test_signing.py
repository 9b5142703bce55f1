import pytest

from leaq.errors import InvalidInput
from leaq.system.signing import read_public_key, sign, signed_by
from tests.helpers import require


def test_who_signed_is_told_and_one_changed_byte_is_not_signed(keys):
    private, public = keys
    signature = sign(b"0.72", private)
    assert signed_by(b"0.72", signature) == read_public_key(public)
    assert signed_by(b"0.73", signature) is None


@pytest.mark.parametrize(
    "change", [{"value": "AAAA"}, {"value": "not base64!"}, {"algorithm": "rsa"}, {"public_key": ""}]
)
def test_a_broken_signature_is_nobodys(keys, change):
    assert signed_by(b"x", {**sign(b"x", keys[0]), **change}) is None
    assert signed_by(b"x", {}) is None


def test_what_is_no_key_is_refused_with_how_to_make_one(keys, tmp_path):
    with pytest.raises(InvalidInput, match="There is no key file .* openssl genpkey -algorithm ed25519"):
        sign(b"x", tmp_path / "absent.pem")
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(InvalidInput, match="must hold an unencrypted private key"):
        sign(b"x", tmp_path / "text.pem")
    with pytest.raises(InvalidInput, match="must hold an unencrypted private key"):
        sign(b"x", keys[1])


def test_a_key_of_another_kind_is_refused(tmp_path):
    require("cryptography")
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    place = tmp_path / "x.pem"
    raw = X25519PrivateKey.generate().private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, form.NoEncryption())
    place.write_bytes(raw)
    with pytest.raises(InvalidInput, match="must hold an Ed25519 key"):
        sign(b"x", place)
