"""A network that chemprop saved: its file says what it reads and predicts, so tables of molecules are its records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaq.data.molecules import canonical_rows, smiles_column
from leaq.data.sources import no_column
from leaq.embedders.fingerprints import Morgan
from leaq.embedders.molgraph import MolGraph
from leaq.errors import InvalidInput, first_rows, listed_names, some
from leaq.models.nets.chemprop import LOSSES, Ensemble, read_chemprop
from leaq.models.nets.networks import GraphNet
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.finished.arrays import tensor_of
from leaq.pipeline.finished.case import Case
from leaq.pipeline.finished.records import Records, read_records
from leaq.types import Flag

MOLECULES = frozenset({"smiles", "skip_invalid", "strip_salts"})
"""Options of an audit that mean something where a finished model reads molecules."""
COMPARED = 256
"""Bits of the fingerprints that members and non-members are compared by: packed graphs are no columns."""


def who_trained(source: str, files: Sequence[Path], missing: Sequence[str]) -> InvalidInput:
    """Return the refusal of a network that chemprop saved without the molecules that did and did not train it."""
    network = read_chemprop(*files)
    named = ", ".join(network.targets) or f"{_tasks(network)} targets"
    several = f"{len(files)} networks" if len(files) > 1 else "a network"
    return InvalidInput(
        f"{Path(source).name} holds {several} of chemprop's that predict{'s' * (len(files) == 1)} {named} "
        f"({network.kind}). An audit asks which molecules trained it. Missing: {listed_names(missing)}. Name tables of "
        f"SMILES with these columns: leaq audit {source} --members train.csv --nonmembers test.csv. Shadow models find "
        f"far more: leaq audit all.csv --released {source} --members train.csv."
    )


def open_chemprop(files: Sequence[Path], config: AuditConfig, held: Mapping[str, Any]) -> Case:
    """Read a network, or several as one ensemble, and the molecules that did and did not train it.

    Parameters
    ----------
    held : "members" and "nonmembers": tables (the column of SMILES is ``smiles`` or the first, unless it is named; the
        targets are those that the file names), or what any finished model takes, of packed graphs.

    Raises
    ------
    InvalidInput
        If a table has no such columns, or a molecule cannot be read, by row.
    """
    network = read_chemprop(*files)
    loss = LOSSES[network.kind] if config.loss == "auto" else "auto"
    if not all(isinstance(data, pd.DataFrame) for data in held.values()):
        inside, outside = (read_records(data, name=name, target=config.target) for name, data in held.items())
        return Case(config, network, inside, outside, loss=loss)
    tables = [_Table.read(name, frame, network, config) for name, frame in held.items()]
    flags = tuple(dict.fromkeys(flag for table in tables for flag in table.flags))
    return Case(config, network, *_records(tables), loss=loss, flags=flags)


@dataclass(frozen=True)
class _Table:
    """The molecules and labels of one table."""

    name: str
    smiles: list[str]
    targets: pd.DataFrame
    rows: Sequence[int]
    flags: tuple[Flag, ...]

    @classmethod
    def read(cls, name: str, frame: pd.DataFrame, network: GraphNet | Ensemble, config: AuditConfig) -> "_Table":
        """Read a table's molecules; rows that cannot be used are refused, or dropped where that is asked for."""
        subject = Path(getattr(config, name)).name or name
        known = [str(column) for column in frame.columns]
        if len(known) < 2:
            raise InvalidInput(f"{subject}: needs a column of SMILES and one a target. Columns: {', '.join(known)}.")
        smiles = smiles_column(known, config.smiles)
        wanted = config.targets(known) or network.targets or tuple(one for one in known if one != smiles)
        for option, column in (("--smiles", smiles), *(("--target", one) for one in wanted)):
            if column not in known:
                raise no_column(subject, column, option, known)
        if len(wanted) != _tasks(network):
            raise InvalidInput(
                f"{subject}: the network predicts {_tasks(network)} targets. Found {len(wanted)}: "
                f"{some(wanted, 6)}. Name them in its order with --target."
            )
        frame = frame.set_axis(known, axis=1)
        targets = pd.DataFrame(tensor_of(frame[list(wanted)]).numpy(), columns=list(wanted))
        texts, rows, flags = canonical_rows(
            frame[smiles], targets.notna().any(axis=1).to_numpy(), name=subject, reading=config
        )
        if config.recorded and len(rows) < len(frame):
            raise InvalidInput(
                f"{subject}: what a recording tells is told by row, and {len(frame) - len(rows)} rows would be "
                "dropped. Correct the table, or leave recorded out."
            )
        return cls(subject, texts, targets.iloc[rows], rows.tolist(), flags)


def _tasks(network: GraphNet | Ensemble) -> int:
    first = network.members[0] if isinstance(network, Ensemble) else network
    return 1 if network.kind == "classes" else int(first.outputs)  # type: ignore[arg-type]


def _records(tables: Sequence[_Table]) -> tuple[Records, Records]:
    """Return packed graphs of one width; where members and others are compared, by fingerprints."""
    every = [text for table in tables for text in table.smiles]
    packed, bits = MolGraph().encode(every), Morgan(size=COMPARED).encode(every)
    cut = len(tables[0].smiles)
    for table, start in zip(tables, (0, cut), strict=True):
        failed = [table.rows[at] + 1 for at in range(len(table.smiles)) if start + at in packed.failed]
        if failed:
            raise InvalidInput(
                f"{table.name}: every molecule must be encodable. {first_rows(failed)} are not. Drop them."
            )
    found = []
    for table, part in zip(tables, (slice(cut), slice(cut, None)), strict=True):
        targets = table.targets if table.targets.shape[1] > 1 else table.targets.iloc[:, 0]
        records = read_records((packed.features[part], targets), name=table.name)
        found.append(replace(records, features=np.asarray(bits.features[part], dtype=np.float64)))
    return found[0], found[1]
