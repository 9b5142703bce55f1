"""K-quants of ggml: how its encoder chooses scales and codes for runs of 256 weights where no importance is given.

The package `gguf` decodes these types and has no encoder of them. Every step is in 32 bits and in ggml's order, so that
the bytes are those of llama.cpp's own files (built for x86-64, where no two operations are fused into one).
Source: ggml, ggml-quants.c, `quantize_row_q2_K_ref` to `quantize_row_q6_K_ref`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

Bytes = np.ndarray[Any, Any]
"""Of 8 bits; mypy takes shifted ones for wider."""
Singles = np.ndarray[Any, Any]
"""Of 32-bit floating point."""

BLOCK = 256
"""Weights of a row that share what their scales are counted in."""
SMALLEST = np.float32(1e-15)
"""Largest magnitude below which a run counts as zero."""
AT_ONCE = 2**14
"""Runs that are searched at once, so that they stay in the cache."""


@dataclass(frozen=True)
class KType:
    """One type.

    Attributes
    ----------
    bits : of a code.
    run : weights that share a scale.
    head : bytes of scales in a block.
    lowest : whether codes are counted from a lowest value of their run, and not from the middle.
    """

    bits: int
    run: int
    head: int
    lowest: bool


K_TYPES = {
    "Q2_K": KType(2, 16, 20, True),
    "Q3_K": KType(3, 16, 14, False),
    "Q4_K": KType(4, 32, 16, True),
    "Q5_K": KType(5, 32, 16, True),
    "Q6_K": KType(6, 16, 18, False),
}


def encode_k(weights: Singles, kind: str) -> tuple[Bytes, Bytes]:
    """Return the codes (n, 256) of blocks of weights, counted from 0, and the bytes (n, head) of their scales.

    The bytes are in the file's order: Q2_K its scales, d and dmin; Q3_K scales, d; Q4_K and Q5_K d, dmin, scales;
    Q6_K scales, d.

    Examples
    --------
    >>> codes, head = encode_k(np.linspace(-1, 1, 256, dtype=np.float32)[None], "Q4_K")
    >>> codes.shape, head.shape, int(codes.max())
    ((1, 256), (1, 16), 15)
    """
    found = [_ENCODERS[kind](part) for part in blocks_at_once(weights, AT_ONCE // (BLOCK // 16))]
    codes, heads = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return codes, heads


def blocks_at_once(weights: Singles, size: int) -> Iterator[Singles]:
    """Yield `size` blocks at a time."""
    for start in range(0, len(weights), size):
        yield np.ascontiguousarray(weights[start : start + size], dtype=np.float32)


def pack_k(codes: Bytes, head: Bytes, kind: str) -> Bytes:
    """Return blocks as they stand in a file, (n, bytes of a block)."""
    n = len(codes)
    if kind == "Q2_K":
        return np.hstack([head[:, :16], _quarters(codes), head[:, 16:]])
    if kind == "Q3_K":
        return np.hstack([_eighths(codes >> 2), _quarters(codes & 3), head])
    if kind == "Q6_K":
        low = codes.reshape(n, 2, 2, 2, 32) & 15  # (n, from_halves, codes 64 apart, codes 32 apart, codes)
        return np.hstack([(low[:, :, 0] | (low[:, :, 1] << 4)).reshape(n, -1), _quarters(codes >> 4), head])
    low = codes.reshape(n, 4, 2, 32) & 15
    pairs = (low[:, :, 0] | (low[:, :, 1] << 4)).reshape(n, -1)
    return np.hstack([head, *([_eighths(codes >> 4)] if kind == "Q5_K" else []), pairs])


def steps_k(head: Bytes, kind: str) -> tuple[Singles, Singles | None]:
    """Return the step of each run (n, runs) that the bytes of scales hold, and what is subtracted, if anything is.

    Examples
    --------
    >>> _, head = encode_k(np.linspace(-1, 1, 256, dtype=np.float32)[None], "Q6_K")
    >>> step, low = steps_k(head, "Q6_K")
    >>> step.shape, low
    ((1, 16), None)
    """
    if kind == "Q2_K":
        counts, d = head[:, :16], from_halves(head[:, 16:])
        return d[:, :1] * (counts & 15).astype(np.float32), d[:, 1:] * (counts >> 4).astype(np.float32)
    if kind == "Q3_K":
        low = np.hstack([head[:, :8] & 15, head[:, :8] >> 4])
        high = np.hstack([(head[:, 8:12] >> (2 * part)) & 3 for part in range(4)])
        return from_halves(head[:, 12:]) * ((low | (high << 4)).astype(np.float32) - 32), None
    if kind == "Q6_K":
        return from_halves(head[:, 16:]) * np.ascontiguousarray(head[:, :16]).view(np.int8).astype(np.float32), None
    d, first, second, both = from_halves(head[:, :4]), head[:, 4:8], head[:, 8:12], head[:, 12:]
    scales = np.hstack([first & 63, (both & 15) | ((first >> 2) & 48)])
    lowest = np.hstack([second & 63, (both >> 4) | ((second >> 2) & 48)])
    return d[:, :1] * scales.astype(np.float32), d[:, 1:] * lowest.astype(np.float32)


def from_halves(head: Bytes) -> Singles:
    """Return the 16-bit numbers that bytes hold, in 32 bits."""
    return np.ascontiguousarray(head).view(np.float16).astype(np.float32)


def _quarters(codes: Bytes) -> Bytes:
    """Put four codes of 2 bits, 32 apart, into a byte, (n, 256) -> (n, 64)."""
    four = codes.reshape(len(codes), 2, 4, 32).astype(np.uint8)
    return (four[:, :, 0] | (four[:, :, 1] << 2) | (four[:, :, 2] << 4) | (four[:, :, 3] << 6)).reshape(len(codes), -1)


def _eighths(bits: Bytes) -> Bytes:
    """Put eight bits, 32 apart, into a byte, (n, 256) -> (n, 32)."""
    eight = bits.reshape(len(bits), 8, 32).astype(np.uint8)
    made = np.zeros((len(bits), 32), dtype=np.uint8)
    for at in range(8):
        made |= eight[:, at] << at
    return made


# -- the types ---------------------------------------------------------------------------------------------------------


def _from_lowest(weights: Singles, kind: str) -> tuple[Bytes, Bytes]:
    """Q2_K, Q4_K and Q5_K: codes from a lowest value, both counted in steps that a block shares."""
    form, n = K_TYPES[kind], len(weights)
    x = weights.reshape(-1, form.run).T.copy()  # (run, all runs)
    size, top = np.abs(x), 15 if kind == "Q2_K" else 63
    if kind == "Q2_K":
        first = _Search(x, size, 3, low=-0.5, tries=15, squared=False)
    else:
        mean = np.sqrt(summed(x * x) / np.float32(form.run))
        low, tries = (-1.0, 20) if kind == "Q4_K" else (-0.5, 15)
        first = _Search(x, mean + size, 2**form.bits - 1, low=low, tries=tries, squared=True)
    codes, scales, lowest = first.best()
    scales, lowest = scales.reshape(n, -1), lowest.reshape(n, -1)
    step, counted = _counted(scales, top)
    shift, shifts = _counted(lowest, top)
    d = step.astype(np.float32)[:, None] * counted
    dm = shift.astype(np.float32)[:, None] * shifts
    codes = _recoded(
        weights.reshape(n, -1, form.run) + dm[..., None], d, codes.T.reshape(n, -1, form.run), middle=0, form=form
    )
    both = np.stack([step, shift], 1).view(np.uint8)
    if kind == "Q2_K":
        return codes, np.hstack([counted | (shifts << 4), both])
    return codes, np.hstack([both, _six_bits(counted, shifts)])


def _counted(scales: Singles, top: int) -> tuple[Any, Bytes]:
    """Return the step (n,) in 16 bits in which a block's scales are counted, and the counts (n, runs)."""
    largest = scales.max(1).clip(min=0)
    inverse = np.divide(np.float32(top), largest, out=np.zeros_like(largest), where=largest > 0)
    counts = round_half_even(inverse[:, None] * scales).astype(np.uint8)
    counts = counts if top == 15 else counts.clip(max=63)
    return (largest / np.float32(top)).astype(np.float16), counts


