"""One weight as a file holds it, and whether it is near the original it was made from."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.models.formats.levels import Levels

FEWEST = 16
"""Numbers below which a weight is not compared: chance alone makes few of them alike."""


ROUNDING = 1 / 12
"""Mean square of rounding errors, in steps."""
UNEVEN = 1.25
"""Mean square error of large codes over that of small ones from which scales are doubted; symmetric ones reach 1.2."""
CLEARLY = 0.9
"""Share of the first reading's squared error below which another reading is nearer, and not by chance alone."""
STRETCH = 0.3
"""How far a weight of more than two bits, rounded to the nearest level, may be from 1 times the original."""
EXACTLY = 0.999
"""Correlation with the original from which floating-point numbers are a multiple of it."""
COARSE = ("TQ1", "TQ2", "IQ1", "IQ2", "Q2_K", " 2-bit", "int2")
"""Forms whose weights may be smaller or larger than the original's throughout."""
SIGNS = 0.25
"""Agreement in sign below which a weight is another one; two bits with dither keep 0.4, all others more."""


@dataclass(frozen=True, eq=False)
class Weight:
    """A weight as it was read, dequantized.

    Attributes
    ----------
    value : 32-bit floating point (complex numbers stay complex), in the original's orientation (out, in, ...).
    step : distance of neighbouring levels at each number, broadcast against `value`; None where it is not known.
    form : how it is stored, in words; empty where it is not quantized.
    convention : which of several readings of the same bytes this is.
    others : the readings by other conventions.
    flat : whether it is only known in which order its numbers stand, so that they take the original's shape.
    given, gives : how a program rounds what it multiplies with this, and the product with its bias; None where it does
        not, or is none.
    """

    value: Tensor
    step: Tensor | None = None
    form: str = ""
    convention: str = ""
    others: tuple["Weight", ...] = ()
    flat: bool = False
    given: Levels | None = None
    gives: Levels | None = None

    def shaped(self, shape: torch.Size) -> "Weight | None":
        """Return it in the original's shape, None where it has another one; whole rows are then called no groups."""
        if not self.flat:
            return self if self.value.shape == shape else None
        if self.value.numel() != shape.numel():
            return None
        step = None if self.step is None else self.step.expand(self.value.shape).reshape(shape)
        form = self.form.partition(" in groups of")[0] if self.value.shape[0] == shape[0] else self.form
        return replace(self, value=self.value.reshape(shape), step=step, form=form)

    def readings(self) -> Iterator["Weight"]:
        """Yield this reading and those by other conventions, the one that the file says first."""
        yield self
        for other in self.others:
            yield replace(other, form=other.form or self.form)


Shape = tuple[int, ...]
"""Sizes along the axes of a weight."""


@dataclass(frozen=True, eq=False)
class LazyWeight:
    """A weight that is read and dequantized when it is asked for, so that a file need not fit into memory twice.

    Attributes
    ----------
    read : reads it.
    shapes : what its readings have by the file's header, the one that the file says first; empty where that does not
        tell.
    mapped : returns it as a tensor that stays in the file, or None where its numbers have to be worked out.

    Examples
    --------
    >>> LazyWeight(lambda: Weight(torch.ones(2)))().value.tolist()
    [1.0, 1.0]
    """

    read: Callable[[], Weight]
    shapes: tuple[Shape, ...] = ()
    mapped: Callable[[], Tensor | None] = lambda: None

    def __call__(self) -> Weight:
        """Read it."""
        return self.read()


def nearest_reading(
    weight: Weight, original: Tensor | None, *, name: str, subject: str, shape: torch.Size
) -> tuple[Weight, bool]:
    """Return the reading that is near the original, and whether that needed a factor for each input.

    Equalising quantizers (AWQ, SmoothQuant) move such factors from one layer to the one before it.

    Parameters
    ----------
    original : None where there is nothing to compare with; the first reading of the right shape is then taken.

    Raises
    ------
    InvalidInput
        If no reading is near the original; the message says how the first one differs.
    """
    fitting = [one for way in weight.readings() if (one := way.shaped(shape)) is not None]
    if not fitting:
        found = [tuple(one.value.shape) for one in weight.readings()]
        raise misshapen(found, shape, name=name, subject=subject, form=weight.form)
    _refuse_infinite(fitting[0], name, subject)
    alone = not weight.form and not weight.others and len(shape) < 2  # a bias or a norm: small, and often retrained
    if original is None or alone or original.is_complex() or shape.numel() < FEWEST or not bool(original.any()):
        return fitting[0], False
    if any(one.value.is_complex() for one in fitting):
        raise InvalidInput(
            f"{subject}: {name} must be of real numbers, as the original's is. Found complex ones. Check that the file "
            "belongs to this model."
        )
    wanted = original.detach().cpu().float()
    best = _best(fitting, wanted)
    problem = unlike(best, wanted)
    if not problem:
        return best, False
    near = wanted.ndim == 2 and not unlike(Weight(best.value), wanted)  # in sign and size; then steps are what is off
    if near and not _alike(_factors(best.value, wanted)) and not unlike(_rescaled(best, wanted), wanted):
        return best, True
    raise InvalidInput(
        f"{subject}: what a file holds must be near the original that it was made from. {name}"
        f"{f' ({best.form})' * bool(best.form)} {problem}. Give the original of this file, or the running model "
        "instead of its file."
    )


