"""Quantizers: which weights a released model has after post-training quantization.

Every quantizer is a small frozen configuration with one contract (`leaq.quantizers.scheme.Scheme`), named in
`QUANTIZERS`, so that ``ternary(sparsity=0.9)`` means the same in Python, in TOML and on the command line.
"""

from typing import TYPE_CHECKING

from leaq.lazy import found_in
from leaq.quantizers.binary_ternary import Sign, SparseRefit, Ternary, Twn
from leaq.quantizers.calibrated import AdaRound, BiasCorrection, Gptq
from leaq.quantizers.calibration import Calibration
from leaq.quantizers.codebooks import FP4, NF4, KMeans, PowerOfTwo
from leaq.quantizers.distilled import Distilled
from leaq.quantizers.disturbed import Gaussian, Pruned
from leaq.quantizers.equalised import Equalised
from leaq.quantizers.float_formats import BFloat16, Float8, Float16
from leaq.quantizers.identity import Identity
from leaq.quantizers.registry import QUANTIZERS, build, families, parse_list
from leaq.quantizers.scheme import Bits, Needs, Scheme, quantizable
from leaq.quantizers.stochastic_rounding import Dithered, Stochastic
from leaq.quantizers.together import ReleaseSet, parse_together
from leaq.quantizers.uniform import Uniform

if TYPE_CHECKING:
    from leaq.quantizers.files.packing import pack, read_weights, unpack

__all__ = [
    "FP4",
    "NF4",
    "QUANTIZERS",
    "AdaRound",
    "BFloat16",
    "BiasCorrection",
    "Bits",
    "Calibration",
    "Distilled",
    "Dithered",
    "Equalised",
    "Float8",
    "Float16",
    "Gaussian",
    "Gptq",
    "Identity",
    "KMeans",
    "Needs",
    "PowerOfTwo",
    "Pruned",
    "ReleaseSet",
    "Scheme",
    "Sign",
    "SparseRefit",
    "Stochastic",
    "Ternary",
    "Twn",
    "Uniform",
    "build",
    "families",
    "pack",
    "parse_list",
    "parse_together",
    "quantizable",
    "read_weights",
    "unpack",
]

# Names, options and refusals must be had without torch; files of weights are read with it.
__getattr__ = found_in(__name__, dict.fromkeys(("pack", "read_weights", "unpack"), "leaq.quantizers.files.packing"))
