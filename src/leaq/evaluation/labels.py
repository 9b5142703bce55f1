"""What labels mean: the forms people keep them in, read for the outputs of the model they belong to.

Class codes (whole numbers, also as floats or as a column), one-hot and soft labels, values, several targets with holes
(classes, values or both). What does not fit the outputs is refused: nothing is broadcast.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

from torch import Tensor

from leaq.errors import InvalidInput, first_rows, some
from leaq.stats.outliers import absurd
from leaq.types import Flag
from leaq.types.tasks import Layout, TaskSpec

Kind = Literal["classes", "soft", "binary", "tasks", "values", "mixed", "gaussian", "own"]
FEWEST = 20
"""Targets below which none is called far from the others."""
MOST_CODES = 20
"""Different whole numbers up to which values may have been meant as classes."""
ROUNDED = 0.05
"""By how much probabilities that were rounded may miss a sum of 1."""
OWN = "or give a function of (outputs, targets) that returns one value per record"


@dataclass(frozen=True)
class Labels:
    """What the targets are, and how to bring them into the one form its loss takes.

    Attributes
    ----------
    recode : targets as given -> class codes (n,), class probabilities (n, k), or numbers (n, t) with NaN for holes.
    flags : what was chosen, where the targets alone do not say it.
    tasks : of several targets, what each of them is.
    """

    kind: Kind
    recode: Callable[[Tensor], Tensor]
    flags: tuple[Flag, ...] = ()
    tasks: tuple[TaskSpec, ...] = ()


@dataclass(frozen=True)
class _Facts:
    """What decides: outputs (m, ...) of some records, targets (n, ...) of all, and what these are called."""

    outputs: Tensor
    targets: Tensor
    names: tuple[str, ...] = ()

    @cached_property
    def wide(self) -> Tensor:
        return _columns(self.targets)

    @cached_property
    def k(self) -> int:
        return self.outputs[0].numel()

    @cached_property
    def t(self) -> int:
        return self.wide.shape[1]

    @cached_property
    def columns(self) -> "tuple[_Facts, ...]":
        """One a target."""
        names = self.names if len(self.names) == self.t else tuple(f"task{at}" for at in range(self.t))
        return tuple(_Facts(self.outputs, self.wide[:, [at]], (name,)) for at, name in enumerate(names))

    @cached_property
    def tasks(self) -> tuple[TaskSpec, ...]:
        """What each target is: two classes of 0 and 1, more of whole numbers if each has an output, or values."""
        wide = self.k > self.t
        return tuple(
            TaskSpec(one.names[0], "regression")
            if one.classes < 2 or (one.classes > 2 and not wide)
            else TaskSpec(one.names[0], "classification", tuple(map(str, range(one.classes))))
            for one in self.columns
        )

    @cached_property
    def classes(self) -> int:
        """How many classes one target's numbers would be codes of, 0 where they are none or there are none."""
        if len(self.known) == 0:
            return 0
        if self.zero_one:
            return 2
        coded = self.few and float(self.known.min()) >= 0 and float(self.known.max()) < MOST_CODES
        return int(self.known.max()) + 1 if coded else 0

    @cached_property
    def known(self) -> Tensor:
        return self.wide[~self.wide.isnan()]

    @cached_property
    def whole(self) -> bool:
        return bool((self.known == self.known.round()).all())

    @cached_property
    def codes(self) -> bool:
        """Whether the targets are one whole number a record below the number of outputs."""
        inside = len(self.known) > 0 and float(self.known.min()) >= 0 and float(self.known.max()) < self.k
        return self.t == 1 and self.whole and inside

    @cached_property
    def sums(self) -> Tensor:
        """What each record's targets sum to."""
        return self.wide.sum(1)

    @cached_property
    def off(self) -> float:
        """By how much a record's targets, none below 0, miss a sum of 1 at most; infinite if some are below."""
        return float((self.sums - 1).abs().max()) if bool((self.wide >= 0).all()) else float("inf")

    @cached_property
    def shares(self) -> bool:
        """Whether every record's targets are probabilities that sum to 1, up to rounding to a few digits."""
        return self.off < ROUNDED

    @cached_property
    def zero_one(self) -> bool:
        return bool(((self.known == 0) | (self.known == 1)).all())

    @cached_property
    def signs(self) -> bool:
        """Whether the targets are -1 and 1 (and 0)."""
        return self.whole and bool((self.known.abs() <= 1).all() and (self.known == -1).any())

    @cached_property
    def odd_code(self) -> float | None:
        """The one other number among labels 0 and 1 that is negative or of nines, as holes are coded; or None."""
        rest = self.known[(self.known != 0) & (self.known != 1)]
        if len(rest) == 0 or not bool((rest == rest[0]).all()) or len(set(self.known.tolist())) < 3:
            return None
        code = float(rest[0])
        return code if code < 0 or set(f"{code:g}") == {"9"} else None

    @cached_property
    def few(self) -> bool:
        """Whether the targets are a few different whole numbers, which classes would be too."""
        return self.whole and len(set(self.known.tolist())) <= MOST_CODES

    @cached_property
    def unit(self) -> bool:
        """Whether all targets lie between 0 and 1, and some inside."""
        return bool(((self.known >= 0) & (self.known <= 1)).all()) and not self.zero_one

    @property
    def said(self) -> str:
        """The outputs and targets in words."""
        low, high = float(self.known.min()), float(self.known.max())
        outputs, targets = (
            f"{n} {word}{'' if n == 1 else 's'}" for n, word in ((self.k, "output"), (self.t, "target"))
        )
        return f"{outputs} and {targets} a record ({low:g}..{high:g})"