def _six_bits(scales: Bytes, lowest: Bytes) -> Bytes:
    """Put eight scales and eight lowest values of 6 bits into 12 bytes."""
    last = (scales[:, 4:] & 15) | ((lowest[:, 4:] & 15) << 4)
    return np.hstack([scales[:, :4] | ((scales[:, 4:] >> 4) << 6), lowest[:, :4] | ((lowest[:, 4:] >> 4) << 6), last])


def _q3(weights: Singles) -> tuple[Bytes, Bytes]:
    form, n = K_TYPES["Q3_K"], len(weights)
    codes, scales = _alternating(weights.reshape(-1, form.run).T.copy())
    scales = scales.reshape(n, -1)
    largest = largest_of(scales.T)
    inverse = np.divide(np.float32(-32), largest, out=np.zeros_like(largest), where=largest != 0)
    step = np.divide(np.float32(1), inverse, out=np.zeros_like(largest), where=inverse != 0).astype(np.float16)
    counts = round_half_even(inverse[:, None] * scales).astype(np.int8).clip(-32, 31)
    counts = np.where((largest != 0)[:, None], counts, np.int8(-32))
    stored = (counts + 32).astype(np.uint8)
    low = (stored[:, :8] & 15) | ((stored[:, 8:] & 15) << 4)
    high = np.zeros((n, 4), dtype=np.uint8)
    for part in range(4):
        high |= (stored[:, 4 * part : 4 * part + 4] >> 4) << (2 * part)
    d = step.astype(np.float32)[:, None] * counts.astype(np.float32)
    codes = _recoded(weights.reshape(n, -1, form.run), d, codes.T.reshape(n, -1, form.run), middle=4, form=form)
    return codes, np.hstack([low, high, step[:, None].view(np.uint8)])


