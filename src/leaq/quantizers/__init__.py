"""Quantizers: which weights a released model has after post-training quantization.

Every quantizer is a small frozen configuration with one contract (`leaq.quantizers.scheme.Scheme`), named in
`QUANTIZERS`, so that ``ternary(sparsity=0.9)`` means the same in Python, in TOML and on the command line.
"""

from leaq.quantizers.registry import QUANTIZERS, build, families, parse_list
from leaq.quantizers.scheme import Bits, Scheme
from leaq.quantizers.schemes import Identity, Sign, Ternary, Uniform

__all__ = [
    "QUANTIZERS",
    "Bits",
    "Identity",
    "Scheme",
    "Sign",
    "Ternary",
    "Uniform",
    "build",
    "families",
    "parse_list",
]
