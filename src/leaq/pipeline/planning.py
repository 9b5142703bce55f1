"""What an audit does with its records: who trains which model, what calibrates quantizers, what goes through which.

Where a quantizer is calibrated, a fifth of the records is set aside first, unless there are public ones: no model
trains on them and nobody is asked about them. Calibrating on the records a model did *not* train on would give its
members away by their absence; on records that no model knows, calibration says nothing about who trained. So each
calibrated quantizer is measured twice, on equally many records: calibrated on the members, and on those set aside. The
difference is the price of the former.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import numpy as np

from leaq.data.splits import halves
from leaq.errors import InvalidInput
from leaq.measures.condensed import condensed
from leaq.models.nets.layout import GRAPHS
from leaq.models.protocols import Model
from leaq.pipeline.cell import AuditConfig
from leaq.quantizers import Calibration, Identity, ReleaseSet, Scheme, build, parse_together
from leaq.quantizers.saying import ASIDE
from leaq.results import Size
from leaq.seeds import stream
from leaq.types import Bools, Flag, Floats, Ints, LossTable, Samples
from leaq.types.arrays import trained_on

ReleaseTables = dict[str, tuple[LossTable, Size]]
"""By quantizer specification: the losses of its candidates, and the size of one released model."""
PUBLIC = "public records"
"""Whose records calibrate a quantizer with ``calibrated=elsewhere`` where there are public ones."""
SHARE = 0.2
"""Share of the records that is set aside where a quantizer is calibrated."""


def refuse_other_sizes(parts: Sequence[ReleaseTables]) -> None:
    """Refuse models of several sizes; raises `InvalidInput`. Asked after every chunk: the rest is then not trained."""
    full = Identity().spec()
    sizes = {part[full][1].bytes for part in parts if full in part}
    if len(sizes) > 1:
        raise InvalidInput(
            f"All models of an audit must have one architecture. Found models of {min(sizes):,} and {max(sizes):,} "
            "bytes. Let sizes depend on the data set, not on the members."
        )


@dataclass(frozen=True)
class Asked:
    """Everything an audit is going to do.

    Attributes
    ----------
    pool : records that models train on and attackers ask about.
    members : (s, n) which of them train each model; a released file comes first.
    quantizers : one row each, full precision first.
    sets : releases that are attacked together.
    aside : records that no model trains on, for calibration: the public ones, or some set aside; None where nothing is
        calibrated.
    drawn : (m,) positions of the pool's records that attackers ask about; None for all of them.
    outputs : whether all outputs are kept, or of many classes what they told; see `leaq.measures.condensed`.
    """

    pool: Samples
    members: Bools
    quantizers: tuple[Scheme, ...]
    sets: tuple[ReleaseSet, ...] = ()
    aside: Samples | None = None
    public: bool = False
    drawn: Ints | None = None
    outputs: bool = False

    what: ClassVar[str] = "models"

    @cached_property
    def judged(self) -> Samples:
        """Records that attackers ask about, and that every number rests on."""
        return self.pool if self.drawn is None else self.pool.take(self.drawn)

    @cached_property
    def judged_members(self) -> Bools:
        """Which of them train each model, (s, m)."""
        return self.members if self.drawn is None else self.members[:, self.drawn]

    def of_pool(self, table: LossTable) -> LossTable:
        """Return a table of the judged records that knows how large the pool is and how many of it train a model."""
        if self.drawn is None:
            return table
        more = len(self.pool) / len(self.judged)
        tasks = {
            name: replace(one, pool=round(more * len(one.ids)), n_train=round(more * one.n_train))
            for name, one in table.by_task.items()
        }
        n_train = trained_on(self.members)
        return replace(table, pool=len(self.pool), n_train=n_train, by_task=tasks)

    def keep(self, found: ReleaseTables, table: LossTable, size: Size, config: AuditConfig) -> None:
        """Add the table of one release to those found, full precision first: it stays whole to compare with."""
        full = found.get(Identity().spec())
        if full is not None and not self.outputs:
            table = condensed(table, full[0], seed=config.seed, draws=config.draws)
        found[table.quantizer] = (table, size)

    def kept(self, found: ReleaseTables, config: AuditConfig) -> ReleaseTables:
        """Return what was found, full precision as the others."""
        if self.outputs:
            return found
        spec = Identity().spec()
        return {**found, spec: (condensed(found[spec][0], seed=config.seed, draws=config.draws), found[spec][1])}

    @property
    def releases(self) -> tuple[Scheme, ...]:
        """Further releases that are attacked as one of a set only."""
        return tuple(dict.fromkeys(q for one in self.sets for q in one.quantizers if q not in self.quantizers))

    def trainings(self, first: Bools) -> tuple[tuple[Samples, Bools], ...]:
        """Return what is trained for the first models, of members (s, n) each: records, and who of them trains."""
        return ((self.pool, first),)

    def candidates(self, config: AuditConfig) -> int:
        """Return how many candidates of each model every quantizer has: checkpoints, or a released file alone."""
        return 1 if config.released else config.training.checkpoints

    def runs(self, config: AuditConfig) -> Iterator[tuple[Scheme, int]]:
        """Yield what each model is quantized by, and how many candidates of it are."""
        yield from ((quantizer, self.candidates(config)) for quantizer in self.quantizers)
        yield from ((quantizer, 1) for quantizer in self.releases)

    @property
    def keys(self) -> tuple[str, ...]:
        """Under which names the rows' tables are found."""
        return tuple(quantizer.spec() for quantizer in self.quantizers)

    def rows(self, found: Mapping[str, object]) -> tuple[Scheme, ...]:
        """Return the quantizers that have a row, that of a released file among them (see `Trained.quantized_by`)."""
        known = {*self.keys, *(quantizer.spec() for quantizer in self.releases)}
        return (*self.quantizers, *(build(spec) for spec in found if spec not in known))

    @property
    def features(self) -> Floats | None:
        """What an attacker knows of each record beside its label, (m, d); None of texts and graphs.

        Where the numbers of a packed graph lie near each other's says nothing of how alike two graphs are.
        """
        told = not self.judged.text and GRAPHS not in self.judged.flags
        return self.judged.inputs.reshape(len(self.judged), -1) if told else None

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What was done to the records."""
        flags = []
        if self.aside is not None and self.public:
            text = f"{len(self.aside)} public records calibrate quantizers, none of them equal to a record of the pool."
            flags.append(Flag("public-records", text))
        elif self.aside is not None:
            text = (
                f"{len(self.aside)} records were set aside to calibrate quantizers on: no model trains on them, and "
                "nobody is asked about them."
            )
            flags.append(Flag("set-aside", text))
        if self.drawn is not None:
            text = (
                f"Attackers ask about {len(self.drawn):,} of the pool's {len(self.pool):,} records, drawn at random, "
                "and every number rests on these; each model trains on its half of the whole pool."
            )
            flags.append(Flag("judged-sample", text))
        return tuple(flags)

    @property
    def contrasts(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        """Which row is compared with which others beside the usual ones: by measure, by row (see `with_comparison`)."""
        pairs = {q.spec(): (elsewhere(q).spec(),) for q in self.quantizers if _on_members(q)}
        singles = {one.text: tuple(quantizer.spec() for quantizer in one.quantizers) for one in self.sets}
        return {"leak_vs_elsewhere": pairs, "leak_vs_single": singles}

    def calibration(self, model: Model, which: slice, scheme: Scheme, *, seed: int) -> Calibration:
        """Return what some models show a quantizer: to all of them the same records set aside, or each its members."""
        aside = self.aside
        if aside is None and scheme.calibrated == "elsewhere" and self.pool.public is not None:
            aside = strangers(self.pool.public, self.pool)  # of a released file's row, which was not asked for
        if aside is not None and scheme.calibrated == "elsewhere":
            source = PUBLIC if self.public else ASIDE
            return Calibration(model, aside.inputs, seed=seed, most=scheme.records, source=source)
        most = scheme.records if self.aside is None else min(scheme.records, len(self.aside))
        members = self.members[which]
        return Calibration(model, self.pool.inputs, members, seed=seed, first=which.start, most=most)


def asked(config: AuditConfig, samples: Samples) -> Asked:
    """Return what an audit of these records is going to do.

    Quantizers, each once: full precision, those named, each calibrated one followed by itself calibrated elsewhere, and
    those of each set of releases (of a random rounding the first release).
    """
    sets = parse_together(config.together) if config.together else ()
    named = (*config.schemes, *(quantizer for one in sets for quantizer in one.rows))
    quantizers = [Identity(), *(one for q in named for one in ((q, elsewhere(q)) if _on_members(q) else (q,)))]
    pool, aside, public = samples, None, samples.public is not None
    if any(quantizer.needs.calibration for quantizer in quantizers):
        if samples.public is not None:
            aside = strangers(samples.public, samples)
        else:
            pool, aside = set_aside(samples, share=SHARE, seed=config.seed)
    members = drawn_members(config, pool)
    drawn = None if len(pool) <= config.judged else _drawn(pool, config.judged, stream(config.seed, "judged"))
    return Asked(pool, members, tuple(dict.fromkeys(quantizers)), sets, aside, public, drawn)


def drawn_members(config: AuditConfig, pool: Samples) -> Bools:
    """Return which records of the pool train each model, (s, n); a released model's first, which is not drawn."""
    members = halves(pool, config.trained, seed=config.seed)
    return members if pool.released_on is None else np.concatenate([pool.released_on[None], members])


