"""Attacks on tables of losses that do not fit into memory: records pass by a block at a time, only counts stay.

What these attacks compare of a record is known from that record alone: its signals in all models, and which of these
trained on it. So a first pass learns what is common to all records (which models are complements) and keeps a random
sample of them, whose spread is LiRA's variance; a second one scores every block and counts the scores, by model,
membership and interval. The ends of the intervals are quantiles of the sample: a thousand of all its scores, and more
where few non-members are above. Thresholds are ends of intervals. The area under the ROC curve takes a tie for the
pairs of one interval, which is exact to within their share.

Records are counted in random parts, and intervals of confidence resample the parts and the models: the bootstrap over
groups of records, with a group a part.

Source of resampling random parts: Kott (2001), Journal of Official Statistics 17:521 (delete-a-group).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from leaq.attacks.base import MembershipAttack
from leaq.attacks.blocks import SAMPLE, Block, Blocks, Sample, kept
from leaq.attacks.calibrated import Calibrated
from leaq.attacks.decisions import FEWEST_OTHERS
from leaq.attacks.doubts import doubts_of_few, doubts_of_records, doubts_of_verdicts
from leaq.attacks.lira import Lira, log_normal
from leaq.attacks.scoring import FALSE_POSITIVES, LABELLED, Resampling, bounded
from leaq.attacks.shadows import FEWEST_SHADOWS, SMALLEST_VARIANCE, Shadows
from leaq.attacks.threshold import Threshold
from leaq.errors import InvalidInput, NotEnoughEvidence
from leaq.seeds import stream
from leaq.stats.crossed import crossed
from leaq.stats.intervals import TwoWay, percentile_interval
from leaq.types import AttackResult, Bools, Estimate, Flag, Floats, Ints, NotComputed

INTERVALS = 1024
"""Quantiles of all scores that are ends of intervals."""
TAIL = 256
"""Quantiles of the non-members' scores that are: from one in four above, in equal steps of the logarithm, to few."""
PARTS = 64
"""Random parts of the records, that are resampled; every second one gives thresholds to the others. A power of two."""
KEYS = 2**20
"""Values that the leading bits of a single-precision number take: order is kept, a thousandth of a score is not."""
CELLS = 2**16
"""Record-model pairs that are scored at once: what is made of them stays in the processor's caches."""
WAITING = 2**21
"""Record-model pairs that wait to be counted: a count goes through all intervals of all parts."""
NO_EPSILON = NotComputed("Pairs of records are not kept where they are streamed.")
SHARED = Flag(
    "shared-shadows",
    "Intervals resample models and parts of the records; what targets owe to the shadows they share is not in them.",
)


def streamed(
    blocks: Blocks, attacks: Sequence[MembershipAttack] = (), *, resampling: Resampling | None = None
) -> dict[str, AttackResult]:
    """Attack the models of a table of losses of any length; memory does not grow with it.

    Direction: smaller is safer. Range: advantage in [-1, 1]. Interval: bootstrap over models and random parts of the
    records. Do not trust intervals of attacks with shadow models as far as those of `MembershipAttack.attack`: see the
    flag "shared-shadows".

    Parameters
    ----------
    blocks : gives the records at each call, see `leaq.attacks.blocks.parquet_blocks`.
    attacks : `Threshold()`, `Calibrated(normalise=False)`, `Lira(normalise=False)`, online or offline with one
        variance for all records; by default those that the table has models and columns for.

    Raises
    ------
    InvalidInput
        If an attack cannot be streamed: it compares records with each other, or keeps them.
    NotEnoughEvidence
        If there are too few models or a column is missing.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> members = np.arange(4000)[None] % 2 == 0
    >>> losses = rng.exponential(np.where(members, 0.2, 1.0))
    >>> found = streamed(lambda: [Block(members, losses)])
    >>> 0.48 < found["threshold"].advantage.value < 0.58  # exponentials: best possible is 0.535
    True
    """
    if not callable(blocks):
        raise InvalidInput(
            f"Blocks must be a function that gives the records anew at each call. Found a {type(blocks).__name__}. "
            "Give a function that returns it, or parquet_blocks(path)."
        )
    resampling, blocks = resampling or Resampling(), kept(blocks)
    common = _Common.of(blocks)
    chosen = list(attacks) or common.possible()
    for attack in chosen:
        _refuse_unstreamed(attack, common)
    counts = {attack.spec(): _Counts.empty(common, attack) for attack in chosen}
    rng = stream(resampling.seed, "streamed-parts")
    for block in blocks():
        part = np.frombuffer(rng.bytes(block.members.shape[1]), np.uint8) & np.uint8(PARTS - 1)
        for some, few in _few(block):
            for attack in chosen:
                counts[attack.spec()].add(common.scored(attack, few), few.members, part[some])
    return {attack.spec(): _result(attack, common, counts[attack.spec()], resampling) for attack in chosen}


