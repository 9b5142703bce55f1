"""A GGUF file is refused before anything is made of what it claims; what is whole is read as the package reads it."""

import struct

import numpy as np
import pytest

from leaq.errors import StoreError
from leaq.models.formats.gguf_file import open_gguf
from tests.helpers import require


def content(*values, tensors=b"", count=0):
    """A file of (name, type, bytes) and heads of tensors."""
    named = [struct.pack("<Q", len(name)) + name + struct.pack("<I", kind) + rest for name, kind, rest in values]
    return b"GGUF" + struct.pack("<IQQ", 3, count, len(values)) + b"".join(named) + tensors


def head(*sizes, name=b"w", kind=0, at=0):
    return struct.pack(f"<Q{len(name)}sI{len(sizes)}QIQ", len(name), name, len(sizes), *sizes, kind, at)


HUGE = 2**60


@pytest.mark.parametrize(
    "damaged",
    [
        content((b"a", 9, struct.pack("<IQ", 4, HUGE))),
        content((b"a", 9, struct.pack("<IQ", 8, HUGE))),
        content((b"a", 9, struct.pack("<IQ", 9, HUGE))),
        content((b"a", 9, struct.pack("<IQ", 77, 5))),
        content((b"a", 9, struct.pack("<IQ", 9, 1) * 9)),
        content((b"a", 8, struct.pack("<Q", HUGE))),
        content((b"a", 4, b"")),
        content((b"a", 4, b"abcd"), (b"a", 4, b"abcd")),
        content((b"general.alignment", 4, struct.pack("<I", 3)), tensors=head(4), count=1),
        content(count=HUGE),
        b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE),
        content(tensors=head(HUGE), count=1),
        content(tensors=head(2**32, 2**32), count=1),
        content(tensors=head(0, HUGE), count=1),
        content(tensors=head(4, at=HUGE), count=1),
        content(tensors=head(33, kind=8), count=1),
        content(tensors=head(4, kind=999), count=1),
        content(tensors=head(4) + head(4), count=2),
        content(tensors=head(*[1] * 9), count=1),
        b"GGUF" + struct.pack(">IQQ", 3, 0, 0),
        b"GGUF",
        b"",
    ],
)
def test_claims_that_the_bytes_do_not_hold_are_refused(tmp_path, damaged):
    require("gguf")
    (tmp_path / "m.gguf").write_bytes(damaged)
    with pytest.raises(StoreError, match=r"m.gguf: this is no readable GGUF file, or it ends early \(.+\). Download"):
        open_gguf(tmp_path / "m.gguf")


def test_values_and_tensors_are_those_of_the_package(tmp_path, rng):
    require("gguf")
    import gguf

    rows = rng.normal(size=(3, 64)).astype(np.float32)
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "mlp")
    writer.add_array("tokens", ["a", "bc", ""])
    writer.add_array("scores", [1.0, 2.0])
    writer.add_uint64("blocks", 7)
    for kind in ("F32", "F16", "BF16", "Q4_0", "Q8_0"):
        own = gguf.GGMLQuantizationType[kind]
        writer.add_tensor(kind, gguf.quants.quantize(rows, own), raw_dtype=own)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    found = open_gguf(tmp_path / "m.gguf")
    assert found.fields == {"general.architecture": "mlp", "tokens": None, "scores": None, "blocks": 7}
    theirs = gguf.GGUFReader(str(tmp_path / "m.gguf")).tensors
    assert [tensor.name for tensor in found.tensors] == [tensor.name for tensor in theirs]
    for ours, other in zip(found.tensors, theirs, strict=True):
        assert ours.shape == (3, 64)
        assert ours.kind == other.tensor_type
        np.testing.assert_array_equal(ours.data, other.data)
    assert found.bytes == sum(other.n_bytes for other in theirs)