def elsewhere(quantizer: Scheme) -> Scheme:
    """Return a calibrated quantizer with its calibration records drawn elsewhere."""
    return quantizer.but(calibrated="elsewhere")


def strangers(public: Samples, pool: Samples) -> Samples:
    """Return the public records that equal none of the pool's once embedded: nobody asked about is public.

    Raises
    ------
    InvalidInput
        If none is left, or the columns are others.
    """
    if public.inputs.shape[1:] != pool.inputs.shape[1:]:
        raise InvalidInput(
            f"Public records must have the pool's {pool.inputs.shape[1]} columns. Found {public.inputs.shape[1]}."
        )
    known = {row.tobytes() for row in pool.inputs}
    new = np.array([row.tobytes() not in known for row in public.inputs.astype(pool.inputs.dtype, copy=False)])
    if not new.any():
        raise InvalidInput(
            f"Public records must be others than those asked about. Found {len(public)}, each equal to one of the "
            "pool. Name other records."
        )
    return public.take(new)


def _on_members(quantizer: Scheme) -> bool:
    return quantizer.needs.calibration and quantizer.calibrated == "members"


def set_aside(samples: Samples, *, share: float, seed: int) -> tuple[Samples, Samples]:
    """Draw whole groups of records until they make up a share of all; return the others, and those drawn.

    Examples
    --------
    >>> import numpy as np
    >>> from leaq.data.tables import from_arrays
    >>> pool, aside = set_aside(from_arrays(np.eye(20), np.arange(20) % 2), share=0.25, seed=0)
    >>> len(pool), len(aside), set(pool.ids) & set(aside.ids)
    (15, 5, set())
    """
    drawn = _drawn(samples, share * len(samples), stream(seed, "set aside"))
    rest = np.ones(len(samples), dtype=bool)
    rest[drawn] = False
    return samples.take(rest), samples.take(drawn)


def _drawn(samples: Samples, most: float, rng: np.random.Generator) -> Ints:
    """Draw whole groups of records, `most` records or a few less; return their positions, ascending.

    The largest group may not fit; at least one is drawn, and where there are several one is left.
    """
    _, code, sizes = np.unique(samples.groups, return_inverse=True, return_counts=True)
    order = rng.permutation(len(sizes))
    drawn = np.zeros(len(sizes), dtype=bool)
    drawn[order[np.cumsum(sizes[order]) <= most]] = True
    drawn[order[0]] = True
    return np.asarray(np.flatnonzero(drawn[code]), dtype=np.int64)


def joined_chunks(parts: Sequence[ReleaseTables]) -> ReleaseTables:
    """Return what all chunks of models hold, in their order.

    Raises
    ------
    InvalidInput
        If their models weigh differently: those of one audit have one architecture.
    """
    refuse_other_sizes(parts)
    return {spec: (LossTable.stack([part[spec][0] for part in parts]), parts[0][spec][1]) for spec in parts[0]}
