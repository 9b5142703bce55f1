import numpy as np
import pytest
import torch
from torch import nn

from leaq.errors import InvalidInput, StoreError
from leaq.models.formats import describe_file
from leaq.pipeline.finished.shipped import open_shipped
from tests.helpers import require
from tests.unit.models.formats.producers import gguf_file, net


@pytest.mark.parametrize("kind", ["IQ1_S", "IQ1_M", "IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ3_XXS", "IQ3_S", "NVFP4"])
def test_gguf_types_that_only_llama_cpp_writes(tmp_path, rng, kind):
    gguf = pytest.importorskip("gguf")
    own = gguf.GGMLQuantizationType[kind]
    size, width = gguf.GGML_QUANT_SIZES[own]
    packed = rng.integers(1, 59, (8, 256 // size * width), dtype=np.uint8)  # no half-precision scale is infinite
    value = torch.tensor(np.array(gguf.quants.dequantize(packed, own)))
    module = torch.nn.Linear(256, 8, bias=False)
    with torch.no_grad():
        module.weight.copy_(value)
    writer = gguf.GGUFWriter(str(tmp_path / "m.gguf"), "perceptron")
    writer.add_tensor("weight", packed, raw_dtype=own)
    for write in ("write_header_to_file", "write_kv_data_to_file", "write_tensors_to_file", "close"):
        getattr(writer, write)()
    opened = open_shipped(tmp_path / "m.gguf", module, name="m")
    assert torch.equal(opened.module.weight, value)
    assert opened.stored == {"weight": f"GGUF {kind}"}
    assert opened.bytes == packed.nbytes


def test_gguf_files_that_end_early_or_hold_another_model_are_named(tmp_path):
    require("gguf")
    module = net()
    gguf_file(tmp_path / "m.gguf", module, "Q4_0")
    content = (tmp_path / "m.gguf").read_bytes()
    for size in (6, 100, len(content) - 2000):
        (tmp_path / "cut.gguf").write_bytes(content[:size])
        with pytest.raises(StoreError, match="cut.gguf: this is no readable GGUF file, or it ends early"):
            open_shipped(tmp_path / "cut.gguf", module, name="m")
    with pytest.raises(InvalidInput, match="architecture 'perceptron' with 3 F32, 3 Q4_0 tensors; missing: 1.weight"):
        open_shipped(tmp_path / "m.gguf", nn.Sequential(nn.Linear(128, 64), nn.Linear(64, 64)), name="m")
    assert describe_file(tmp_path / "m.gguf") == "a GGUF file of architecture 'perceptron' with 3 F32, 3 Q4_0 tensors"
