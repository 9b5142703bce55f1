"""Odd input for every reader: each trial reads one, and nothing but leaq's own error may come of it."""

import io
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save

from leaq.data.molecules import canonical_smiles
from leaq.data.readers import read_frame
from leaq.embedders import EMBEDDERS
from leaq.errors import InvalidInput
from leaq.measures.performance import drop, performance
from leaq.models.formats.onnx import Graph, load_onnx
from leaq.models.weights import read_tensors
from leaq.pipeline.finished.files import read_records_file
from leaq.quantizers import parse_list
from leaq.study import Study
from leaq.system.checksummed import read_npz
from leaq.types import LossTable

Rng = np.random.Generator
BITS = (
    "uniform(bits=4)", "uniform(bits={[]:1})", "mixture(n=20,seed=-1)", "sign", "a.b", "lambda:0", "True", "self=1",
    "data=", "(", ")", "[", "]", "{", "}", ":", ",", "=", "**x", "*a", "'a'", '"', "\'\'\'", "#", "\\", "[variants]",
    "1e999", "nan", "-1", "9" * 5000, "((((", "-" * 200, "a" * 3000, "\0", "\n", "é", "\x1b[2J",
)  # fmt: skip
TOML = """name = "x"
data = ["wine", {source = "digits", target = "y"}]
embedders = ["auto"]
quantizers = ["sign", "uniform(bits=4)"]
seeds = [0, 1]
threads = 1
[[heads]]
hidden = [8]
epochs = 2
[audit]
replicates = 4
[variants.quick]
seeds = [0]
"""
ATOM = "    0.0000    0.0000    0.0000 C   0  0\n"
SDF = f"\n  x\n\n  1  0  0  0  0  0  0  0  0  0999 V2000\n{ATOM}M  END\n> <y>\n1\n\n$$$$\n"


def mangled_text(rng: Rng, text: str) -> str:
    """Insert, remove and exchange a few things."""
    for _ in range(int(rng.integers(1, 5))):
        at, way = int(rng.integers(len(text) + 1)), rng.random()
        if way < 0.4:
            text = text[:at] + BITS[int(rng.integers(len(BITS)))] + text[at:]
        elif way < 0.7:
            text = text[:at] + text[at + int(rng.integers(1, 6)) :]
        else:
            text = text[:at] + chr(int(rng.integers(1, 0x250))) + text[at + 1 :]
    return text


def mangled(rng: Rng, content: bytes) -> bytes:
    """Cut, flip, exchange, insert or double some bytes."""
    found, way = bytearray(content), int(rng.integers(5))
    at = int(rng.integers(len(found)))
    if way == 0:
        return bytes(found[:at])
    if way == 1:
        found[at] ^= 1 << int(rng.integers(7))
    elif way == 2:
        for _ in range(int(rng.integers(1, 6))):
            found[int(rng.integers(len(found)))] = int(rng.integers(256))
    elif way == 3:
        found[at:at] = bytes(rng.integers(0, 256, int(rng.integers(1, 40)), dtype=np.uint8))
    else:
        found[at:at] = found[: int(rng.integers(1, len(found) + 1))]
    return bytes(found)


def specifications(rng: Rng, _: Path) -> None:
    """Quantizers and embedders by name."""
    known = ["uniform(bits=4, per=channel)", "ternary(sparsity=0.9)", "sign", "ecfp4", "morgan(radius=3)", *BITS]
    text = mangled_text(rng, known[int(rng.integers(len(known)))])
    if rng.random() < 0.5:
        parse_list(text)
    else:
        EMBEDDERS.build(text)


def study_files(rng: Rng, _: Path) -> None:
    """TOML, with and without a variant."""
    Study.from_toml_text(mangled_text(rng, TOML), variant="quick" if rng.random() < 0.3 else None)


