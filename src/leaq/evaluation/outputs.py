"""What a classifier's outputs are: logits, or probabilities whose logarithms must be taken first."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from leaq.errors import InvalidInput
from leaq.evaluation.labels import Kind
from leaq.models.calling import as_given
from leaq.types import Flag
from leaq.types.tasks import Layout

SQUASHING = ("Sigmoid", "Softmax", "Exp")
"""Operations whose results are probabilities."""
LINEAR = ("Addmm", "Mm", "Bmm", "Baddbmm", "Addbmm", "Convolution", "Add", "Sub")
"""Operations whose results are scores of any sign."""
PASSING = ("View", "Reshape", "Squeeze", "Unsqueeze", "Select", "Slice", "Alias", "Clone", "ToCopy", "Permute",
           "Transpose", "T", "UnsafeView", "Split", "Unbind", "Index", "Expand")  # fmt: skip
"""Operations that change no number."""
MIXING = ("Add", "Sub", "Rsub", "Mul", "Div", "Neg", "Mean", "Sum", "Stack", "Cat")
"""Operations by which several results become one: a sum of probabilities with weights is an ensemble's probability."""
LOGARITHMS = ("Log", "Log2", "Log10")
BOUNDING = ("Clamp", "ClampMin", "ClampMax", "Maximum")
"""Operations that keep a probability from 0 before its logarithm is taken."""
BASES = {"e": 1.0, "10": math.log(10), "2": math.log(2)}
"""Of logarithms: by what they are multiplied to be natural ones."""
CLOSE = 1e-3
STEPS = (1e-2, 1 / 255, 1 / 256, 1e-3, 1e-4)
"""To multiples of which probabilities are rounded: to digits, or to 8 bits; the coarsest that fits counts."""
WIDE = 0.5
"""Spread of outputs within [0, 1] from which no logits are believed to have stayed there."""
LEAST, MOST = 1e-38, 1 - 2**-25
"""Probabilities below and above which a 32-bit number is 0 or 1."""


def last_operation(run: Callable[[], Any]) -> str:
    """Return what a forward pass with gradients did last, e.g. "Sigmoid" or "Addmm"; "" if it cannot be told.

    Of a mixture of what was squashed alike (an ensemble, smoothed probabilities, ``1 - p``) that is the squashing; of a
    logarithm of what was squashed, "LogSigmoid" or "LogSoftmax".

    Examples
    --------
    >>> last_operation(lambda: torch.nn.Linear(2, 1)(torch.zeros(3, 2)).sigmoid().squeeze(1))
    'Sigmoid'
    """
    try:
        with torch.enable_grad():
            node = run().grad_fn
    except Exception:  # a forward pass that cannot be differentiated says nothing here
        return ""
    return _last(node)


def _last(node: Any, *, depth: int = 16, bounded: bool = False) -> str:
    """Return the name of the last operation up to a node that changed numbers.

    Parameters
    ----------
    bounded : see through what keeps numbers from 0; the odds p / (1 - p) are then no mixture of probabilities.
    """
    passing = (*PASSING, *BOUNDING) if bounded else PASSING
    while node is not None:
        name: str = node.name().rpartition("::")[2].split("Backward")[0]
        parts = [part for part, _ in node.next_functions if part is not None]
        if name in LOGARITHMS and depth:
            inner = _last(parts[0], depth=depth - 1, bounded=True) if parts else ""
            return f"Log{inner}" if inner in ("Sigmoid", "Softmax") else name
        if name in MIXING and depth and not (bounded and name == "Div" and len(parts) > 1):
            mixed = {_last(part, depth=depth - 1, bounded=bounded) for part in parts}
            if mixed and mixed <= {*SQUASHING, "Tanh"}:
                return max(mixed)
        if name not in passing or not node.next_functions:
            return "" if name == "AccumulateGrad" else name
        node = node.next_functions[0][0]
    return ""


def read_outputs(kind: Kind, outputs: Tensor, last: str) -> tuple[Callable[[Tensor], Tensor], tuple[Flag, ...]]:
    """Return what turns a model's outputs into logits (nothing, where they are), and a word about it.

    Parameters
    ----------
    kind : what the targets are.
    outputs : (m, ...) of some records.
    last : what the model did last, see `last_operation`.

    Raises
    ------
    InvalidInput
        If outputs lie in [0, 1] and it cannot be told what they are.
    """
    if kind not in ("classes", "soft", "binary", "tasks"):
        return as_given, ()
    values, several = outputs.double().reshape(len(outputs), -1), kind in ("classes", "soft")
    base = _base_of(values) if several and last not in LINEAR else None
    if base is not None:
        return (as_given, ()) if base == 1 else (partial(torch.mul, other=base), (_said_base(base),))
    _refuse_one_sided(kind, values, last)
    if float(values.min()) < -1e-6 or float(values.max()) > 1 + 1e-6 or last in LINEAR:
        return as_given, ()
    squashed, step = last in SQUASHING or float(values.max() - values.min()) > WIDE, _step_of(values)
    if several:
        off = float((values.sum(1) - 1).abs().max())
        if off < CLOSE or (last != "Sigmoid" and off < (values.shape[1] + 0.1) * step / 2):
            return _Probabilities(step, odds=False), (_said(values, "sum to 1 a record", step),)
        if squashed:
            raise InvalidInput(
                f"The outputs of a classifier must be logits, or probabilities that sum to 1. Found {values.shape[1]} "
                "outputs in [0, 1] with other sums. Leave out the last activation, or give a loss of your own; where "
                "each is the probability of a label of its own, loss='binary' with a column of 0 and 1 for each."
            )
        return as_given, ()
    if squashed:
        return _Probabilities(step, odds=True), (_said(values, "lie in [0, 1]", step),)
    if float(values.min()) == float(values.max()):
        return as_given, ()  # a model that says nothing, such as a fresh last layer of zeros
    raise InvalidInput(
        "The outputs of a binary classifier must be logits, or recognisable probabilities. Found numbers from "
        f"{float(values.min()):.3g} to {float(values.max()):.3g}, which may be either. Return logits, or end the "
        "model in a sigmoid."
    )