def misshapen(
    found: Iterable[Shape], wanted: Iterable[int], *, name: str, subject: str, form: str = ""
) -> InvalidInput:
    """Return the error about a weight of which no reading has the shape that it must have."""
    shapes, wanted = list(dict.fromkeys(map(tuple, found))), tuple(wanted)
    turned = len(wanted) > 1 and wanted[::-1] in shapes
    remedy = (
        "It is stored transposed, as JAX and Keras do. Transpose such weights, or give the running model."
        if turned
        else "Check that the file belongs to this model, and its group size."
    )
    return InvalidInput(
        f"{subject}: {name} must have the original's shape {wanted}. Found "
        f"{', '.join(map(str, shapes))}{f' ({form})' * bool(form)}. {remedy}"
    )


def _best(readings: list[Weight], wanted: Tensor) -> Weight:
    """Return the first reading, unless another is clearly nearer: of two that hardly differ chance would choose."""
    off = [float((one.value - wanted).square().sum()) for one in readings]
    nearest_one = min(range(len(off)), key=off.__getitem__)
    return readings[nearest_one] if off[nearest_one] < CLEARLY * off[0] else readings[0]


def _refuse_infinite(weight: Weight, name: str, subject: str) -> None:
    if not torch.isfinite(weight.value).all():
        raise InvalidInput(
            f"{subject}: weights must be finite. {name} is read with NaN or infinite values"
            f"{f' ({weight.form})' * bool(weight.form)}: the file is damaged, or of a layout by another convention."
        )


def unlike(weight: Weight, original: Tensor) -> str:
    """Say how a reading differs from the original by more than quantizing explains; empty if it does not.

    Quantizers keep signs and sizes: weighted by magnitude, nearly all numbers that are not 0 keep their sign, and
    those have about the original's size. Where the distance of levels is known, most numbers lie within one of them.
    """
    value, there = weight.value, weight.value != 0
    kept = original.abs()[there].double().sum()
    if not bool(there.any()) or float(kept) == 0:
        return "is read as 0 throughout" if not bool(there.any()) else ""
    agreement = _agreement(value, original)
    if agreement < SIGNS:
        square = original.ndim == 2 and original.shape[0] == original.shape[1]
        flipped = square and _agreement(value.T, original) >= 0.5
        cause = "it is stored transposed" if flipped else "another model's, or its rows are in another order"
        return f"agrees with the original in sign no better than by chance ({agreement:+.2f} of 1): {cause}"
    ratio = float(value[there].double().norm() / original[there].double().norm())
    if not 0.2 < ratio < 5:
        return f"is {ratio:.3g} times as large as the original: its scales are missing or by another convention"
    if weight.step is None:
        return _stretched(weight, original)
    tiny = torch.finfo(torch.float32).tiny
    off = ((value - original) / weight.step.abs().clamp_min(tiny)).flatten().double()
    shift, spread = float(off.median()), float(off.abs().median())
    if abs(shift) > 0.6:
        return f"is off by {shift:+.2g} steps throughout: its zero points are by another convention"
    if spread > 1.5:
        return f"is off by {spread:.2g} steps: its scales belong to other numbers (another axis or group size)"
    return ""


def uneven(weight: Weight, original: Tensor) -> bool:
    """Whether errors grow with the codes, as they do where scales belong to other numbers than those they multiply.

    Rounding errs by as much for small codes as for large ones; a scale that is a tenth off errs by a tenth of the code.
    The largest codes are left out, since those that were cut off err more.
    """
    if weight.step is None or original.is_complex() or original.numel() < FEWEST:
        return False
    step = weight.step.abs().clamp_min(torch.finfo(torch.float32).tiny)
    size = (weight.value / step).abs().flatten().double().numpy()
    wrong = ((weight.value - original.detach().cpu().float()) / step).flatten().double().square().numpy()
    low, high, top = np.quantile(size, (0.25, 0.75, 0.95))
    large, small = wrong[(size >= high) & (size <= top)], wrong[size <= low]
    return bool(wrong.mean() > 3 * ROUNDING and len(large) > FEWEST and large.mean() > UNEVEN * small.mean())


def _agreement(value: Tensor, original: Tensor) -> float:
    """Agreement in sign, weighted by the original's magnitude, where a reading is not 0: 1 everywhere, 0 by chance."""
    there = value != 0
    return float((original * value.sign())[there].double().sum() / original.abs()[there].double().sum())


def _rescaled(weight: Weight, original: Tensor) -> Weight:
    """Return the reading with the factor of each input that brings it nearest to the original."""
    value = weight.value
    factor = _factors(value, original)
    if float(factor.min()) <= 0:
        return Weight(torch.zeros_like(value))
    step = None if weight.step is None else weight.step * factor
    return Weight(value * factor, step, weight.form)


def _factors(value: Tensor, original: Tensor) -> Tensor:
    """Return the factor of each input (in) by which a reading (out, in) is nearest to the original."""
    return (value * original).sum(0) / value.square().sum(0).clamp_min(torch.finfo(torch.float32).tiny)


def _alike(factors: Tensor) -> bool:
    """Whether factors of inputs are one and the same for nearly all, which no equalising quantizer would use."""
    middle = float(factors.median())
    return float((factors - middle).abs().median()) < 0.1 * abs(middle) and abs(middle - 1) > STRETCH / 2


def _stretched(weight: Weight, original: Tensor) -> str:
    """Say whether a quantized weight of more than two bits is another multiple of the original than about 1."""
    if any(coarse in weight.form for coarse in COARSE):
        return ""
    along, size = (float((weight.value * one).double().sum()) for one in (original, weight.value))
    whole = float(original.double().square().sum())
    slope = along / whole
    if 1 - STRETCH < slope < 1 + STRETCH:
        return ""
    # Floating-point numbers may have gone any way; what is their exact multiple went none but that.
    if not weight.form and along < EXACTLY * (size * whole) ** 0.5:
        return ""
    return f"is {slope:.2g} times the original: its scales are missing or by another convention"
