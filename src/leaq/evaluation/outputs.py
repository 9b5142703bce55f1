"""What a classifier's outputs are: logits, or probabilities whose logarithms must be taken first."""

from collections.abc import Callable
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
CLOSE = 1e-3
WIDE = 0.5
"""Spread of outputs within [0, 1] from which no logits are believed to have stayed there."""
LEAST, MOST = 1e-38, 1 - 2**-25
"""Probabilities below and above which a 32-bit number is 0 or 1."""


def last_operation(run: Callable[[], Any]) -> str:
    """Return what a forward pass with gradients did last, e.g. "Sigmoid" or "Addmm"; "" if it cannot be told.

    Of a mixture of what was squashed alike (an ensemble, smoothed probabilities, ``1 - p``) that is the squashing.

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


def _last(node: Any, *, depth: int = 16) -> str:
    """Return the name of the last operation up to a node that changed numbers."""
    while node is not None:
        name: str = node.name().rpartition("::")[2].split("Backward")[0]
        if name in MIXING and depth:
            mixed = {_last(part, depth=depth - 1) for part, _ in node.next_functions if part is not None}
            if mixed and mixed <= {*SQUASHING, "Tanh"}:
                return max(mixed)
        if name not in PASSING or not node.next_functions:
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
    values = outputs.double().reshape(len(outputs), -1)
    _refuse_one_sided(kind, values, last)
    if float(values.min()) < -1e-6 or float(values.max()) > 1 + 1e-6 or last in LINEAR:
        return as_given, ()
    squashed = last in SQUASHING or float(values.max() - values.min()) > WIDE
    if kind in ("classes", "soft"):
        if bool(((values.sum(1) - 1).abs() < CLOSE).all()):
            return _logarithms, (_said(values, "sum to 1 a record"),)
        if squashed:
            raise InvalidInput(
                f"The outputs of a classifier must be logits, or probabilities that sum to 1. Found {values.shape[1]} "
                "outputs in [0, 1] with other sums. Leave out the last activation, or give a loss of your own."
            )
        return as_given, ()
    if squashed:
        return _log_odds, (_said(values, "lie in [0, 1]"),)
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


def _said(values: Tensor, why: str) -> Flag:
    ends = int(((values < LEAST) | (values > MOST)).sum())
    text = f"The model's outputs are probabilities (they {why}): their logarithms are taken."
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


def _logarithms(outputs: Tensor) -> Tensor:
    return _log(_checked(outputs))


def _log_odds(outputs: Tensor) -> Tensor:
    return _odds(_checked(outputs))


def _log(values: Tensor) -> Tensor:
    return values.double().clamp_min(LEAST).log()


def _odds(values: Tensor) -> Tensor:
    values = values.double().clamp(LEAST, MOST)
    return values.log() - torch.log1p(-values)


def logits_of(reads: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Return what `read_outputs` returned without its check of each number, which no vectorised call can do."""
    if reads is _logarithms:
        return _log
    return _odds if reads is _log_odds else reads