def _q6(weights: Singles) -> tuple[Bytes, Bytes]:
    form, n = K_TYPES["Q6_K"], len(weights)
    codes, scales = _scaled(weights.reshape(-1, form.run).T.copy(), 32)
    scales = scales.reshape(n, -1)
    largest = largest_of(scales.T)
    empty = np.abs(largest) < SMALLEST
    inverse = np.divide(np.float32(-128), largest, out=np.zeros_like(largest), where=~empty)
    step = np.divide(np.float32(1), inverse, out=np.zeros_like(largest), where=~empty).astype(np.float16)
    counts = round_half_even(inverse[:, None] * scales).clip(max=127).astype(np.int8)
    d = step.astype(np.float32)[:, None] * counts.astype(np.float32)
    codes = _recoded(weights.reshape(n, -1, form.run), d, codes.T.reshape(n, -1, form.run), middle=32, form=form)
    codes[empty] = 0
    return codes, np.hstack([counts.view(np.uint8), step[:, None].view(np.uint8)])


_ENCODERS: dict[str, Callable[[Singles], tuple[Bytes, Bytes]]] = {
    **{kind: (lambda weights, kind=kind: _from_lowest(weights, kind)) for kind in ("Q2_K", "Q4_K", "Q5_K")},  # type: ignore[misc]
    "Q3_K": _q3,
    "Q6_K": _q6,
}


def _recoded(weights: Singles, d: Singles, before: Bytes, *, middle: int, form: KType) -> Bytes:
    """Round weights (n, runs, run) anew by their final scales; runs whose scale came out 0 keep the search's codes."""
    there = (d != 0)[..., None]
    with np.errstate(all="ignore"):
        places = round_half_even(weights / np.where(there, d[..., None], np.float32(1)))
    codes = places.clip(-middle, 2**form.bits - 1 - middle) + middle
    return np.where(there, codes, before).astype(np.uint8).reshape(len(weights), -1)


# -- searches over runs (size, m) --------------------------------------------------------------------------------------


def round_half_even(values: Singles) -> np.ndarray[Any, np.dtype[np.int32]]:
    """Round to whole numbers as ggml does."""
    return np.rint(values).astype(np.int32)  # halves to even, as ggml's addition of 1.5 * 2^23 does


def summed(terms: Singles) -> Singles:
    """Add terms (size, m) one after the other, as a loop would; numpy's own sum adds them in another order."""
    total: Singles = terms[0].copy()
    for row in terms[1:]:
        total += row
    return total


def largest_of(x: Singles) -> Singles:
    """Return the number of largest magnitude of each run (size, m) with its sign; the first of several."""
    found: Singles = np.take_along_axis(x, np.abs(x).argmax(0)[None], 0)[0]
    return found