def read_mixed(layout: Layout, outputs: Tensor, last: str) -> tuple[Callable[[Tensor], Tensor], tuple[Flag, ...]]:
    """Return what turns outputs (n, k) of several targets, of classes and values, into logits and values, and a word.

    Each target of classes is read as `read_outputs` reads it alone.
    """
    rows = outputs.reshape(len(outputs), -1)
    binary = [layout.starts[task] for task in layout.single if task not in layout.values]
    groups: list[tuple[Kind, list[int]]] = [("tasks", binary)] if binary else []
    groups += [("classes", list(range(*layout.starts[task : task + 2]))) for task in layout.several]
    read = [(columns, *read_outputs(kind, rows[:, columns], last)) for kind, columns in groups]

    def logits(given: Tensor) -> Tensor:
        found = given.double().reshape(len(given), -1).clone()
        for columns, reads, _ in read:
            found[:, columns] = reads(found[:, columns]).double()
        return found

    return logits, tuple(dict.fromkeys(flag for _, _, flags in read for flag in flags))


def _refuse_one_sided(kind: Kind, values: Tensor, last: str) -> None:
    """Refuse scores in [-1, 1], logarithms of single probabilities, and shares of a hundred: they are no logits."""
    several = kind in ("classes", "soft")
    if last in ("Tanh", "Hardtanh") and not several and float(values.min()) < 0:  # not (1 + tanh) / 2, a sigmoid
        raise InvalidInput(
            f"The outputs of a classifier must be logits or probabilities. This model ends in {last}, which gives "
            "neither. Leave out that last activation, or give a loss of your own for what it was trained on."
        )
    if last == "LogSigmoid" or (last == "LogSoftmax" and not several):
        raise InvalidInput(
            f"The outputs of a classifier must be logits or probabilities. This model ends in {last}, the logarithm of "
            "one probability. Leave out that last activation, or give a loss of your own."
        )
    total = values.sum(1)
    equal = float(total.max() - total.min()) < CLOSE * float(total.abs().max())
    if several and last not in LINEAR and bool((values >= 0).all()) and equal and abs(float(total[0]) - 1) > 0.01:
        raise InvalidInput(
            "The outputs of a classifier must be logits, or probabilities that sum to 1. Found outputs of at least 0 "
            f"that sum to {float(total[0]):.4g} for every record. Return the logits, or divide by that sum."
        )


def _base_of(values: Tensor) -> float | None:
    """Return by what logarithms of probabilities that sum to 1 are multiplied to be natural; None for other numbers.

    Negative ones (surprisals) have a negative factor.
    """
    signs = [sign for sign in (1, -1) if bool((sign * values <= CLOSE).all())]
    for factor in [sign * base for sign in signs for base in BASES.values()]:
        if bool((((factor * values).exp().sum(1) - 1).abs() < CLOSE).all()):
            return factor
    return None


def _said_base(factor: float) -> Flag:
    base = next(name for name, value in BASES.items() if value == abs(factor))
    text = f"The model's outputs are {'negative ' * (factor < 0)}logarithms of probabilities to base {base}"
    return Flag("probabilities", f"{text} (they sum to 1 a record): natural ones are taken.")


def _step_of(values: Tensor) -> float:
    """Return the step of which probabilities are multiples, as rounded ones are; 0 where they are of none."""
    if bool(((values < LEAST) | (values > MOST)).all()):
        return 0.0
    off = (((values / step) - (values / step).round()).abs().max() for step in STEPS)
    return next((step for step, most in zip(STEPS, off, strict=True) if float(most) < CLOSE), 0.0)


def _said(values: Tensor, why: str, step: float) -> Flag:
    ends = int(((values < LEAST) | (values > MOST)).sum())
    text = f"The model's outputs are probabilities (they {why}): their logarithms are taken."
    if step:
        text = text.replace("1 a record", "1 a record, up to rounding")
        return Flag("probabilities", f"{text} They are rounded to steps of {step:.3g}; 0 and 1 stand at half a step.")
    more = f" {ends} of the first {values.numel()} are rounded to 0 or 1 and stand at the last number before."
    return Flag("probabilities", text + (more if ends else ""))


def _checked(outputs: Tensor) -> Tensor:
    values = outputs.double()
    if float(values.min()) < -CLOSE or float(values.max()) > 1 + CLOSE:
        raise InvalidInput(
            "Outputs must be of one kind. The original gives probabilities, but here they run from "
            f"{float(values.min()):.3g} to {float(values.max()):.3g}. Compare models with the same last activation."
        )
    return values


@dataclass(frozen=True)
class _Probabilities:
    """Probabilities -> their logarithms, or log-odds.

    Attributes
    ----------
    step : to multiples of which they are rounded; 0 if they are not.
    """

    step: float
    odds: bool

    def __call__(self, outputs: Tensor) -> Tensor:
        return self.logits(_checked(outputs))

    def logits(self, values: Tensor) -> Tensor:
        """Return them without a check of each number."""
        values = values.double()
        if not self.odds:
            return values.clamp_min(self.step / 2 or LEAST).log()
        values = values.clamp(self.step / 2 or LEAST, min(1 - self.step / 2, MOST))
        return values.log() - torch.log1p(-values)


def logits_of(reads: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what `read_outputs` returned without its check of each number, which no vectorised call can do."""
    return reads.logits if isinstance(reads, _Probabilities) else reads
