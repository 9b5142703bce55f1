"""What shadow models say about each record: the statistics LiRA, RMIA and difficulty calibration share.

Every other model of the table is a shadow of the attacked one, except its exact complement. Where models come in
complementary pairs, the complement knows the answer: a record it did not train on is a member of the target. With it
among the shadows, the number of shadows in and out of a record depends on the record's membership, and every mean over
shadows with it, which a real attacker's shadows never do.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property, lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.types import Bools, Floats, Ints, LossTable

FEWEST_SHADOWS = 4
SMALLEST_VARIANCE = 1e-12
"""The smallest spread a float64 ratio survives; equal signals are then separated by any difference."""


@dataclass(frozen=True)
class InOut:
    """Means and unbiased variances of records' signals over shadows that trained on them and that did not.

    (n,) of one target, or (t, n) of several.
    """

    mean_in: Floats
    mean_out: Floats
    square_in: Floats
    """Sum of squared deviations from `mean_in`."""
    square_out: Floats
    count_in: Ints
    count_out: Ints

    def of(self, row: int | slice) -> "InOut":
        """Return the statistics of one of several targets, or of some."""
        return InOut(*(getattr(self, one.name)[row] for one in fields(self)))

    def joined(self, others: Sequence["InOut"]) -> "InOut":
        """Return the statistics of several targets (t, n) with those of `others` below them."""
        return InOut(*(np.concatenate([getattr(o, one.name) for o in (self, *others)]) for one in fields(self)))

    def variances(self, kind: Literal["fixed", "per_record"]) -> tuple[Floats, Floats]:
        """Return the variances in and out: one for all records of a target, (..., 1), or one a record, (..., n).

        Raises
        ------
        NotEnoughEvidence
            If a variance per record is wanted of a record with fewer than two shadows on a side.
        """
        pairs = ((self.square_in, self.count_in), (self.square_out, self.count_out))
        if kind == "fixed":
            pooled = [
                square.sum(-1, keepdims=True) / np.maximum(1, (count - 1).sum(-1, keepdims=True))
                for square, count in pairs
            ]
            return np.maximum(pooled[0], SMALLEST_VARIANCE), np.maximum(pooled[1], SMALLEST_VARIANCE)
        fewest = min(int(self.count_in.min()), int(self.count_out.min()))
        if fewest < 2:
            raise NotEnoughEvidence(
                f"A variance per record needs at least 2 shadows in and 2 out of every record. Found {fewest}. "
                "Use one variance for all records, or add shadows."
            )
        each = [square / (count - 1) for square, count in pairs]
        return np.maximum(each[0], SMALLEST_VARIANCE), np.maximum(each[1], SMALLEST_VARIANCE)


class Shadows:
    """The models of a table as shadows of each other; sums over all of them once, each target's own taken off.

    Parameters
    ----------
    signals : (s, n).
    members : (s, n), True where a model trained on a record.
    own : for each model itself and its exact complements, where the records are some of more; by default these tell.
    """

    def __init__(self, signals: Floats, members: Bools, *, own: Sequence[Sequence[int]] | None = None) -> None:
        self.members = members
        self._shift = signals.mean(0)
        self._centred = signals - self._shift
        self._trained = np.where(members, self._centred, 0.0)
        packed = np.packbits(members, axis=1)
        self._own = _complements(packed.tobytes(), *members.shape) if own is None else own

    @cached_property
    def _sums(self) -> "_Sums":
        squares = (np.einsum("sn,sn->n", each, each) for each in (self._trained, self._centred))
        return _Sums(*self._plain_sums, *squares)

    @cached_property
    def _plain_sums(self) -> "tuple[Ints, Floats, Floats]":
        return self.members.sum(0), self._trained.sum(0), self._centred.sum(0)

    def excluded(self, target: int, also: Sequence[int] = ()) -> list[int]:
        """Return the models that are no shadows of `target`: itself, its exact complements, and those given."""
        return sorted(self._out(target, also))

    def count(self, target: int, also: Sequence[int] = ()) -> int:
        """Return the number of shadows of `target`, without the models given."""
        return len(self.members) - len(self._out(target, also))

    def alike(self, targets: Sequence[int], also: Sequence[int] = ()) -> tuple[Ints, list[int]]:
        """Return which of some sets of shadows each of `targets` has, (t,), and the first target of each set.

        A target and its complement have the same shadows.
        """
        sets: dict[frozenset[int], int] = {}
        rows = np.array([sets.setdefault(frozenset(self._out(one, also)), len(sets)) for one in targets], np.int64)
        return rows, [targets[int(np.argmax(rows == one))] for one in range(len(sets))]

    def models(self, target: int, also: Sequence[int] = (), *, attack: str) -> Ints:
        """Return the shadows of `target` by number, without the models given.

        Raises
        ------
        NotEnoughEvidence
            If there are fewer than 4.
        """
        out = self._out(target, also)
        found = np.array([i for i in range(len(self.members)) if i not in out], dtype=np.int64)
        self._refuse_few(len(found), attack)
        return found

    def _out(self, target: int, also: Sequence[int]) -> set[int]:
        return {*self._own[target], *map(int, also)}

    def of(
        self, target: int, also: Sequence[int] = (), *, attack: str, sides: Literal["both", "out"] = "both"
    ) -> InOut:
        """Return the statistics over the shadows of one `target`; see `of_all`."""
        return self.of_all([target], also, attack=attack, sides=sides).of(0)

    def of_all(
        self, targets: Sequence[int], also: Sequence[int] = (), *, attack: str, sides: Literal["both", "out"] = "both"
    ) -> InOut:
        """Return the statistics over the shadows of each of `targets`, without the models given, (t, n).

        Raises
        ------
        NotEnoughEvidence
            If there are fewer than 4 shadows, or a record is in (or out of) none of them.
        """
        shadows = self._counts(targets, also, attack)
        left = _Sums(*self._left(targets, also, self._sums))
        self._refuse_empty_sides(left.count_in, shadows, attack, sides)
        return self._statistics(left, shadows[:, None])

    def means(self, *, attack: str, sides: Literal["both", "out"] = "both") -> tuple[Floats, Floats]:
        """Return the means over each model's shadows in and out of every record, (s, n), and no spreads.

        Where `sides` is "out" a record may be in none of the shadows, and its mean in means nothing.

        Raises
        ------
        NotEnoughEvidence
            As `of_all`.
        """
        everyone = range(len(self.members))
        shadows = self._counts(everyone, (), attack)
        count_in, sum_in, sum_all = self._left(everyone, (), self._plain_sums)
        self._refuse_empty_sides(count_in, shadows, attack, sides)
        mean_out = (sum_all - sum_in) / np.maximum(shadows[:, None] - count_in, 1) + self._shift
        return (sum_in / np.maximum(count_in, 1) + self._shift if sides == "both" else mean_out), mean_out

    def _counts(self, targets: Sequence[int], also: Sequence[int], attack: str) -> Ints:
        shadows = np.array([self.count(target, also) for target in targets])
        self._refuse_few(int(shadows.min()), attack)
        return shadows

    def _refuse_empty_sides(self, count_in: Ints, shadows: Ints, attack: str, sides: str) -> None:
        if (count_in == shadows[:, None]).any() or (sides == "both" and (count_in == 0).any()):
            for row, count in enumerate(count_in):
                self._refuse_one_sided(count, int(shadows[row]), attack, sides)

    def everyone(self) -> InOut:
        """Return the statistics over all models, (n,); where a side of a record is empty, its mean is that of all."""
        return self._statistics(self._sums, len(self.members))

    def _statistics(self, sums: "_Sums", models: Ints | int) -> InOut:
        count_in, sum_in, sum_all, square_in, square_all = sums
        sum_out, square_out = sum_all - sum_in, square_all - square_in
        count_out = models - count_in
        mean_in, mean_out = sum_in / np.maximum(count_in, 1), sum_out / np.maximum(count_out, 1)
        return InOut(
            mean_in=mean_in + self._shift,
            mean_out=mean_out + self._shift,
            square_in=np.maximum(square_in - sum_in * mean_in, 0.0),
            square_out=np.maximum(square_out - sum_out * mean_out, 0.0),
            count_in=count_in,
            count_out=count_out,
        )

    def _left(self, targets: Sequence[int], also: Sequence[int], sums: "tuple[Floats | Ints, ...]") -> list[Any]:
        """Return the first of `_Sums` over each target's shadows, (t, n): over all models less those that are none."""
        out = {int(i) for i in also}
        common = (part.sum(0) for part in self._parts(sorted(out), len(sums)))
        base = [whole - part for whole, part in zip(sums, common, strict=True)] if out else sums
        own = [[i for i in self._own[target] if i not in out] for target in targets]
        if own == [[i] for i in range(len(self.members))]:  # all of them, without complements
            return [whole - part for whole, part in zip(base, self._parts(slice(None), len(sums)), strict=True)]
        left = [np.repeat(each[None], len(targets), axis=0) for each in base]
        for place in range(max(map(len, own))):  # a model and its complement: two steps, however many targets
            rows = [row for row, models in enumerate(own) if len(models) > place]
            taken = [own[row][place] for row in rows]
            for each, part in zip(left, self._parts(taken, len(sums)), strict=True):
                each[rows] -= part
        return left

    def _parts(self, models: Sequence[int] | slice, count: int) -> "tuple[Floats | Ints | Bools, ...]":
        """Return what the first of `_Sums` are sums of, of some models."""
        everything, trained = self._centred[models], self._trained[models]
        plain = (self.members[models], trained, everything)
        return plain if count == len(plain) else (*plain, trained**2, everything**2)

    @staticmethod
    def _refuse_few(shadows: int, attack: str) -> None:
        if shadows < FEWEST_SHADOWS:
            raise NotEnoughEvidence(
                f"{attack} needs at least {FEWEST_SHADOWS} shadow models beside the target and its complement. "
                f"Found {shadows}. Add --replicates or --shadows."
            )

    @staticmethod
    def _refuse_one_sided(count_in: Ints, shadows: int, attack: str, sides: str) -> None:
        checks = [(count_in == shadows, "out of")]
        if sides == "both":
            checks.append((count_in == 0, "in"))
        for missing, word in checks:
            if missing.any():
                rows = np.flatnonzero(missing)
                raise NotEnoughEvidence(
                    f"{attack} needs every record in some shadows and out of others. {first_rows(rows.tolist())} "
                    f"are {word} none of {shadows} shadows. Train on paired halves of the pool, or leave these "
                    "records out (LossTable.on)."
                )


