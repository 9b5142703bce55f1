"""An attack on all records at once: a record's signal, freed of what the memberships of records like it did to it.

LiRA looks at one record at a time, and takes for noise that a model's output on a record also depends on which records
like it the model trained on. That is no noise to an attacker who knows the pool: from his shadow models he learns how
much the membership of a record's neighbours moves its signal, takes it out of the shadows, where he knows who was in,
and out of the target, where he has a first guess of everybody's membership that gets better with every round. What is
left varies less, so that the record's own membership shows. With D_i the move of record i's signal by its own
membership, m_i its membership and i the records nearest to j,

    signal of j  =  what its own membership makes of it  +  sum_i k(i, j) D_i (m_i - 1/2)  +  noise

where k depends on how near i is (`BINS` steps), on whether both are of one class, and on whether j itself is a member:
a record that a model fits exactly is not moved by its neighbours any more. k is learnt over all records and shadows.

Own method. That memberships of records like each other should be inferred together: Humphries et al., "Investigating
Membership Inference Attacks under Data Dependencies" (arXiv 2010.12112v4); "Cascading and Proxy Membership Inference
Attacks" does so by training further shadow models on the members found so far. Here nothing is trained.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from leaq.attacks.base import Context, Ingredient, MembershipAttack
from leaq.attacks.hierarchical import Predictive, predictive
from leaq.attacks.shadows import InOut, Shadows
from leaq.errors import InvalidInput
from leaq.seeds import stream
from leaq.types import Bools, Floats, Ints

NEAREST = 32
"""Neighbours of a record."""
BINS, STEP = 4, 0.25
"""Steps of nearness, and which part of all pairs of neighbours is nearer than each: a quarter, 1 in 16, 1 in 64."""
ROUNDS = 2
"""Times that everybody's membership is guessed."""
WIDE = 256
"""Features beyond which records of a large pool are compared by as many random sums of them."""
MANY = 4096
"""Records from which a pool is large."""
AT_ONCE = 2**23
"""Similarities that are held at once."""
SUMS = 2**20
"""Sums over neighbours that are held at once, about."""
RIDGE = 1e-3
SURE = 30.0
"""Log-odds beyond which a membership is certain."""
COLUMNS = 4
"""Columns of `Freed.evidence`."""
FREED = 9
"""Numbers a record that a `Freed` holds, about."""


class ByNeighbours(MembershipAttack):
    """Hierarchical LiRA on all records together: signals freed of what their neighbours' memberships did to them.

    Direction: smaller is safer; compare with lira(variance=hierarchical), which looks at one record at a time. Range:
    advantage in [-1, 1]. Do not trust when quiet: neighbours are found by the features, and where these do not say
    which records a model takes for alike, nothing is gained. A lower bound on the leak of the game played.

    Raises
    ------
    InvalidInput
        If there are not as many features as records.
    NotEnoughEvidence
        If there are fewer than 4 shadows, or a record is in (or out of) none of a target's shadows.
    """

    name: ClassVar[str] = "neighbours"
    place: ClassVar[int] = 5
    source: ClassVar[str] = "own; membership under dependencies: arXiv 2010.12112v4"
    examples: ClassVar[tuple[str, ...]] = ("neighbours",)
    jackknife: ClassVar[bool] = False  # solving anew without each pair of models would cost as often as much
    needs: ClassVar[tuple[Ingredient, ...]] = ("shadows", "scores", "features")

    def scores(self, context: Context, targets: Sequence[int], excluded: Sequence[int] = ()) -> Floats:
        """Return log-likelihood ratios, (t, n)."""
        signal = context.signals.of("auto")
        known = context.shadows(signal)
        alike, first = known.alike(targets, excluded)
        alone = predictive(known.of_all(first, excluded, attack=self.name))
        found = freed(signal, known, Hood.of(context), first, alone=alone, excluded=excluded)
        here = signal[list(targets)]
        odds: Floats = alone.judged(here, here, alike)[0]
        for _ in range(ROUNDS):
            odds = found.evidence(here, odds, alike)[..., 0]
        return odds

    def knows(self, context: Context) -> str:
        return (
            "sees the quantized model's outputs on all records; knows the pool and which of its records are alike, the "
            f"training rule and the quantizer; {context.shadows_of()} shadow models"
        )

    def title(self) -> str:
        return "LiRA on all records together, neighbours' memberships taken out"

    def short(self) -> str:
        return "Neighbours"

    def explain(self) -> str:
        return "Likelihood of a record's signal once what the memberships of records like it did to it is taken out."


