"""Quantization libraries behind the contract of `Scheme`: what is audited is what the library really gives.

A library runs once on each released weight; its integer codes and scales are read from its own tensors, and its own
dequantized weights must come out of them bit for bit. Libraries are imported when they first run.
"""

from leaq.quantizers.backends.base import Backend, installed
from leaq.quantizers.backends.bitsandbytes import BnbBlockwise8, BnbFP4, BnbInt8, BnbNF4
from leaq.quantizers.backends.brevitas import BrevitasInt
from leaq.quantizers.backends.compressed_tensors import CompressedTensors
from leaq.quantizers.backends.gguf import Gguf
from leaq.quantizers.backends.torchao import (
    TorchaoFloat8,
    TorchaoInt8,
    TorchaoInt8Dynamic,
    TorchaoIntx,
)

__all__ = [
    "BACKENDS",
    "Backend",
    "BnbBlockwise8",
    "BnbFP4",
    "BnbInt8",
    "BnbNF4",
    "BrevitasInt",
    "CompressedTensors",
    "Gguf",
    "TorchaoFloat8",
    "TorchaoInt8",
    "TorchaoInt8Dynamic",
    "TorchaoIntx",
    "installed",
]

BACKENDS: tuple[type[Backend], ...] = (
    TorchaoInt8,
    TorchaoIntx,
    TorchaoFloat8,
    TorchaoInt8Dynamic,
    BnbNF4,
    BnbFP4,
    BnbInt8,
    BnbBlockwise8,
    BrevitasInt,
    Gguf,
    CompressedTensors,
)
