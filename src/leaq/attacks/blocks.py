"""Records of a table of losses, a block at a time: what attacks that are streamed read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from leaq.attacks.base import MembershipAttack
from leaq.attacks.lira import Lira
from leaq.errors import InvalidInput, NotEnoughEvidence, need, reason_of, some
from leaq.seeds import stream
from leaq.system.files import refuse_missing
from leaq.types import Bools, Floats, Ints
from leaq.types.arrays import memberships, numbers

RECORDS = 2**17
"""Records of a block."""
BUFFER = 2**20
"""Bytes of a Parquet column that are read ahead; left to itself, the library reads the file before the first record."""


@dataclass(frozen=True)
class Block:
    """Some records.

    Attributes
    ----------
    members : (s, n), True where a model trained on a record.
    losses, scores : (s, n), None where they are not known.
    """

    members: Bools
    losses: Floats | None = None
    scores: Floats | None = None

    def signals(self, attack: MembershipAttack) -> Floats:
        """Return what an attack compares, higher for what is fitted better."""
        kind = "score" if isinstance(attack, Lira) else "loss"
        values = self.scores if kind == "score" else self.losses
        if values is None:
            raise NotEnoughEvidence(
                f"{attack.spec()} needs the {kind} of every record under every model. Found none. Add {kind}_0, ..."
            )
        return values if kind == "score" else -values

    def of(self, rows: Ints | slice) -> "Block":
        """Return some of the records."""
        return Block(*(None if one is None else one[:, rows] for one in self._parts))  # type: ignore[arg-type]

    def beside(self, other: "Block") -> "Block":
        """Return these records and others of the same models."""
        pairs = zip(self._parts, other._parts, strict=True)
        both = (None if a is None or b is None else np.concatenate([a, b], axis=1) for a, b in pairs)
        return Block(*both)  # type: ignore[arg-type]

    @property
    def nbytes(self) -> int:
        """Bytes it takes in memory."""
        return sum(one.nbytes for one in self._parts if one is not None)

    @property
    def _parts(self) -> tuple[Bools | Floats | None, ...]:
        return self.members, self.losses, self.scores


Blocks = Callable[[], Iterable[Block]]
"""Gives the records anew at each call, in the same blocks."""


SAMPLE = 2**15
"""Records of a sample."""


class Sample:
    """Records from everywhere: those with the smallest of random numbers, however many come."""

    def __init__(self) -> None:
        self._rng = stream(0, "streamed-sample")
        self._drawn = np.empty(0, np.uint32)
        self._largest = 2**32
        self._kept: Block | None = None

    def add(self, block: Block) -> None:
        """Keep some of these records, and fewer of the earlier ones."""
        n = block.members.shape[1]
        if self._largest < 2**32:  # how many numbers are small enough, and whose: none is drawn for the others
            rows = np.sort(
                self._rng.choice(n, self._rng.binomial(n, self._largest / 2**32), replace=False, shuffle=False)
            )
            block = block.of(rows)
        drawn = self._rng.integers(self._largest, size=block.members.shape[1], dtype=np.uint32)
        self._kept = block if self._kept is None else self._kept.beside(block)
        self._drawn = np.concatenate([self._drawn, drawn])
        if len(self._drawn) > 2 * SAMPLE:
            self._thin()

    def _thin(self) -> None:
        assert self._kept is not None
        if len(self._drawn) > SAMPLE:
            rows = np.argpartition(self._drawn, SAMPLE - 1)[:SAMPLE]
            self._drawn, self._kept = self._drawn[rows], self._kept.of(rows)
            self._largest = int(self._drawn.max())

    @property
    def block(self) -> Block:
        """The records that were kept."""
        if self._kept is None or not len(self._drawn):
            raise NotEnoughEvidence("There are no records to attack. Bring a table that holds some.")
        self._thin()
        return self._kept


KEPT = 2**29
"""Bytes of a table that is kept in memory once it was read."""


def kept(blocks: Blocks) -> Blocks:
    """Return the same blocks, which are read once where all of them together are small, and each time where not.

    Examples
    --------
    >>> asked = []
    >>> again = kept(lambda: asked.append(1) or [Block(np.ones((1, 3), bool))])
    >>> len(list(again())), len(list(again())), len(asked)
    (1, 1, 1)
    """
    held: list[Block] | None = None

    def read() -> Iterator[Block]:
        nonlocal held
        few: list[Block] = []
        size = 0
        for block in map(_checked, blocks()):
            size += block.nbytes
            if size <= KEPT:
                few.append(block)
            else:
                few.clear()
            yield block
        held = few if size <= KEPT else None

    return lambda: read() if held is None else held


def parquet_blocks(path: str | Path, *, records: int = RECORDS) -> Blocks:
    """Return the records of a Parquet file with columns member_0, loss_0, score_0, member_1, ...: a number a model.

    `member_i` is true where model i trained on the record. Losses or scores (margins, or residuals) may be left out; a
    file of one model may name its columns member, loss and score.

    Raises
    ------
    InvalidInput
        If there are no such columns, or models lack some of them.
    """
    need("pyarrow", extra="parquet", purpose="Reading Parquet files")
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    refuse_missing(Path(path))
    try:
        opened = ParquetFile(path)
    except (ArrowInvalid, OSError) as err:
        raise InvalidInput(f"{path}: must be a Parquet file. {reason_of(err)}. Write it as Parquet.") from None
    with opened as file:
        columns = {name: _numbered(name, file.schema_arrow.names) for name in ("member", "loss", "score")}
    models = len(columns["member"])
    if not models or any(found and len(found) != models for found in columns.values()):
        counts = ", ".join(f"{len(found)} of {name}" for name, found in columns.items())
        raise InvalidInput(f"{path}: needs columns member_0, ... and loss_0, ... or score_0, ... . Found {counts}.")

    def blocks() -> Iterator[Block]:
        with ParquetFile(path, pre_buffer=False, buffer_size=BUFFER) as file:
            wanted = [name for found in columns.values() for name in found]
            for batch in file.iter_batches(batch_size=records, columns=wanted):
                taken = {
                    kind: _rows([batch.column(name).to_numpy(zero_copy_only=False) for name in names])
                    for kind, names in columns.items()
                    if names
                }
                yield Block(taken["member"], taken.get("loss"), taken.get("score"))

    return blocks


def _rows(columns: Sequence[np.ndarray]) -> np.ndarray:
    """Return columns as rows of one array, a single one where it stands."""
    return columns[0][None] if len(columns) == 1 else np.stack(columns)


def _numbered(name: str, columns: Sequence[str]) -> list[str]:
    """Return the columns name_0, name_1, ..., or the column of that bare name."""
    there = sorted(int(number) for one in columns if (number := one.removeprefix(f"{name}_")).isdecimal())
    if padded := [f"{name}_{number}" for number in there if f"{name}_{number}" not in columns]:
        raise InvalidInput(
            f"Columns must be called {name}_0, {name}_1, ... There is no {some(padded, 3)}. Rename them."
        )
    if there != list(range(len(there))):
        numbers = some([str(number) for number in there], 5)
        raise InvalidInput(f"Columns {name}_0, {name}_1, ... must count the models without a gap. Found {numbers}.")
    return [f"{name}_{number}" for number in there] or ([name] if name in columns else [])


def _checked(block: Block) -> Block:
    """Return a block whose parts are of one shape, memberships true or false and everything else finite."""
    members = memberships(block.members, name="Losses in blocks: members", shape=(None, None))
    losses, scores = (
        None if one is None else numbers(one, name=f"Losses in blocks: {name}", shape=members.shape)
        for name, one in (("losses", block.losses), ("scores", block.scores))
    )
    return Block(members, losses, scores)