def _few(block: Block) -> Iterator[tuple[slice, Block]]:
    """Yield some of a block's records after the others."""
    s, n = block.members.shape
    step = max(1, CELLS // max(1, s))
    for start in range(0, n, step):
        some = slice(start, start + step)
        yield some, block.of(some)


def _refuse_unstreamed(attack: MembershipAttack, common: "_Common") -> None:
    plain = isinstance(attack, Threshold) and attack.per == "model"
    plain |= isinstance(attack, Calibrated) and not attack.normalise
    if isinstance(attack, Lira) and not attack.normalise:
        plain = attack.variance == "fixed" and attack.shadows == "quantized"
    if not plain:
        raise InvalidInput(
            f"{attack.spec()} compares records with each other and cannot be streamed. Name threshold, "
            "calibrated(normalise=False), lira(normalise=False) or lira(mode=offline, normalise=False)."
        )
    common.sample.signals(attack)


@dataclass(frozen=True)
class _Common:
    """What is common to all records.

    Attributes
    ----------
    pair : (s,) a code that a model shares with its exact complements and copies.
    opposite : for each model, itself and its exact complements.
    sample : some records from everywhere.
    variance : (2, s) of scores in and out of training, of each model's shadows, pooled over the sample; 0 where there
        are none.
    """

    records: int
    pair: Ints
    opposite: list[list[int]]
    sample: Block
    variance: Floats

    @classmethod
    def of(cls, blocks: Blocks) -> "_Common":
        """Look at all records."""
        alike, records, sample = np.zeros((0, 0), np.int64), 0, Sample()
        for block in blocks():
            sample.add(block)
            n = block.members.shape[1]
            both = _alike(block.members)
            alike = alike + both if alike.size else both
            records += n
        opposite = [sorted({i, *np.flatnonzero(row == 0).tolist()}) for i, row in enumerate(alike)]
        same = (alike == records) | (alike == 0)
        pair = np.unique(same.argmax(1), return_inverse=True)[1] if len(same) else np.empty(0, np.int64)
        return cls(records, pair, opposite, sample.block, _variance(sample.block, opposite))

    def _enough(self) -> bool:
        return _enough(self.opposite)

    def possible(self) -> list[MembershipAttack]:
        """Return the attacks that the table has models and columns for."""
        found: list[MembershipAttack] = [Threshold()] if self.sample.losses is not None else []
        if self._enough():
            found += [Calibrated(normalise=False)] if self.sample.losses is not None else []
            found += [LIRA] if self.sample.scores is not None else []
        return found

    def scored(self, attack: MembershipAttack, block: Block) -> Floats:
        """Return every model's scores of some records, (s, n), higher = more likely a member."""
        signals = block.signals(attack)
        if isinstance(attack, Threshold):
            return signals
        online = isinstance(attack, Lira) and attack.mode == "online"
        shadows = Shadows(signals, block.members, own=self.opposite)
        mean_in, mean_out = shadows.means(attack=attack.spec(), sides="both" if online else "out")
        if isinstance(attack, Calibrated):
            return signals - mean_out
        inside, outside = self.variance[:, :, None]
        if online:
            return log_normal(signals, mean_in, inside) - log_normal(signals, mean_out, outside)
        return np.asarray((signals - mean_out) / np.sqrt(outside))


LIRA = Lira(normalise=False)


def _alike(members: Bools) -> Ints:
    """Return in how many records two models are alike, both trained on them or neither, (s, s)."""
    models, n = members.shape
    if models == 1:
        return np.array([[n]])
    inside, trained = members.astype(np.float32), members.sum(1)
    return np.asarray(n - trained - trained[:, None] + 2 * (inside @ inside.T).astype(np.int64))


def _enough(opposite: list[list[int]]) -> bool:
    """Whether every model has shadows enough beside its complements."""
    return len(opposite) - max(map(len, opposite), default=0) >= FEWEST_SHADOWS


def _variance(sample: Block, opposite: list[list[int]]) -> Floats:
    """Return the variances of scores in and out of training over each model's shadows, pooled over records, (2, s)."""
    models = len(opposite)
    if sample.scores is None or not _enough(opposite):
        return np.zeros((2, models))
    shadows = Shadows(sample.signals(LIRA), sample.members, own=opposite)
    try:
        known = shadows.of_all(range(models), attack="Streaming", sides="out")
    except NotEnoughEvidence:  # some record is out of no shadow: those attacks say so that need one
        return np.zeros((2, models))
    sides = ((known.square_in, known.count_in), (known.square_out, known.count_out))
    pooled = [square.sum(1) / np.maximum(np.maximum(count - 1, 0).sum(1), 1) for square, count in sides]
    return np.maximum(pooled, SMALLEST_VARIANCE)


class _Counts:
    """How many scores of each model lie in each interval, by part and kind of the records.

    Parameters
    ----------
    ends : of the intervals, as keys (see `_keys`), ascending.
    """

    def __init__(self, ends: Ints, models: int) -> None:
        self._table = np.zeros((models, PARTS, 2, len(ends) + 1), np.int64)
        self._interval_of = np.searchsorted(ends, np.arange(KEYS), side="left")
        self._waiting: list[Ints] = []

    @classmethod
    def empty(cls, common: _Common, attack: MembershipAttack) -> "_Counts":
        """Choose the intervals by the scores of the sample."""
        scores = common.scored(attack, common.sample)
        asked = [(scores, np.linspace(0, 1, INTERVALS))]
        if (outside := scores[~common.sample.members]).size:
            asked.append((outside, 1 - np.geomspace(0.25, 1 / SAMPLE, TAIL)))
        found = [np.quantile(values, at, method="nearest") for values, at in asked]
        return cls(np.unique(_keys(np.concatenate(found))), len(scores))

    def add(self, scores: Floats, members: Bools, part: npt.NDArray[np.uint8]) -> None:
        """Count some records."""
        kinds, size = self._table.shape[2:]
        place = self._interval_of[_keys(scores)]  # (s, n)
        place += np.multiply(kinds * part + members, size, dtype=np.int64)  # 64 parts of 2 kinds: no more than a byte
        self._waiting.append(place)
        if sum(one.size for one in self._waiting) >= WAITING:
            self._count()

    @property
    def table(self) -> Ints:
        """(s, parts, 2, intervals), non-members first."""
        self._count()
        return self._table

    def _count(self) -> None:
        for row in range(len(self._table) if self._waiting else 0):
            place = np.concatenate([one[row] for one in self._waiting])
            self._table[row] += np.bincount(place, minlength=self._table[0].size).reshape(self._table[0].shape)
        self._waiting.clear()


def _keys(values: Floats) -> Ints:
    """Return the leading bits of numbers as whole numbers that keep their order."""
    bits = np.asarray(values, np.float32).view(np.int32)
    ordered = bits >> 31
    ordered &= 0x7FFFFFFF
    ordered ^= bits
    ordered >>= 12
    return np.asarray(np.add(ordered, KEYS // 2, dtype=np.int64))  # what indexing and counting would make of it


def _result(attack: MembershipAttack, common: _Common, counts: _Counts, resampling: Resampling) -> AttackResult:
    table, told = counts.table, isinstance(attack, Threshold)
    above = table[..., ::-1].cumsum(-1)[..., ::-1] - table  # above each interval's upper end
    totals = table.sum(-1)  # (s, parts, 2)
    if (totals.sum(1) == 0).any():
        raise NotEnoughEvidence(
            f"{attack.spec()}: every attacked model needs members and non-members. Found one without."
        )
    records = doubts_of_records(*totals.sum((0, 1))[::-1].tolist()) if len(table) == 1 else ()
    ways = TwoWay.draw(
        len(table), np.arange(PARTS), draws=resampling.draws, rng=stream(resampling.seed, "attack-intervals"),
        units=common.pair,
    )  # fmt: skip
    told = told or min(int((common.pair != one).sum()) for one in common.pair) < FEWEST_OTHERS
    caught = _told(above, totals) if told else _by_others(above, totals, common.pair)  # (s, parts, 2)
    rates = _rates(caught, totals, ways.records)  # (1 + b, s, 2)
    gaps = rates[..., 1] - rates[..., 0]
    areas = _areas(table, totals, ways.records)
    method = (
        f"signed, threshold from the other {'half of the records' if told else 'models'}; models and parts resampled"
    )
    pooled, alarms = above.sum((0, 1)), totals.sum((0, 1))
    shadows, pairs, models = "shadows" in attack.needs, common.records * len(common.pair), len(table)
    under = bounded(
        crossed(areas[0], areas[1:], ways),
        resampling,
        ends=(0.0, 1.0),
        pairs=pairs,
        method="ties within intervals; as the advantage",
    )
    flags = (*(SHARED for _ in range(shadows)), *doubts_of_few(models), *records)
    flags += doubts_of_verdicts(int(caught.sum()), pairs, area=under)
    return AttackResult(
        attack.spec(),
        f"knows {len(table) - len(common.opposite[0])} shadow models" if shadows else f"sees losses; {LABELLED}",
        "pool" if len(table) > 1 else "iid",
        advantage=bounded(crossed(gaps[0], gaps[1:], ways), resampling, ends=(-1.0, 1.0), pairs=pairs, method=method),
        auc=under,
        tpr=_tprs(above, totals, ways, resampling),
        roc=np.concatenate([[[0.0], [0.0]], (pooled / alarms[:, None])[:, ::-2], [[1.0], [1.0]]], axis=1),
        flags=flags,
        epsilon=NO_EPSILON,
        told=told,
    )


def _told(above: Ints, totals: Ints) -> Ints:
    """Return who is caught by the thresholds that are best on the other half of the parts, (s, parts, 2)."""
    caught = np.empty(totals.shape, np.int64)
    for half in (0, 1):
        there = slice(1 - half, None, 2)
        gain = np.subtract(*((above[:, there].sum(1) / totals[:, there].sum(1)[:, :, None])[:, i] for i in (1, 0)))
        best = gain.argmax(1)
        caught[:, half::2] = np.take_along_axis(above[:, half::2], best[:, None, None, None], 3)[..., 0]
    return caught


def _by_others(above: Ints, totals: Ints, pair: Ints) -> Ints:
    """Return who is caught by the thresholds that are best on the other models, (s, parts, 2)."""
    shares = above.sum(1) / totals.sum(1)[:, :, None]
    gain = shares[:, 1] - shares[:, 0]
    others = gain.sum(0) - (pair[:, None] == pair).astype(np.float64) @ gain
    return np.asarray(np.take_along_axis(above, others.argmax(1)[:, None, None, None], 3)[..., 0])


def _rates(caught: Ints, totals: Ints, weights: Floats) -> Floats:
    """Return the shares caught of either kind, of all records and in each draw of the parts, (1 + b, s, 2)."""
    every = np.concatenate([np.ones((1, PARTS)), weights])
    return np.asarray(np.einsum("bp,spk->bsk", every, caught) / np.einsum("bp,spk->bsk", every, totals))


def _areas(table: Ints, totals: Ints, weights: Floats) -> Floats:
    """Return areas under ROC curves, of all records and in each draw, (1 + b, s): linear in the weights of records."""
    inside, outside = table[:, :, 1].sum(1), table[:, :, 0].sum(1)  # (s, intervals)
    below = (outside.cumsum(1) - outside / 2) / outside.sum(1, keepdims=True)
    over = 1 - (inside.cumsum(1) - inside / 2) / inside.sum(1, keepdims=True)
    parts = np.stack([np.einsum("spi,si->sp", table[:, :, i], place) for i, place in ((0, over), (1, below))], axis=2)
    rates = _rates(parts, totals, weights)
    return np.asarray(rates[..., 0] + rates[..., 1] - rates[0, :, 1])


def _tprs(above: Ints, totals: Ints, ways: TwoWay, resampling: Resampling) -> dict[float, Estimate | NotComputed]:
    """Return TPR at each false-positive rate over all models pooled, or why it is not given."""
    models = len(above)
    weight = ways.models[:, :, None] * ways.records[:, None, :]  # (b, s, parts)
    every = np.concatenate([np.ones((1, *weight.shape[1:])), weight]).reshape(1 + len(weight), -1)
    caught, whole = (every @ part.reshape(models * PARTS, -1).astype(np.float64) for part in (above, totals))
    shares = caught.reshape(len(every), 2, -1) / whole[:, :, None]
    found: dict[float, Estimate | NotComputed] = {}
    for fpr in resampling.fprs:
        allowed = int(totals[..., 0].sum() * fpr)
        if allowed < FALSE_POSITIVES * models:
            need = f"needs {FALSE_POSITIVES / fpr:,.0f} non-members of every model"
            found[fpr] = NotComputed(f"TPR at {fpr:.1%} FPR {need}. Bring more records.")
            continue
        first = (shares[:, 0] <= fpr).argmax(1)  # the lowest threshold that accuses few enough
        if shares[0, 0, first[0]] * whole[0, 0] < FALSE_POSITIVES:
            need = "needs a threshold that accuses so few non-members: too many have one and the same score there"
            found[fpr] = NotComputed(f"TPR at {fpr:.1%} FPR {need}. Read the AUC.")
            continue
        values = shares[np.arange(len(shares)), 1, first]
        low, high = percentile_interval(values[1:], level=resampling.level)
        value, method = float(values[0]), "pooled over models; bootstrap over models and parts of the records"
        found[fpr] = Estimate.spanning(value, low, high, allowed, resampling.level, "falsely accused pairs", method)
    return found