class Hood:
    """Which records are near which, in steps of nearness and within and between classes.

    Parameters
    ----------
    features : (n, d) of the pool.
    classes : (n,) of its records; None where they are values, or several targets.
    """

    @classmethod
    def of(cls, context: Context) -> "Hood":
        """Return the neighbours of the records of a context, found once for all attacks."""
        assert context.features is not None
        table, features = context.table, context.features
        if len(features) != (records := table.members.shape[1]):
            raise InvalidInput(f"neighbours: needs features of all {records} records. Found {len(features)} rows.")
        if "hood" not in context.shared:
            classes = table.targets if table.task == "classification" and not table.by_task else None
            context.shared["hood"] = cls(features, classes)
        found: Hood = context.shared["hood"]
        return found

    def __init__(self, features: Floats, classes: npt.NDArray[Any] | None = None) -> None:
        self._near, nearness = most_alike(features)
        inner = np.quantile(nearness, 1 - STEP ** np.arange(1, BINS)) if nearness.size else np.zeros(BINS - 1)
        self._kind = (nearness[:, :, None] >= inner).sum(2)
        if classes is not None:
            self._kind += BINS * (np.asarray(classes)[self._near] == np.asarray(classes)[:, None])
        self._kinds = BINS * (1 if classes is None else 2)

    def __len__(self) -> int:
        return len(self._near)

    @cached_property
    def _by_kind(self) -> Any:
        """Sparse (kinds n, n): in row k n + j 1 at the neighbours of record j that are of kind k."""
        from scipy.sparse import csr_array

        n, count = self._near.shape
        rows = self._kind * n + np.arange(n)[:, None]
        shape = self._kinds * n, n
        return csr_array((np.ones(n * count), (rows.ravel(), self._near.ravel())), shape=shape)

    def sums(self, values: Floats) -> Floats:
        """Return what the neighbours of each kind add up to, of values (n, o): (kinds, n, o)."""
        return np.asarray(self._by_kind @ values).reshape(self._kinds, *values.shape)

    def passed_on(self, values: Floats) -> Floats:
        """Return what the values (kinds, n, o) of all whose neighbour it is add up to for each record, (n, o)."""
        return np.asarray(self._by_kind.T @ values.reshape(-1, values.shape[2]))

    def parts(self, targets: int) -> Iterator[slice]:
        """Yield the targets whose sums are held at once."""
        step = max(1, SUMS // (self._kinds * len(self)))
        return (slice(start, start + step) for start in range(0, targets, step))


def most_alike(features: Floats) -> tuple[Ints, Floats]:
    """Return the nearest other records of each, (n, k), and how near they are: the cosine of standardised features.

    Examples
    --------
    >>> near, nearness = most_alike(np.repeat(np.eye(2), 20, axis=0))
    >>> near.shape, bool((near[0][nearness[0] > 0] < 20).all())
    ((40, 32), True)
    """
    x = np.asarray(features, np.float32).reshape(len(features), -1)
    x = x - x.mean(0)
    spread = x.std(0)
    x = x[:, spread > 0] / spread[spread > 0]
    if len(x) > MANY and x.shape[1] > WIDE:
        x = x @ stream(0, "nearest").standard_normal((x.shape[1], WIDE), np.float32)
    size = np.sqrt((x**2).sum(1, keepdims=True))
    x = x / np.where(size > 0, size, 1.0)
    n, count = len(x), min(NEAREST, len(x) - 1)
    near, nearness = np.empty((n, count), np.int64), np.empty((n, count))
    step = max(1, AT_ONCE // n)
    for start in range(0, n, step):
        part = x[start : start + step] @ x.T
        part[np.arange(len(part)), np.arange(start, start + len(part))] = -np.inf
        found = np.argpartition(part, n - count, axis=1)[:, n - count :]
        near[start : start + step] = found
        nearness[start : start + step] = np.take_along_axis(part, found, axis=1)
    return near, nearness


@dataclass(frozen=True)
class Freed:
    """How a signal is freed of what neighbours' memberships do to it, and what is then expected of it.

    By each of g sets of shadows.

    Attributes
    ----------
    move : (g, n) what a record's own membership does to its signal.
    weights : (g, 2, kinds) how much of a neighbour's move each kind of neighbour passes on: to members, and to others.
    expected : of what is left.
    """

    hood: Hood
    move: Floats
    weights: Floats
    expected: Predictive

    def evidence(self, signal: Floats, odds: Floats, rows: Ints) -> Floats:
        """Return what targets' signals (t, n) say of each record, given the log-odds (t, n) of all, (t, n, 4).

        The log-likelihood ratio of what is left of the signal; how many standard deviations that lies from either mean;
        and what its neighbours' signals say of a record: how much likelier they are where it was a member.

        Parameters
        ----------
        rows : (t,) by which set of shadows each target is judged.
        """
        found = np.empty((*signal.shape, COLUMNS))
        for part in self.hood.parts(len(rows)):
            found[part] = self._evidence(signal[part], odds[part], rows[part])
        return found

    def _evidence(self, signal: Floats, odds: Floats, rows: Ints) -> Floats:
        chance = 1 / (1 + np.exp(-np.clip(odds, -SURE, SURE)))
        move, weights = self.move[rows], self.weights[rows]
        around = self.hood.sums(((chance - 0.5) * move).T)  # (kinds, n, t)
        inside, outside = (signal - np.einsum("knt,tk->tn", around, weights[:, side]) for side in range(2))
        ratio, z_in, z_out = self.expected.judged(inside, outside, rows)
        pull_in = chance * z_in / np.sqrt(self.expected.variance_in[rows])
        pull_out = (1 - chance) * z_out / np.sqrt(self.expected.variance_out[rows])
        pulls = (np.einsum("tk,tn->knt", weights[:, side], pull) for side, pull in enumerate((pull_in, pull_out)))
        told = self.hood.passed_on(np.add(*pulls)).T
        return np.stack([ratio, z_in, z_out, told * move], axis=-1)


def freed(
    signal: Floats, known: Shadows, hood: Hood, targets: Sequence[int], *, alone: Predictive, excluded: Sequence[int]
) -> Freed:
    """Return a signal freed of neighbours by the shadows of each of `targets`.

    Parameters
    ----------
    signal : (s, n) of all models. known : these as shadows of each other.
    alone : what the shadows expect of each record by itself, (len(targets), n).
    """
    weights, left = [], []
    for place, target in enumerate(targets):
        models = known.models(target, excluded, attack=ByNeighbours.name)
        learnt, moved = _learnt(signal[models], known.members[models], alone.of(place), hood)
        weights.append(learnt)
        left.append(Shadows(signal[models] - moved, known.members[models], own=()).everyone())
    lone = [InOut(*(getattr(one, name.name)[None] for name in fields(one))) for one in left]
    return Freed(hood, alone.mean_in - alone.mean_out, np.stack(weights), predictive(lone[0].joined(lone[1:])))


def _learnt(there: Floats, inside: Bools, alone: Predictive, hood: Hood) -> tuple[Floats, Floats]:
    """Return the weights of kinds of neighbours, for members and others, and how these move the signals (o, n)."""
    # (kinds, n o): what is around each record in each shadow.
    around = hood.sums(((inside - 0.5) * (alone.mean_in - alone.mean_out)).T)
    around = around.reshape(len(around), -1)
    sides = ((inside, alone.mean_in, alone.variance_in), (~inside, alone.mean_out, alone.variance_out))
    learnt = []
    for kept, mean, variance in sides:
        precision = np.sqrt(kept / variance)
        learnt.append(_weights(around * precision.T.ravel(), ((there - mean) * precision).T.ravel()))
    weights = np.stack(learnt)
    to_members, to_others = (weights @ around).reshape(2, *there.T.shape)
    return weights, np.where(inside, to_members.T, to_others.T)


def _weights(around: Floats, left: Floats) -> Floats:
    """Return the ridge weights (k,) of what neighbours add up to (k, r) in what is left of signals (r,)."""
    gram = around @ around.T
    diagonal = np.diag(gram)
    penalty = RIDGE * diagonal + 1e-9 * max(float(diagonal.sum()), 1e-300)
    return np.asarray(np.linalg.solve(gram + np.diag(penalty), around @ left))