@lru_cache(maxsize=16)
def _complements(packed: bytes, models: int, records: int) -> list[list[int]]:
    """Return for each model itself and those that trained on exactly the other records; `packed` are their members."""
    bits = np.frombuffer(packed, np.uint8).reshape(models, -1)
    members = np.unpackbits(bits, axis=1, count=records).astype(bool)
    where: dict[bytes, list[int]] = {}
    for i, row in enumerate(bits):
        where.setdefault(row.tobytes(), []).append(i)
    opposite = [row.tobytes() for row in np.packbits(~members, axis=1)]
    return [sorted({i, *where.get(code, ())}) for i, code in enumerate(opposite)]


class _Sums(NamedTuple):
    """What statistics over shadows are made of: members, sums and sums of squares of those in, and of all."""

    count_in: Ints
    sum_in: Floats
    sum_all: Floats
    square_in: Floats
    square_all: Floats


def same_models(table: LossTable, shadows: LossTable, *, attack: str, what: str = "shadows") -> None:
    """Refuse signals of other models or records than the table's; `what` names them."""
    if shadows.losses.shape[::2] != table.losses.shape[::2] or not np.array_equal(shadows.members, table.members):
        raise InvalidInput(f"{attack}: {what} must hold the same models and records as the table, in the same order.")
