import functools
import http.server
import threading

import pytest
import torch
from safetensors.torch import save_file

from leaq.embedders import EMBEDDERS
from leaq.errors import InvalidInput
from leaq.models.nets.pretrained import GraphNetwork
from leaq.models.nets.weights import KNOWN, Weights, check_shapes, pretrained_weights, tensor_sha256
from leaq.system.files import sha256_of
from tests.helpers import require

TENSORS = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.tensor(3)}


def weights(**changes):
    options = {
        "file": "w.safetensors", "sha256": tensor_sha256(TENSORS), "address": "", "upstream_sha256": "",
        "source": "s", "licence": "MIT", "pretrained": "nothing",
    }  # fmt: skip
    return Weights(**{**options, **changes})


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("LEAQ_WEIGHTS_DIR", str(tmp_path))
    return tmp_path


def test_known_weights_come_from_the_folder(folders):
    save_file(TENSORS, folders / "w.safetensors", metadata={"any": "header"})
    assert torch.equal(pretrained_weights(weights())["a"], TENSORS["a"])


def test_a_wrong_hash_is_refused(folders):
    save_file({**TENSORS, "b": torch.tensor(4)}, folders / "w.safetensors")
    with pytest.raises(
        InvalidInput, match=r"w\.safetensors: these weights must have content hash .*another version, or"
    ):
        pretrained_weights(weights())


def test_a_pickled_checkpoint_is_not_read(folders):
    torch.save(TENSORS, folders / "w.pth")
    with pytest.raises(InvalidInput, match=r"must be a safetensors file.*can run any code"):
        pretrained_weights(weights(), own=str(folders / "w.pth"))


def test_an_absent_own_file_is_refused(folders):
    with pytest.raises(InvalidInput, match="There is no weights file"):
        pretrained_weights(weights(), own=str(folders / "nowhere.safetensors"))


def test_without_address_or_network_it_is_told_what_to_put_where():
    with pytest.raises(InvalidInput, match=r"a format leaq does not read.*cache/weights/w\.safetensors', or name its"):
        pretrained_weights(weights())
    with pytest.raises(InvalidInput, match=r"cannot be downloaded from http://127\.0\.0\.1:9/w\.pth.*LEAQ_WEIGHTS_DIR"):
        pretrained_weights(weights(address="http://127.0.0.1:9/w.pth"))


def test_a_downloaded_checkpoint_becomes_safetensors(folders):
    root = folders / "upstream"
    root.mkdir()
    torch.save(TENSORS, root / "w.pth")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(root))) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        address = f"http://127.0.0.1:{httpd.server_port}/w.pth"
        known = weights(address=address, upstream_sha256=sha256_of(root / "w.pth"))
        try:
            found = pretrained_weights(known)
            with pytest.raises(InvalidInput, match="must have sha256 1111"):
                pretrained_weights(weights(file="v.safetensors", address=address, upstream_sha256="1" * 64))
        finally:
            httpd.shutdown()
            thread.join()
    assert tensor_sha256(found) == known.sha256
    assert [path.name for path in (folders / "cache" / "weights").iterdir() if path.suffix != ".lock"] == [
        "w.safetensors"
    ]
    assert tensor_sha256(pretrained_weights(known)) == known.sha256


def test_names_and_shapes_must_be_the_architecture_s():
    check_shapes("net", TENSORS, {"a": (2, 3), "b": ()})
    with pytest.raises(InvalidInput, match=r"net: the tensor 'a' must have shape \(3, 2\)\. Found \(2, 3\)"):
        check_shapes("net", TENSORS, {"a": (3, 2), "b": ()})
    with pytest.raises(InvalidInput, match=r"Absent: c; unknown: b\. They belong to another architecture"):
        check_shapes("net", TENSORS, {"a": (2, 3), "c": ()})


def test_own_weights_are_checked_by_shape_and_flagged(folders):
    require("rdkit")
    own = GraphNetwork("gcn").state_dict()
    save_file(own, folders / "own.safetensors")
    embedder = EMBEDDERS.build(f"gcn_contextpred(weights={str(folders / 'own.safetensors')!r})")
    assert embedder.encode(["CCO"]).features.shape == (1, 300)
    assert embedder.flags()[0].code == "unverified-weights"
    other = EMBEDDERS.build(f"graphsage_contextpred(weights={str(folders / 'own.safetensors')!r})")
    assert other.encode(["CCO"]).features.shape == (1, 300)  # the same shapes: only the hash could tell
    wrong = EMBEDDERS.build(f"gat_contextpred(weights={str(folders / 'own.safetensors')!r})")
    with pytest.raises(InvalidInput, match="gat_contextpred: the weights must hold exactly the network's tensors"):
        wrong.encode(["CCO"])


def test_the_hash_depends_on_names_values_and_shapes_only():
    assert tensor_sha256(dict(reversed(TENSORS.items()))) == tensor_sha256(TENSORS)
    assert tensor_sha256({**TENSORS, "a": TENSORS["a"].reshape(3, 2)}) != tensor_sha256(TENSORS)


def test_every_known_weight_is_recorded():
    for known in KNOWN.values():
        assert len(known.sha256) == len(known.upstream_sha256) == 64
        assert known.licence in ("MIT", "Apache-2.0")
        assert known.file.endswith(".safetensors")