def read_labels(loss: str, outputs: Tensor, targets: Tensor, names: Sequence[str] = ()) -> Labels:
    """Return what targets mean under a named loss, or under the one that fits them and the outputs ("auto").

    Parameters
    ----------
    outputs : (m, ...) of some records.
    targets : (n, ...) of all records; NaN where a label is missing.
    names : of several targets; by default task0, task1, ...

    Raises
    ------
    InvalidInput
        If they do not fit each other, with the forms that would.

    Examples
    --------
    >>> import torch
    >>> read_labels("auto", torch.zeros(4, 2), torch.tensor([[0.0], [1.0], [1.0], [0.0]])).kind
    'classes'
    """
    facts, flags = _Facts(outputs, targets, tuple(names)), tuple[Flag, ...]()
    if loss == "auto":
        loss, flags = _auto(facts)
    readers = {"cross_entropy": _classes, "binary": _binary, "squared_error": _values, "mixed": _mixed}
    read = readers.get(loss, _gaussian)(facts)
    return replace(read, flags=(*flags, *read.flags))


def _auto(facts: _Facts) -> tuple[str, tuple[Flag, ...]]:
    """Return the loss that fits, and a word where another one is conceivable."""
    whole = not facts.targets.is_floating_point()
    if facts.k != max(facts.outputs.shape[1:], default=1) and whole:
        return "cross_entropy", ()  # which says what it takes
    if facts.k == facts.t:
        return _paired(facts)
    if facts.k > 1 and facts.codes:
        text = f"{facts.said}, whole numbers in a type for fractions: read as class codes, under cross-entropy."
        return "cross_entropy", () if whole else (_chosen(text),)
    if facts.k > 1 and facts.t == 1 and whole:
        raise _no_codes(facts)
    if facts.t > 1 and Layout(facts.tasks).outputs == facts.k:
        return "mixed", ()
    raise _unequal(facts)


def _paired(facts: _Facts) -> tuple[str, tuple[Flag, ...]]:
    """Return the loss of targets that are as many as the outputs."""
    _refuse_codes(facts)
    if facts.k > 1 and facts.shares:
        return "cross_entropy", ()
    _refuse_other_sums(facts)
    if facts.zero_one:
        text = f"{facts.said}, all 0 or 1: read as {facts.t} binary tasks, whose losses are averaged a record."
        return "binary", (_chosen(text + " Say loss='squared_error' if they are values."),) if facts.k > 1 else ()
    if facts.t > 1 and any(one.classes == 2 for one in facts.columns):
        return "mixed", ()
    text = ""
    if not facts.targets.is_floating_point() or facts.few:
        text = (
            "whole numbers: read as values under the squared error. Classes need an output each, or two to be 0 and 1."
        )
    elif facts.unit:
        text = "between 0 and 1: read as values, under the squared error. If they are probabilities, say loss='binary'."
    return "squared_error", (_chosen(f"{facts.said}, {text}"),) if text else ()


