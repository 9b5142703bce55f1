"""A study as configuration: data sets x embedders x heads x seeds, each cell one audit of every quantizer.

Quantizers are no axis of the grid: one training serves all of them, and all attacks. So a study of 8 data sets,
4 embedders, 1 head and 3 seeds is 96 cells, whatever the number of quantizers.
"""

import tomllib
from collections.abc import Mapping
from filecmp import cmp
from pathlib import Path
from typing import Any, Self

from pydantic import Field, NonNegativeInt, field_validator, model_validator

from leaq.config import Config, split_specs
from leaq.data.sources import names
from leaq.embedders import EMBEDDERS
from leaq.errors import InvalidInput, LeaqError, closest, unknown_name
from leaq.pipeline.cell import PLACES, AuditConfig, FinishedModel, unread_training
from leaq.pipeline.finished.files import USED
from leaq.system.files import is_model, no_file, read_bytes
from leaq.training import TrainingConfig
from leaq.training.config import Device

AXES = frozenset({"source", "embedder", "training", "seed", "quantizers"})
"""Options of an audit that the study's own fields decide."""
MOST = 50_000
"""Cells of a study; looking each one up takes milliseconds before anything is computed."""


class Study(Config):
    """A grid of audits.

    Examples
    --------
    >>> study = Study(data=("wine", {"source": "digits"}), seeds=(0, 1, 2), quantizers=("sign",))
    >>> [(cell.source, cell.seed) for cell in study.cells()][:4]
    [('wine', 0), ('wine', 1), ('wine', 2), ('digits', 0)]
    >>> Study.from_toml_text(study.to_toml()) == study
    True
    """

    name: str = "study"
    data: tuple[dict[str, Any], ...]
    """One table a data set: `source`, and whatever else an audit needs to read it (target, smiles, task, ...)."""
    embedders: tuple[str, ...] = ("auto",)
    heads: tuple[TrainingConfig, ...] = (TrainingConfig(),)
    quantizers: tuple[str, ...] = ("study", "uniform(bits=8)")
    seeds: tuple[NonNegativeInt, ...] = (0,)
    audit: dict[str, Any] = Field(default_factory=dict)
    """Every other option of an audit, the same in all cells: replicates, level, draws, ..."""
    threads: int = 1
    """Threads of each task; part of the configuration because it decides rounding."""
    device: Device | None = None
    """Where models are trained and evaluated; None leaves it to each head, which says "cpu" unless told otherwise.
    Part of the configuration because it decides rounding."""

    @model_validator(mode="before")
    @classmethod
    def _places(cls, options: Any) -> Any:
        for key in options if isinstance(options, dict) else ():
            if key not in cls.model_fields and (table := _table_of(key)):
                raise ValueError(f"option {key!r} stands in {table}. Found it at the top level")
        return options

    @field_validator("data", mode="before")
    @classmethod
    def _names_are_sources(cls, data: Any) -> Any:
        return tuple({"source": item} if isinstance(item, str) else item for item in _listed(data))

    @field_validator("embedders", "heads", "seeds", mode="before")
    @classmethod
    def _one_is_a_list(cls, values: Any) -> Any:
        return _listed(values)

    @field_validator("quantizers", mode="before")
    @classmethod
    def _specified(cls, specs: Any) -> Any:
        return tuple(split_specs(specs)) if isinstance(specs, str) else specs

    @field_validator("data", "embedders", "heads", "quantizers", "seeds")
    @classmethod
    def _not_empty(cls, values: tuple[Any, ...]) -> tuple[Any, ...]:
        if not values:
            raise ValueError("must name at least one; an empty list leaves no cell to audit")
        return values

    @field_validator("embedders")
    @classmethod
    def _known_embedders(cls, specs: tuple[str, ...]) -> tuple[str, ...]:
        for spec in specs:
            if spec != "auto":
                _explained(spec, lambda spec=spec: EMBEDDERS.build(spec))
        return specs

    @model_validator(mode="after")
    def _cells_are_audits(self) -> Self:
        for where, options in (("audit", self.audit), *((f"data[{i}]", item) for i, item in enumerate(self.data))):
            for key in options:
                _refuse_key(where, key)
            if where != "audit" and "source" not in options:
                raise ValueError(f"{where}: source is required: the name of a data set, or a file")
        if self.size > MOST:
            raise ValueError(f"a study may have at most {MOST:,} cells, found {self.size:,}; split it")
        for key in self.audit:
            if not any(_means(key, item) for item in self.data):
                kind = "finished models" if key in FinishedModel.model_fields else "models that are trained"
                raise ValueError(f"audit: {key!r} is an option of {kind}, and the study names none")
        for i, item in enumerate(self.data):
            probe = {**self._shared(item), **item, "quantizers": self.quantizers, "seed": self.seeds[0]}
            _explained(f"data[{i}]", lambda probe=probe: AuditConfig.from_dict(probe))
        if len({cell.digest() for cell in self.cells()}) < self.size:
            raise ValueError("two cells of the grid are the same; remove the repeated data set, embedder, head or seed")
        return self

    @property
    def size(self) -> int:
        """Number of cells."""
        return sum(len(self._axes(item)) for item in self.data) * len(self.seeds)

    def cells(self) -> tuple[AuditConfig, ...]:
        """Return the audits, those that share records and embedding side by side.

        A finished model is one cell a seed: it has its embedder and its head. Heads that differ in what a network or a
        recipe of the user's does not read are one.
        """
        return tuple(
            AuditConfig.from_dict({**self._shared(item), **item, "quantizers": self.quantizers, **axis, "seed": seed})
            for item in self.data
            for axis in self._axes(item)
            for seed in self.seeds
        )

    def _axes(self, item: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Return embedder and head of every cell of one seed."""
        if is_model(str(item["source"])):
            return [{}]
        placed = {} if self.device is None else {"device": self.device}
        unread = unread_training({**self.audit, **item})
        heads: list[dict[str, Any]] = []
        for head in self.heads:
            read = {name: value for name, value in {**head.to_dict(), **placed}.items() if name not in unread}
            if read not in heads:
                heads.append(read)
        return [{"embedder": embedder, "training": head} for embedder in self.embedders for head in heads]

    def _shared(self, item: Mapping[str, Any]) -> dict[str, Any]:
        """Return the options that all cells share, as far as they mean something for one's source."""
        return {"threads": self.threads, **{key: one for key, one in self.audit.items() if _means(key, item)}}

    def to_toml(self) -> str:
        """Return the study as TOML; options that are None are left out, which means the same."""
        import tomli_w

        return tomli_w.dumps(_without_none(self.to_dict()))

    @classmethod
    def from_toml(cls, path: str | Path, *, variant: str | None = None) -> Self:
        """Read a study file; `variant` names a table under ``[variants]`` whose entries replace the file's own.

        Those of its table ``audit`` do so one by one. Files (sources, networks, recipes, released files, members,
        public records) are found relative to the study file, or where the command runs; of two different ones neither
        is taken.
        """
        path = Path(path)
        if not path.is_file():
            raise no_file(path, "study file", "Name a TOML file; see docs/studies.md.")
        try:
            text = read_bytes(path).decode("utf-8-sig")  # Windows editors begin files with a mark
        except UnicodeDecodeError as err:
            raise InvalidInput(f"{path.name} is not TOML: it is not UTF-8 text ({err.reason}).") from None
        return cls.from_toml_text(text, variant=variant, beside=path)

    @classmethod
    def from_toml_text(cls, text: str, *, variant: str | None = None, beside: Path | None = None) -> Self:
        """Read a study from TOML text."""
        where = beside.name if beside else "study"
        try:
            options = tomllib.loads(text)
        except (tomllib.TOMLDecodeError, RecursionError, ValueError) as err:  # the latter: numbers of 5,000 digits
            raise InvalidInput(f"{where} is not TOML: {err}.") from None
        variants = options.pop("variants", {})
        if not (isinstance(variants, dict) and all(isinstance(each, dict) for each in variants.values())):
            raise InvalidInput(f"{where}: variants must be tables, [variants.NAME]. Found something else.")
        if variant is not None:
            if variant not in variants:
                raise unknown_name(f"variant of {where}", variant, variants)
            shared = [one["audit"] for one in (options, variants[variant]) if isinstance(one.get("audit"), dict)]
            options |= variants[variant]
            if len(shared) > 1:
                options["audit"] = shared[0] | shared[1]
        if beside is not None and "data" in options:
            entries = ({"source": one} if isinstance(one, str) else one for one in _listed(options["data"]))
            options["data"] = [_found(item, beside.parent) for item in entries]
        if beside is not None and isinstance(options.get("audit"), Mapping):
            options["audit"] = _found(options["audit"], beside.parent)
        try:
            return cls.from_dict(options)
        except InvalidInput as err:
            raise InvalidInput(f"{where}: {str(err).removeprefix('Study: ')}") from None


def _listed(values: Any) -> Any:
    """Return several values as they are, one as a list of its own."""
    return values if isinstance(values, list | tuple) else (values,)


def _table_of(key: str) -> str:
    """Return the table of a study file in which an option stands; "" for one that is in none."""
    if key in TrainingConfig.model_fields:
        return "[[heads]]"
    return "[audit]" if key in AuditConfig.model_fields and key not in AXES else ""


def _means(key: str, item: Mapping[str, Any]) -> bool:
    """Whether an option of an audit means something for a source: nothing of a finished model is trained."""
    return key in USED if is_model(str(item.get("source", ""))) else key not in FinishedModel.model_fields


def _refuse_key(where: str, key: str) -> None:
    if key in AXES - ({"source"} if where.startswith("data") else set()):
        raise ValueError(f"{where}: {key!r} is an axis of the study; name it at the top level")
    if key in TrainingConfig.model_fields and key not in AuditConfig.model_fields:
        raise ValueError(f"option {key!r} stands in [[heads]]. Found it in {where}")
    if key not in AuditConfig.model_fields:
        raise ValueError(f"{where}: unknown option '{key}'.{closest(key, AuditConfig.model_fields)}")


def _explained(where: str, build: Any) -> None:
    """Turn our own refusal into one pydantic collects with the others."""
    try:
        build()
    except LeaqError as err:
        raise ValueError(f"{where}: {str(err).removeprefix('AuditConfig: ')}") from None


def _found(item: Any, folder: Path) -> Any:
    """Return a data entry with its files named from where they are, if they lie beside the study file."""
    if not isinstance(item, Mapping):
        return _placed(item, folder)
    found = {key: _placed(value, folder) if key in PLACES else value for key, value in item.items()}
    shipped = item.get("shipped", ())
    if isinstance(shipped, list):
        pairs = [one.partition("=") if isinstance(one, str) else (one, "", "") for one in shipped]
        found["shipped"] = [name if not mark else f"{name}={_placed(place, folder)}" for name, mark, place in pairs]
    return found


def _placed(name: Any, folder: Path) -> Any:
    """Return a file, or ``file.py:function``, by where it lies beside the study file, if it is not where we run."""
    if not isinstance(name, str) or name in names():  # a data set, whatever lies here by its name
        return name
    head, colon, function = name.rpartition(":") if ".py:" in name else (name, "", "")
    if not head or not (folder / head).exists():
        return name
    if Path(head).exists():
        if not _same(Path(head), folder / head):
            raise InvalidInput(
                f"{head} must be one file. Found another beside the study file than where the command runs: "
                f"{folder.resolve() / head} and {Path.cwd() / head}. Name it in full."
            )
        return name
    return f"{(folder / head).resolve()}{colon}{function}"


def _same(one: Path, other: Path) -> bool:
    """Whether two names are of one file or folder, or of files of the same bytes."""
    return one.samefile(other) or (one.is_file() and other.is_file() and cmp(one, other, shallow=False))


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value]
    return value
