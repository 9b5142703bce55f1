"""What shadow models say about each record: the statistics LiRA, RMIA and difficulty calibration share.

Every other model of the table is a shadow of the attacked one, except its exact complement. Where models come in
complementary pairs, the complement knows the answer: a record it did not train on is a member of the target. With it
among the shadows, the number of shadows in and out of a record depends on the record's membership, and every mean over
shadows with it, which a real attacker's shadows never do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from leaq.errors import InvalidInput, NotEnoughEvidence, first_rows
from leaq.types import Bools, Floats, Ints, LossTable

__all__ = ["FEWEST_SHADOWS", "InOut", "Shadows", "same_models"]

FEWEST_SHADOWS = 4
SMALLEST_VARIANCE = 1e-12
"""The smallest spread a float64 ratio survives; equal signals are then separated by any difference."""


@dataclass(frozen=True)
class InOut:
    """Means and unbiased variances of a record's signal over shadows that trained on it and that did not, (n,)."""

    mean_in: Floats
    mean_out: Floats
    square_in: Floats
    """Sum of squared deviations from `mean_in`."""
    square_out: Floats
    count_in: Ints
    count_out: Ints

    def variances(self, kind: Literal["fixed", "per_record"]) -> tuple[Floats, Floats]:
        """Return the variances in and out: one for all records, or one a record.

        Raises
        ------
        NotEnoughEvidence
            If a variance per record is wanted of a record with fewer than two shadows on a side.
        """
        pairs = ((self.square_in, self.count_in), (self.square_out, self.count_out))
        if kind == "fixed":
            pooled = [np.array(square.sum() / max(1, (count - 1).sum())) for square, count in pairs]
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
    """

    def __init__(self, signals: Floats, members: Bools) -> None:
        self.members = members
        self._shift = signals.mean(0)
        self._centred = signals - self._shift
        inside = np.where(members, self._centred, 0.0)
        self._sum_in, self._sum_all = inside.sum(0), self._centred.sum(0)
        self._square_in = np.einsum("sn,sn->n", inside, inside)
        self._square_all = np.einsum("sn,sn->n", self._centred, self._centred)
        self._count_in = members.sum(0)
        self._codes = [row.tobytes() for row in np.packbits(members, axis=1)]
        self._opposite = [row.tobytes() for row in np.packbits(~members, axis=1)]

    def excluded(self, target: int, also: Sequence[int] = ()) -> list[int]:
        """Return the models that are no shadows of `target`: itself, its exact complements, and those given."""
        left = set(also)
        return [i for i, code in enumerate(self._codes) if i == target or code == self._opposite[target] or i in left]

    def count(self, target: int, also: Sequence[int] = ()) -> int:
        """Return the number of shadows of `target`, without the models given."""
        return len(self._codes) - len(self.excluded(target, also))

    def models(self, target: int, also: Sequence[int] = (), *, attack: str) -> Ints:
        """Return the shadows of `target` by number, without the models given.

        Raises
        ------
        NotEnoughEvidence
            If there are fewer than 4.
        """
        found = np.setdiff1d(np.arange(len(self.members)), self.excluded(target, also))
        self._refuse_few(len(found), attack)
        return found

    def of(
        self, target: int, also: Sequence[int] = (), *, attack: str, sides: Literal["both", "out"] = "both"
    ) -> InOut:
        """Return the statistics over the shadows of `target`, without the models given.

        Raises
        ------
        NotEnoughEvidence
            If there are fewer than 4 shadows, or a record is in (or out of) none of them.
        """
        left = self.excluded(target, also)
        shadows = len(self.members) - len(left)
        self._refuse_few(shadows, attack)
        inside, signals = self.members[left], self._centred[left]
        count_in = self._count_in - inside.sum(0)
        self._refuse_one_sided(count_in, shadows, attack, sides)
        trained = np.where(inside, signals, 0.0)
        sum_in = self._sum_in - trained.sum(0)
        sum_out = self._sum_all - signals.sum(0) - sum_in
        square_in = self._square_in - (trained**2).sum(0)
        square_out = self._square_all - (signals**2).sum(0) - square_in
        count_out = shadows - count_in
        mean_in, mean_out = sum_in / np.maximum(count_in, 1), sum_out / np.maximum(count_out, 1)
        return InOut(
            mean_in=mean_in + self._shift,
            mean_out=mean_out + self._shift,
            square_in=np.maximum(square_in - sum_in * mean_in, 0.0),
            square_out=np.maximum(square_out - sum_out * mean_out, 0.0),
            count_in=count_in,
            count_out=count_out,
        )

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
                    f"are {word} none of {shadows} shadows. Train on paired halves of the pool."
                )


def same_models(table: LossTable, shadows: LossTable, *, attack: str, what: str = "shadows") -> None:
    """Refuse signals of other models or records than the table's; `what` names them."""
    if shadows.losses.shape[::2] != table.losses.shape[::2] or not np.array_equal(shadows.members, table.members):
        raise InvalidInput(f"{attack}: {what} must hold the same models and records as the table, in the same order.")