def _refuse_codes(facts: _Facts) -> None:
    """Refuse labels of which some may stand for holes."""
    for one in (facts, *facts.columns):
        found = f"Found {facts.said}" + (f", of which {one.names[0]!r} is such" if one.t < facts.t else "")
        if one.signs:
            raise InvalidInput(
                f"loss: labels -1 and 1 may be two classes, classes with holes, or values. {found}. "
                "Recode classes to 0 and 1 (holes to NaN), or say loss='squared_error'."
            )
        if (code := one.odd_code) is not None:
            raise InvalidInput(
                f"loss: labels 0 and 1 with {code:g} among them are labels with holes, or values. {found}. "
                "Recode holes to NaN, or say loss='squared_error'."
            )


def _refuse_other_sums(facts: _Facts) -> None:
    """Refuse what may be shares of classes, tasks or values: probabilities with other sums, percents, votes."""
    if facts.k < 2 or facts.zero_one or not bool((facts.wide >= 0).all()):
        return
    low, high = float(facts.sums.min()), float(facts.sums.max())
    constant = high - low < 1e-3 * high
    if not constant and not facts.unit:
        return
    sums = f"{high:.4g} in every record" if constant else f"{low:.3g} to {high:.3g} a record"
    raise InvalidInput(
        f"loss: probabilities of {facts.k} classes must sum to 1. Found {facts.said} that sum to {sums}, which may be "
        "classes, tasks or values. Divide by the sums for classes, or say loss='binary' for tasks of their own"
        f"{' (each within 0 and 1)' * (not facts.unit)} or loss='squared_error' for values."
    )


def _chosen(text: str) -> Flag:
    return Flag("loss-chosen", text)


def _no_codes(facts: _Facts) -> InvalidInput:
    low, high = float(facts.known.min()), float(facts.known.max())
    inside = (facts.known >= 0) & (facts.known < facts.k) & (facts.known == facts.known.round())
    others = facts.known[~inside]
    if facts.t == 1 and len(set(others.tolist())) == 1 and len(set(facts.known[inside].tolist())) > 1 and others[0] < 0:
        return InvalidInput(
            f"Targets must be class codes 0..{facts.k - 1}, one for each output of the model. {len(others)} of "
            f"{len(facts.known)} are {float(others[0]):g}, as records without a label are coded. Leave them out."
        )
    return InvalidInput(
        f"Targets must be class codes 0..{facts.k - 1}, one for each output of the model. Found {low:g}..{high:g}. "
        "Recode the labels, or give a loss of your own."
    )


def _unequal(facts: _Facts) -> InvalidInput:
    wanted = f"class codes 0..{facts.k - 1} or {facts.k} numbers a record" if facts.k > 1 else "one number a record"
    spread = " A mean and a variance are loss='gaussian' ('gaussian_log' for the variance's logarithm)."
    hint = spread if facts.k == 2 * facts.t and not facts.whole else ""
    if facts.t > 1:
        hint += " Of several targets: a logit of two classes, one a class of more, a value, in their order."
    return InvalidInput(f"loss: targets must fit the model's outputs. Found {facts.said}. Give {wanted}, {OWN}.{hint}")


def _classes(facts: _Facts) -> Labels:
    if facts.k != max(facts.outputs.shape[1:], default=1):
        raise InvalidInput(
            f"loss: cross-entropy needs outputs (records, classes). Found shape {tuple(facts.outputs.shape)}. "
            "Give a function of (outputs, targets) that returns one value per record."
        )
    if facts.k < 2:
        raise InvalidInput("loss: cross-entropy needs an output for each class. Found one output. Use loss='binary'.")
    if facts.t == 1:
        if not facts.codes:
            raise _no_codes(facts)
        return Labels("classes", lambda y: _columns(y)[:, 0].long())
    if facts.t != facts.k:
        raise _unequal(facts)
    if not facts.shares:
        _refuse_other_sums(facts)
        raise _unequal(facts)
    if facts.zero_one:
        text = f"Labels are one-hot: read as class codes 0..{facts.k - 1}."
        return Labels("classes", lambda y: _columns(y).argmax(1), (Flag("one-hot", text),))
    text = (
        "Labels are probabilities of the classes: the loss is the cross-entropy with them, and accuracy, ROC-AUC and "
        "margins are those of the likeliest class."
    )
    if facts.off < 1e-3:
        return Labels("soft", _columns, (Flag("soft-labels", text),))
    text += f" They miss a sum of 1 by up to {facts.off:.2g}, as rounded ones do, and were divided by it."
    return Labels("soft", lambda y: _columns(y) / _columns(y).sum(1, keepdim=True), (Flag("soft-labels", text),))


