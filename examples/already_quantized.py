"""Audit what is shipped beside its original: a torchao module, a GGUF file. Needs the extras `torchao` and `gguf`."""

import copy
import tempfile
from pathlib import Path

import gguf
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn
from torchao.quantization import Int8WeightOnlyConfig, quantize_

import leaq

torch.manual_seed(0)
digits = load_digits()
x, y = (digits.images[:, None] / 16).astype(np.float32), digits.target
inside = np.random.default_rng(0).permutation(len(y)) % 6 == 0

model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(288, 64), nn.ReLU(), nn.Linear(64, 10)
)  # fmt: skip
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
inputs, targets = torch.from_numpy(x[inside]), torch.from_numpy(y[inside])
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(inputs), targets).backward()
    optimizer.step()

shipped = copy.deepcopy(model).eval()
quantize_(shipped, Int8WeightOnlyConfig(version=2))

# A GGUF file as llama.cpp's own package writes it: 4-bit blocks of 32 for matrices, the rest as it is.
file = Path(tempfile.mkdtemp()) / "digits-q4_0.gguf"
writer = gguf.GGUFWriter(str(file), "digits")
for name, tensor in model.state_dict().items():
    kind = gguf.GGMLQuantizationType.Q4_0 if tensor.ndim == 2 else gguf.GGMLQuantizationType.F32
    writer.add_tensor(name, gguf.quants.quantize(tensor.numpy(), kind), raw_dtype=kind)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()

result = leaq.audit(
    model,
    members=(x[inside], y[inside]),
    nonmembers=(x[~inside], y[~inside]),
    quantizers=["uniform(bits=8)", "sign"],
    shipped={"torchao int8": shipped, "llama.cpp Q4_0": file},
)
for row in result.rows:
    print(row.label, row.size.bytes, "bytes", row.metrics["accuracy"], row.attacks["threshold"].advantage)
    for flag in row.flags:
        if flag.code == "recipe":
            print("   ", flag.text)