@dataclass(frozen=True)
class _Search:
    """As `make_qkx2_quants` of ggml: least squares of a scale and a lowest value, over several ways to round.

    Attributes
    ----------
    x, weights : runs of numbers, and what their errors count, (size, m).
    top : largest code.
    low, tries : how the first way to round differs from the plain one, in codes, and how many follow in tenths.
    squared : whether errors are squared.
    """

    x: Singles
    weights: Singles
    top: int
    low: float
    tries: int
    squared: bool

    def best(self) -> tuple[Bytes, Singles, Singles]:
        """Return codes (size, m), scales (m,), and what is subtracted (m,)."""
        low, high = np.minimum(self.x.min(0), np.float32(0)), self.x.max(0)
        flat = high == low
        sums = summed(self.weights), summed(self.weights * self.x)
        with np.errstate(all="ignore"):  # of runs that are flat; they are overwritten
            inverse = np.float32(self.top) / (high - low)
            scale, floor = np.float32(1) / inverse, low
            codes = self._codes(inverse, floor)
            error = self._error(codes, scale, floor)
            for at in range(self.tries + 1):
                ahead = np.float32(self.low) + np.float32(0.1) * np.float32(at) + np.float32(self.top)
                tried = self._codes(ahead / (high - floor), floor)
                new, lowest, there = self._solved(tried, *sums)
                wrong = self._error(tried, new, lowest)
                better = there & (wrong < error)
                np.copyto(codes, tried, where=better)
                error = np.where(better, wrong, error)
                scale, floor = np.where(better, new, scale), np.where(better, lowest, floor)
        codes[:, flat] = 0
        return codes.astype(np.uint8), np.where(flat, np.float32(0), scale), -np.where(flat, low, floor)

    def _codes(self, inverse: Singles, floor: Singles) -> Singles:
        codes: Singles = np.rint(inverse * (self.x - floor)).clip(0, self.top)
        return codes

    def _error(self, codes: Singles, scale: Singles, floor: Singles) -> Singles:
        off = scale * codes + floor - self.x
        return summed(self.weights * (off * off if self.squared else np.abs(off)))

    def _solved(self, codes: Singles, sum_w: Singles, sum_x: Singles) -> tuple[Singles, Singles, Any]:
        """Return the scale and lowest value that fit best, and where they are determined."""
        counted = self.weights * codes
        sum_l, sum_l2, sum_xl = summed(counted), summed(counted * codes), summed(counted * self.x)
        determinant = sum_w * sum_l2 - sum_l * sum_l
        scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
        lowest = (sum_l2 * sum_x - sum_l * sum_xl) / determinant
        above = lowest > 0
        return np.where(above, sum_xl / sum_l2, scale), np.where(above, np.float32(0), lowest), determinant > 0


def _scaled(x: Singles, middle: int) -> tuple[Bytes, Singles]:
    """As `make_qx_quants` of ggml: least squares of a scale over ways to round, errors weighted by squares."""
    largest, w = largest_of(x), x * x
    there = np.abs(largest) >= SMALLEST
    wx = w * x

    def rounded(inverse: Singles) -> tuple[Singles, Singles, Singles]:
        codes = np.rint(inverse * x).clip(-middle, middle - 1)
        return codes, summed(wx * codes), summed(w * codes * codes)

    with np.errstate(all="ignore"):  # of runs of zeros; they are overwritten
        codes, along, square = rounded(np.float32(-middle) / largest)
        scale = np.where(square != 0, along / square, np.float32(0))
        best = scale * along
        for at in (*range(-9, 0), *range(1, 10)):
            tried, along, square = rounded(-(np.float32(middle) + np.float32(0.1) * np.float32(at)) / largest)
            better = (square > 0) & (along * along > best * square)
            np.copyto(codes, tried, where=better)
            scale = np.where(better, along / square, scale)
            best = np.where(better, scale * along, best)
    codes = np.where(there, codes + middle, 0).astype(np.uint8)
    return codes, np.where(there, scale, np.float32(0))


def _alternating(x: Singles) -> tuple[Bytes, Singles]:
    """As `make_q3_quants` of ggml: codes moved one by one while their best scale errs less, five rounds at most."""
    middle, largest, w = 4, largest_of(x), x * x
    there = np.abs(largest) >= SMALLEST
    with np.errstate(all="ignore"):  # of runs of zeros; they are overwritten
        codes = np.rint(np.float32(-middle) / largest * x).clip(-middle, middle - 1)
        along, square = summed(w * x * codes), summed(w * codes * codes)
        for _ in range(5):
            changed = False
            for i in range(len(x)):
                wx, was = w[i] * x[i], codes[i]
                slx, sl2 = along - wx * was, square - w[i] * was * was
                new = np.rint(x[i] * sl2 / slx).clip(-middle, middle - 1)
                moved = there & (slx > 0) & (new != was)
                slx, sl2 = slx + wx * new, sl2 + w[i] * new * new
                moved &= (sl2 > 0) & (slx * slx * square > along * along * sl2)
                codes[i] = np.where(moved, new, was)
                along, square = np.where(moved, slx, along), np.where(moved, sl2, square)
                changed = changed or bool(moved.any())
            if not changed:
                break
        scale = np.where(square > 0, along / square, np.float32(0))
    return np.where(there, codes + middle, 0).astype(np.uint8), np.where(there, scale, np.float32(0))
