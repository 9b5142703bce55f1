"""A model that stays in its GGUF file is the one that transformers reads from it."""

import pytest
import torch

from leaq.errors import StoreError
from leaq.models.causal import load_causal
from leaq.models.causal_gguf import open_causal_gguf, stays_in_gguf
from leaq.types.later import is_later
from tests.unit.models.formats.producers import gguf_file
from tests.unit.pipeline.finished.test_files import written


def assert_same_model(left, whole):
    """Check that a model whose matrices stay in its file is the one that was read whole."""
    mine, theirs = left.state_dict(), whole.state_dict()
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], tensor) for name, tensor in theirs.items())
    assert all(is_later(tensor) == (tensor.ndim > 1) for tensor in left.parameters())
    ids = torch.arange(12).reshape(2, 6)
    with torch.no_grad():
        torch.testing.assert_close(left(ids).logits, whole(ids).logits)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", ["Q4_0", "Q5_1", "F16"])
def test_weights_in_the_file_are_those_that_transformers_reads(tmp_path, kind):
    path, *_ = written(tmp_path, kind)
    whole, _ = load_causal(path)
    left, tokenizer = load_causal(path, in_file=True)
    assert tokenizer("a b")["input_ids"]
    assert_same_model(left, whole)


@pytest.mark.filterwarnings("ignore")
def test_a_file_that_lacks_a_weight_is_named(tmp_path):
    from tests.unit.models.formats.producers import llama

    class Lacking(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = llama()
            self.config = self.inner.config

        def state_dict(self, **_):
            return {name: t for name, t in self.inner.state_dict().items() if "layers.1.mlp.down" not in name}

    path, *_ = written(tmp_path, model=Lacking())
    with pytest.raises(
        StoreError, match="'m.gguf' must hold every weight of the model. Missing: model.layers.1.mlp.down"
    ):
        open_causal_gguf(path)


def test_other_files_are_left_to_transformers(tmp_path):
    gguf_file(tmp_path / "net.gguf", torch.nn.Sequential(torch.nn.Linear(32, 2)), "Q8_0")
    assert not stays_in_gguf(tmp_path / "net.gguf")
    gguf_file(tmp_path / "moe.gguf", torch.nn.Sequential(torch.nn.Linear(32, 2)), "Q8_0", arch="qwen2moe")
    assert not stays_in_gguf(tmp_path / "moe.gguf")