def _binary(facts: _Facts) -> Labels:
    if facts.t != facts.k:
        raise _unequal(facts)
    if len(facts.known) and not (float(facts.known.min()) >= 0 and float(facts.known.max()) <= 1):
        raise InvalidInput(
            f"loss: binary labels must be 0 or 1, or probabilities of 1. Found {facts.said}. Recode them."
        )
    holes = int(facts.wide.isnan().sum())
    missing = Flag("missing-labels", f"{holes} of {facts.wide.numel()} labels are missing; a record's loss is the mean "
                   "of those it has.")  # fmt: skip
    if facts.k == 1:
        return Labels("binary", _columns, (missing,) if holes else ())
    # Probabilities of 1 as labels are nobody's classes: there is no table of tasks then.
    flags = (*([missing] if holes else []), *_unlabelled(facts))
    return Labels("tasks", _columns, flags, facts.tasks if facts.zero_one else ())


def _values(facts: _Facts) -> Labels:
    if facts.t != facts.k:
        raise _unequal(facts)
    _refuse_absurd(facts, range(facts.t))
    tasks = tuple(TaskSpec(one.names[0], "regression") for one in facts.columns) if facts.t > 1 else ()
    return Labels("values", _columns, _several(facts), tasks)


def _mixed(facts: _Facts) -> Labels:
    layout = Layout(facts.tasks)
    _refuse_absurd(facts, layout.values)
    words = {0: "values", 2: "two classes, by one logit"}
    read = ", ".join(f"{task.name!r} as {words.get(n := len(task.classes), f'{n} classes')}" for task in facts.tasks)
    text = f"{facts.said}: read {read}. Say loss='squared_error' if all are values."
    return Labels("mixed", _columns, (_chosen(text), *_several(facts)), facts.tasks)


def _gaussian(facts: _Facts) -> Labels:
    if facts.k != 2 * facts.t:
        raise InvalidInput(
            f"loss: a Gaussian likelihood needs a mean and a variance for every target. Found {facts.said}. "
            "Return means and variances side by side, (n, 2 t), or along a last axis, (n, t, 2)."
        )
    _refuse_absurd(facts, range(facts.t))
    return Labels("gaussian", _columns, _several(facts))


def _refuse_absurd(facts: _Facts, columns: Iterable[int]) -> None:
    """Refuse a target far beyond all others: one such value rules the unit of every error."""
    for column in columns:
        values = facts.wide[:, column]
        there = (~values.isnan()).nonzero().flatten().numpy()
        if len(there) < FEWEST:
            continue
        code, rows = absurd(values[~values.isnan()].numpy())
        if len(rows):
            which = f" {column}" * (facts.t > 1)
            cause = f"{code:g}, like a code for a missing value" if code is not None else "like an overflow"
            raise InvalidInput(
                f"Targets must be measurements. Target{which} lies far from all others in "
                f"{first_rows(there[rows].tolist())} (members first, counted from 0): {cause}. Set it to NaN where "
                "records have other targets, or leave those records out; a loss of your own takes any."
            )


def _several(facts: _Facts) -> tuple[Flag, ...]:
    holes = int(facts.wide.isnan().sum())
    if facts.t == 1:
        return ()
    text = f"{facts.t} targets a record: its loss is the mean over them, values in units of their own spread."
    more = f" {holes} missing ones are left out." if holes else ""
    return (Flag("several-targets", text + more), *_unlabelled(facts))


def _unlabelled(facts: _Facts) -> tuple[Flag, ...]:
    """Say of which of several targets no record has a label: a model's outputs cannot be left out like a column."""
    empty = [repr(one.names[0]) for one in facts.columns if len(one.known) == 0]
    if not empty:
        return ()
    text = f"No record has a label of {some(empty, 5)}: nothing is said of it."
    return (Flag("unlabelled-target", text),)


def _columns(targets: Tensor) -> Tensor:
    """Return targets as (n, t) in double precision."""
    return targets.double().reshape(len(targets), -1)
