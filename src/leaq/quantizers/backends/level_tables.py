"""GGUF types whose levels are a table: ternary, 4-bit floats (MXFP4), and the 4-bit i-quants of ggml.

The package `gguf` encodes ternary types and MXFP4 itself, and decodes all. Of i-quants it has no encoder; here is that
of ggml where no importance of weights is given, every step in 32 bits and in ggml's order, so that the bytes are those
of llama.cpp's own files. Those of fewer bits (IQ1_S to IQ2_XS) llama.cpp does not write without an importance matrix.
Source: ggml, ggml-quants.c, `quantize_row_iq4_nl_impl`; OCP Microscaling Formats 1.0 for MXFP4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from leaq.quantizers.backends.k_quants import (
    AT_ONCE,
    SMALLEST,
    Bytes,
    Singles,
    blocks_at_once,
    from_halves,
    largest_of,
    round_half_even,
    summed,
)

TRIES = 7
"""Ways to round on either side of the plain one."""
IQ4 = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
"""Levels of i-quants of 4 bits."""
LEVELS4 = np.array(IQ4, dtype=np.float32)
ABOVE = np.searchsorted(LEVELS4, np.arange(IQ4[0], IQ4[-1] + 1), side="right").clip(1, len(IQ4) - 1)
"""First level above each whole number, from the lowest level on."""
E2M1 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)
"""Levels of 4-bit floats by code, doubled."""


@dataclass(frozen=True)
class LevelTable:
    """One type.

    Attributes
    ----------
    levels : by code, in steps.
    block : weights of a row that are stored together.
    run : weights that share a step.
    head : where the bytes of scales stand in a block.
    """

    levels: tuple[int, ...]
    block: int
    run: int
    head: slice


LEVEL_TABLES = {
    "MXFP4": LevelTable(E2M1, 32, 32, slice(0, 1)),
    "TQ1_0": LevelTable((-1, 0, 1), 256, 256, slice(52, 54)),
    "TQ2_0": LevelTable((-1, 0, 1), 256, 256, slice(64, 66)),
    "IQ4_NL": LevelTable(IQ4, 32, 32, slice(0, 2)),
    "IQ4_XS": LevelTable(IQ4, 256, 32, slice(0, 8)),
}


def steps_table(head: Bytes, kind: str) -> Singles:
    """Return the step of each run (n, runs) that the bytes of scales (n, h) hold.

    Examples
    --------
    >>> steps_table(np.array([[127], [128]], dtype=np.uint8), "MXFP4").ravel().tolist()
    [0.5, 1.0]
    """
    if kind == "MXFP4":  # an exponent, of half a step; below 2 a subnormal number
        e = head.astype(np.uint32)
        bits = np.where(e < 2, np.uint32(0x00200000) << e, (np.maximum(e, 1) - 1) << np.uint32(23))
        return np.asarray(bits.astype(np.uint32).view(np.float32))
    if kind != "IQ4_XS":
        return from_halves(head)
    high = np.ascontiguousarray(head[:, 2:4]).view(np.uint16) >> np.arange(0, 16, 2, dtype=np.uint16)
    low = np.stack([head[:, 4:] & 15, head[:, 4:] >> 4], 2).reshape(len(head), 8)
    counts = (low | ((high & 3).astype(np.uint8) << 4)).astype(np.float32) - np.float32(32)
    steps: Singles = from_halves(head[:, :2]) * counts
    return steps


def encode_table(weights: Singles, kind: str) -> tuple[Bytes, Bytes]:
    """Return the codes (n, block) of an i-quant and the bytes (n, h) of its scales.

    Examples
    --------
    >>> codes, head = encode_table(np.linspace(-1, 1, 32, dtype=np.float32)[None], "IQ4_NL")
    >>> codes.shape, head.shape, int(codes[0, 0]), int(codes[0, -1])
    ((1, 32), (1, 2), 0, 15)
    """
    form = LEVEL_TABLES[kind]
    found = [
        (_many if form.block > form.run else _one)(part) for part in blocks_at_once(weights, AT_ONCE * 16 // form.block)
    ]
    codes, heads = (np.concatenate(made) for made in zip(*found, strict=True))
    return codes, heads


def pack_table(codes: Bytes, head: Bytes) -> Bytes:
    """Return blocks of an i-quant as they stand in a file: scales, then two codes of a run in a byte."""
    runs = codes.reshape(len(codes), -1, 2, 16)
    return np.hstack([head, (runs[:, :, 0] | (runs[:, :, 1] << 4)).reshape(len(codes), -1)])


def _one(weights: Singles) -> tuple[Bytes, Bytes]:
    scale = _best(weights.T.copy())
    codes = _nearest_level(weights * _inverse(scale)[:, None])
    return codes, scale.astype(np.float16)[:, None].view(np.uint8)


def _many(weights: Singles) -> tuple[Bytes, Bytes]:
    """IQ4_XS: the steps of eight runs are counted in steps of a block, 6 bits each."""
    n = len(weights)
    scales = _best(weights.reshape(-1, 32).T.copy()).reshape(n, 8)
    d = (-largest_of(scales.T) / np.float32(32)).astype(np.float32)
    counts = round_half_even(_inverse(d)[:, None] * scales).clip(-32, 31)
    steps = d[:, None] * counts.astype(np.float32)
    codes = _nearest_level(weights.reshape(n, 8, 32) * _inverse(steps)[..., None]).reshape(n, 256)
    stored = (counts + 32).astype(np.uint8)
    high = np.zeros(n, dtype=np.uint16)
    for run in range(8):
        high |= (stored[:, run] >> 4).astype(np.uint16) << np.uint16(2 * run)
    low = (stored[:, ::2] & 15) | ((stored[:, 1::2] & 15) << 4)
    return codes, np.hstack([d.astype(np.float16)[:, None].view(np.uint8), high[:, None].view(np.uint8), low])


def _best(x: Singles) -> Singles:
    """Return the step (m,) of each run (size, m): least squares over ways to round, errors weighted by squares."""
    most, w = largest_of(x), x * x
    there = np.abs(most) >= SMALLEST

    def rounded(inverse: Singles) -> tuple[Singles, Singles]:
        q = LEVELS4[_nearest_level(inverse * x)]
        return summed(w * q * x), summed(w * q * q)

    with np.errstate(all="ignore"):  # of runs of zeros; they are overwritten
        along, square = rounded(np.float32(1) / (-most / np.float32(IQ4[0])))
        scale = np.where(square > 0, along / square, np.float32(0))
        best = scale * along
        for at in range(-TRIES, TRIES + 1):
            along, square = rounded(np.float32(at + IQ4[0]) / most)
            better = (square > 0) & (along * along > best * square)
            scale = np.where(better, along / square, scale)
            best = np.where(better, scale * along, best)
    found: Singles = np.where(there, scale, np.float32(0))
    return found


def _inverse(step: Singles) -> Singles:
    found: Singles = np.divide(np.float32(1), step, out=np.zeros_like(step), where=step != 0)
    return found


def _nearest_level(x: Any) -> Bytes:
    """Return the code of the nearest level; half-way the higher one."""
    whole = np.floor(x).clip(IQ4[0], IQ4[-1]).astype(np.int16)
    above = ABOVE[whole - IQ4[0]]
    nearer_below = x - LEVELS4[above - 1] < LEVELS4[above] - x
    codes: Bytes = np.where(nearer_below, above - 1, above).astype(np.uint8)
    return codes