@cache
def whole(kind: str) -> bytes:
    """A file of each form, undamaged."""
    frame = pd.DataFrame({"x0": np.arange(40) / 7, "name": ["é,\n", "b"] * 20, "y": np.arange(40) % 2})
    buffer = io.BytesIO()
    if kind == "npz":
        np.savez_compressed(buffer, x=np.arange(120.0).reshape(40, 3), y=np.arange(40), name=np.array(["a"] * 40))
    elif kind == "parquet":
        frame.to_parquet(buffer)
    elif kind == "jsonl":
        frame.to_json(buffer, orient="records", lines=True)
    elif kind == "sdf":
        return (SDF * 5).encode()
    elif kind == "safetensors":
        return save({"layer.weight": torch.ones(4, 3), "layer.bias": torch.zeros(4)})
    else:
        frame.to_csv(buffer, index=False, sep="\t" if kind == "tsv" else ",")
    return buffer.getvalue()


def file_of(kind: str):
    """A trial that reads a damaged file of one form as `leaq audit` does."""

    def trial(rng: Rng, folder: Path) -> None:
        path = folder / f"m.{kind}"
        path.write_bytes(mangled(rng, whole(kind)))
        if kind == "safetensors":
            read_tensors(path)
        elif kind == "npz" and rng.random() < 0.5:
            read_records_file(path)
        else:
            read_frame(path)

    return trial


def arrays(rng: Rng, _: Path) -> None:
    """Loss tables of every type, shape and range, and what measures find in those that can be built."""
    s, c, n, k = (int(x) for x in rng.integers(1, (4, 3, 12, 4)))

    def odd(array):
        kinds = (np.float16, np.float32, np.int8, np.bool_, complex, object, "U3", "datetime64[s]", ">f8")
        way = rng.random()
        if way < 0.15:
            with np.errstate(all="ignore"):
                return np.asarray(np.asarray(array).astype(kinds[int(rng.integers(len(kinds)))]))
        if way < 0.25:
            array = np.array(array, float)
            array.flat[int(rng.integers(array.size))] = (np.nan, np.inf, -1.0, 1e300)[int(rng.integers(4))]
            return array
        return array[..., :-1] if way < 0.3 else array

    def table():
        return LossTable(
            losses=odd(rng.exponential(size=(s, c, n))), members=rng.random((s, n)) < rng.choice([0.0, 0.5, 1.0]),
            task=str(rng.choice(["classification", "regression", "ranking"], p=[0.6, 0.35, 0.05])), game="pool",
            n_train=(1, n, 0, -3, 1e30)[int(rng.choice(5, p=[0.4, 0.4, 0.1, 0.05, 0.05]))],
            scores=odd(rng.normal(size=(s, n))), outputs=odd(rng.normal(size=(s, n, k))),
            targets=odd(rng.integers(0, k, n)), groups=odd(np.arange(n)),
        )  # fmt: skip

    found = table()
    performance(found, draws=5)
    drop(found, found, draws=5)


def bombs(rng: Rng, folder: Path) -> None:
    """Small files and texts with large claims: refused before memory is given to them."""
    which = int(rng.integers(7))
    size = int(10 ** rng.uniform(9.5, 14))
    if which == 0:
        header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({size},)}}".ljust(117) + "\n"
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
        read_npz(buffer.getvalue(), name="bomb")
        raise AssertionError("a bomb was read")
    if which == 1:
        parse_list("(" * min(size, 10**6))
    elif which == 2:
        EMBEDDERS.build("a" * min(size, 10**6))
    elif which == 3:
        Study.from_toml_text("a=" + "[" * 10**5)
    elif which == 4:
        assert canonical_smiles(["C" * min(size, 10**6), "C1" * min(size, 10**6), "CCO"]) == [None, None, "CCO"]
        raise InvalidInput("molecules that are none")
    elif which == 5:
        from onnx import TensorProto, helper

        claims = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[size], raw_data=b"\0" * 16)
        graph = helper.make_graph([], "g", [], [], [claims])
        (folder / "m.onnx").write_bytes(helper.make_model(graph).SerializeToString())
        Graph(load_onnx(folder / "m.onnx")).weights()
        raise AssertionError("a bomb was read")
    else:
        head = f'{{"w":{{"dtype":"F32","shape":[{size}],"data_offsets":[0,{4 * size}]}}}}'.encode()
        (folder / "w.safetensors").write_bytes(len(head).to_bytes(8, "little") + head + b"\0" * 16)
        read_tensors(folder / "w.safetensors")
        raise AssertionError("a bomb was read")
