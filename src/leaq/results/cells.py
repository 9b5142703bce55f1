"""What an audit found, as plain data: the only thing that is stored, shown and reported.

A `CellResult` holds one row per quantizer and what was measured with it. It goes to JSON and back unchanged
(`to_json`, `from_json`), carries a schema version, and never contains a training record: per-record risks are
named by row number and kept apart in `private`, which shareable editions leave out.
"""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from leaq.errors import StoreError
from leaq.lazy import Lazy
from leaq.results.former import Renamed
from leaq.results.sizes import Size
from leaq.types import AttackResult, Estimate, Flag, NotComputed

if TYPE_CHECKING:
    import pandas as pd

SCHEMA = 1
"""Version of the stored form. Fields are only added; a reader refuses a newer version."""

Number = Estimate | NotComputed
KINDS = ("metrics", "drops", "measures", "attacks")
"""Numbers of a row, each by name."""


@dataclass(frozen=True)
class Curve:
    """Values along an axis with a band, for drawing (for example lambda_k against k)."""

    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """How surely the leaks of rows differ: the rows share models and records, so that differences are paired.

    Attributes
    ----------
    quantizers : k specifications.
    errors : (k, k) standard error of the difference between the advantages that the primary attack finds under two
        quantizers; on the diagonal that of the advantage itself.
    factor : standard errors of a difference that its interval reaches to either side, so that the intervals of all
        k (k - 1) / 2 differences hold at once at the level of the audit.
    """

    quantizers: tuple[str, ...]
    errors: tuple[tuple[float, ...], ...]
    factor: float

    def half_width(self, first: str, second: str) -> float | None:
        """Return how far the interval of the difference between two rows reaches; None if either is not compared."""
        if first not in self.quantizers or second not in self.quantizers:
            return None
        if first == second:
            return 0.0
        return self.factor * self.errors[self.quantizers.index(first)][self.quantizers.index(second)]


@dataclass(frozen=True)
class QuantizerRow:
    """Everything measured under one quantizer.

    Attributes
    ----------
    quantizer : the specification, e.g. ``ternary(sparsity=0.9)``; builds the quantizer again.
    label : short text for tables and figures.
    size : bits and bytes.
    metrics : task metrics on records that trained no part of the model: roc_auc, accuracy | r2, rmse, mae, spearman.
    drops : metric minus that of full precision, paired over models (same keys; negative r2/auc = worse).
    measures : indicators: "r", "n_r", "asymptotic", "finite_sample", "distortion", "loss_gap", ...; and how much more
        the primary attack finds than in full precision ("leak_vs_full") and than in the row that leaks least and still
        predicts something ("leak_vs_least"), paired, with intervals that hold for all pairs of rows at once.
    attacks : by name: "threshold", "lira", ...
    curves : by name: "lambda_k", ...
    flags : doubts about this row.
    by_task : of several targets, by name the same row for each alone: its metrics, drops and attacks.
    """

    quantizer: str
    label: str
    size: Size
    metrics: Mapping[str, Number] = field(default_factory=dict)
    drops: Mapping[str, Number] = field(default_factory=dict)
    measures: Mapping[str, Number] = field(default_factory=dict)
    attacks: Mapping[str, AttackResult | NotComputed] = field(default_factory=dict)
    curves: Mapping[str, Curve] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    by_task: Mapping[str, "QuantizerRow"] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "attacks", Renamed(self.attacks))

    @property
    def computed(self) -> dict[str, AttackResult]:
        """The attacks that had what they need."""
        return {name: found for name, found in self.attacks.items() if isinstance(found, AttackResult)}


@dataclass(frozen=True, repr=False)
class CellResult:
    """One data set, one embedder, one head, every quantizer.

    Attributes
    ----------
    config : the resolved configuration; running it again gives the same numbers.
    data : name, task, n, n_train, classes, unit, features, duplicates and so on; aggregates only.
    rows : one per quantizer, full precision first, otherwise in the order asked for.
    primary_metric : the key of `metrics` that the trade-off is drawn with.
    primary_attack : the key of `attacks` that rows are ordered by.
    environment : versions, platform, threads, device.
    timings : seconds by stage and peak memory; stored apart from the numbers, which must be reproducible.
    private : per-record findings by row number; absent from shareable editions.
    flags : doubts about the whole audit.
    comparison : how surely the leaks of rows differ; None where the attack left nothing to compare by.
    together : one row a set of releases of one model that were attacked together: `quantizer` names the set, `size` is
        the sum of its files, and there are no metrics, since each release has its own. No such set is a quantizer to
        choose, so they stand apart from `rows`.
    references : one row a classical model on the same records, to compare with; `quantizer` names it.
    """

    config: Mapping[str, Any]
    data: Mapping[str, Any]
    rows: tuple[QuantizerRow, ...]
    primary_metric: str
    primary_attack: str
    environment: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    private: Mapping[str, Any] = field(default_factory=dict)
    flags: tuple[Flag, ...] = ()
    schema: int = SCHEMA
    comparison: Comparison | None = None
    together: tuple[QuantizerRow, ...] = ()
    references: tuple[QuantizerRow, ...] = ()

    def __repr__(self) -> str:
        best = self.ranked()[0] if self.rows else None
        attack = best.computed.get(self.primary_attack) if best else None
        found = f", least leak: {best.label} {attack.advantage!r}" if best and attack else ""
        return f"CellResult({self.name!r}, {len(self.rows)} quantizers{found})"

    def __str__(self) -> str:
        return str(_view("text")(self))

    def _repr_html_(self) -> str:
        return str(_view("notebook")(self))

    @property
    def name(self) -> str:
        """What the data are called."""
        return str(self.data.get("name", "data"))

    def frame(self) -> "pd.DataFrame":
        """Return a tidy table, one row per quantizer and number: the columns of `leaq.results.tidy`."""
        found: pd.DataFrame = _view("frame")(self)
        return found

    def plot(self, *, width: int = 620, height: int = 400) -> Any:
        """Return the privacy-performance picture as an Altair chart (needs the extra `report`)."""
        return _view("plot")(self, width=width, height=height)

    def ranked(self) -> tuple[QuantizerRow, ...]:
        """Rows ordered by the held-out advantage of the primary attack, least leak first (ties: as asked for)."""

        def leak(row: QuantizerRow) -> float:
            found = row.attacks.get(self.primary_attack)
            return found.advantage.value if isinstance(found, AttackResult) else math.inf

        return tuple(sorted(self.rows, key=leak))

    def shown(self) -> tuple[QuantizerRow, ...]:
        """Rows as tables show them: `ranked`, and below them `unranked`."""
        return (*self.ranked(), *self.unranked)

    @property
    def unranked(self) -> tuple[QuantizerRow, ...]:
        """Rows that are no quantizer to choose: references, and sets of releases, as asked for."""
        return (*self.references, *self.together)

    def attacked(self, row: QuantizerRow) -> dict[str, AttackResult | NotComputed]:
        """Return the attacks of a row that tables show: of a set of releases those that read several."""
        return dict(row.computed if any(row is one for one in self.together) else row.attacks)

    def told_apart(self, one: QuantizerRow, other: QuantizerRow) -> bool:
        """Tell whether the leaks of two rows differ beyond doubt, whichever pair is looked at.

        By the paired difference where the audit holds the comparison of both; else (rows of an older version, or
        trained apart) only if their intervals do not overlap, which is far too strict for rows that share models.
        A row without a leak is told apart from none.
        """
        leaks = [
            row.computed[self.primary_attack].advantage for row in (one, other) if self.primary_attack in row.computed
        ]
        if len(leaks) < 2:
            return False
        first, second = leaks
        half = self.comparison.half_width(one.quantizer, other.quantizer) if self.comparison else None
        if half is None:
            return first.low > second.high or second.low > first.high
        return abs(first.value - second.value) > half

    @property
    def risk_attack(self) -> str | None:
        """The attack that tells each record's risk: the primary one if it does, else the first that does, if any."""
        names = [self.primary_attack, *(name for row in self.rows for name in row.attacks)]
        return next((name for name in names if any(_has_risk(row.attacks.get(name)) for row in self.rows)), None)

    @property
    def not_computed(self) -> dict[str, str]:
        """What is missing in every row where it was asked for, and the ingredient that it needs."""
        found: dict[str, str] = {}
        present: set[str] = set()
        for row in self.rows:
            for name, item in (*row.metrics.items(), *row.measures.items(), *row.attacks.items()):
                if isinstance(item, NotComputed):
                    found.setdefault(name, item.reason)
                else:
                    present.add(name)
        return {name: reason for name, reason in found.items() if name not in present}

    def to_json(self, *, timings: bool = True, private: bool = False) -> str:
        """Return strict JSON (infinities as strings), stable under the same numbers."""
        plain = as_plain(self)
        if not timings:
            plain.pop("timings")
        if not private:
            plain.pop("private")
            for row in (*plain["rows"], *plain["together"], *plain["references"]):
                for attack in row["attacks"].values():
                    attack.pop("risk", None)
        return json.dumps(plain, indent=1, sort_keys=True, allow_nan=False)

    def private_json(self) -> dict[str, Any]:
        """Return what `to_json` leaves out: row numbers, and each attack's risk per record by quantizer."""
        risks = {
            row.quantizer: {name: as_plain(found.risk) for name, found in row.attacks.items() if _has_risk(found)}
            for row in self.rows
        }
        return {**as_plain(self.private), "risk": risks}

    def with_private(self, found: Mapping[str, Any]) -> "CellResult":
        """Return this result with what `private_json` gave: row numbers and the risk of every record."""
        risks = found.get("risk", {})
        rows = tuple(_with_risk(row, risks.get(row.quantizer, {})) for row in self.rows)
        return replace(self, rows=rows, private={key: value for key, value in found.items() if key != "risk"})

    @classmethod
    def from_json(cls, text: str) -> "CellResult":
        """Read what `to_json` wrote; refuses a newer schema and anything that is not a result."""
        try:
            return cls.from_plain(json.loads(text))
        except ValueError as err:
            raise StoreError(f"This is not a leaq result: {err}. Run the audit again into a new folder.") from None

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any], *, later: bool = False) -> "CellResult":
        """Read the JSON values of `to_json`, as `from_json` does its text.

        `later` reads each number when it is first looked at, of values that are known to be whole.
        """
        try:
            schema = int(plain["schema"])
            if schema <= SCHEMA:
                return _cell(plain, later=later)
        except (KeyError, TypeError, ValueError, AttributeError) as err:
            raise StoreError(
                f"This is not a leaq result, or not a whole one ({err!r}). Run the audit again into a new folder."
            ) from None
        raise StoreError(
            f"This result was written by a newer leaq (schema {schema}; this version reads up to {SCHEMA}). "
            "Upgrade leaq to read it."
        )


VIEWS = {
    "text": "leaq.reporting.tables:text",
    "frame": "leaq.results.tidy:frame",
    "plot": "leaq.reporting.figures:plot",
    "notebook": "leaq.reporting.html:notebook",
}
"""How a result shows itself. The rooms that draw lie above this one, so they are named here and found on first use:
the one place where a lower room knows of higher ones, and only for display (the architecture test keeps it so)."""


def _view(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = resolve_name(VIEWS[name])
    return found


def _has_risk(found: AttackResult | NotComputed | None) -> TypeGuard[AttackResult]:
    return isinstance(found, AttackResult) and found.risk is not None


def _with_risk(row: QuantizerRow, risks: Mapping[str, Any]) -> QuantizerRow:
    attacks = dict(row.attacks)
    for name, risk in risks.items():
        attack = attacks.get(name)
        if isinstance(attack, AttackResult):
            attacks[name] = replace(attack, risk=np.asarray(risk, dtype=np.float64))
    return replace(row, attacks=attacks)


def as_plain(value: Any) -> Any:
    """Turn nested dataclasses, arrays and mappings into JSON values; infinities become the strings 'inf', '-inf'."""
    if type(value) in _PLAIN:  # nearly everything: asked first
        return value if type(value) is not float or math.isfinite(value) else _infinite(value)
    if is_dataclass(value) and not isinstance(value, type):
        stored = [item.name for item in fields(value) if item.metadata.get("stored", True)]
        plain = {name: as_plain(getattr(value, name)) for name in stored}
        kind = {Estimate: "estimate", NotComputed: "not_computed", AttackResult: "attack"}.get(type(value))
        return {"kind": kind, **plain} if kind else plain
    if isinstance(value, Mapping):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        whole = value.dtype.kind == "f" and bool(np.isfinite(value).all())
        return value.tolist() if whole else as_plain(value.tolist())
    if isinstance(value, list | tuple):
        return [as_plain(item) for item in value]
    if isinstance(value, np.generic):
        return as_plain(value.item())
    return _infinite(value) if isinstance(value, float) and not math.isfinite(value) else value


_PLAIN = frozenset({float, str, int, bool, type(None)})


def _infinite(value: float) -> str:
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


def _cell(plain: Mapping[str, Any], *, later: bool) -> CellResult:
    known = {item.name for item in fields(CellResult)}
    plain = {key: value for key, value in plain.items() if key in known}
    rows = {
        kind: tuple(_row(one, later=later) for one in plain.get(kind, ()))
        for kind in ("rows", "together", "references")
    }
    comparison = None
    if told := plain.get("comparison"):
        errors = tuple(tuple(map(float, line)) for line in told["errors"])
        comparison = Comparison(tuple(told["quantizers"]), errors, float(told["factor"]))
    return CellResult(**{**plain, **rows, "flags": _flags(plain["flags"]), "comparison": comparison})


def _row(plain: dict[str, Any], *, later: bool) -> QuantizerRow:
    named = {key: Lazy(plain[key], lambda _, item: number_of(item)) for key in KINDS}
    numbers: dict[str, Any] = {key: found if later else dict(found) for key, found in named.items()}
    curves = {
        name: Curve(**{axis: tuple(float(x) for x in values) for axis, values in curve.items()})
        for name, curve in plain["curves"].items()
    }
    told = plain["size"]
    size = Size(float(told["bits"]), float(told["entropy_bits"]), int(told["bytes"]), float(told["compression"]))
    by_task = {name: _row(one, later=later) for name, one in plain.get("by_task", {}).items()}
    built: dict[str, Any] = {"size": size, "curves": curves, "flags": _flags(plain["flags"]), "by_task": by_task}
    return QuantizerRow(quantizer=plain["quantizer"], label=plain["label"], **numbers, **built)


def number_of(plain: dict[str, Any]) -> Any:
    """Read a number, or what an attack found, as `as_plain` writes it."""
    kind = plain["kind"]
    body = {key: value for key, value in plain.items() if key != "kind"}
    if kind == "not_computed":
        return NotComputed(**body)
    if kind == "estimate":
        ends = {key: float(body[key]) for key in ("value", "low", "high")}
        return Estimate(**{**body, **ends, "flags": _flags(body["flags"])})
    body["advantage"], body["auc"] = number_of(body["advantage"]), number_of(body["auc"])
    body["tpr"] = {float(fpr): number_of(item) for fpr, item in body["tpr"].items()}
    if body.get("epsilon") is not None:
        body["epsilon"] = number_of(body["epsilon"])
    for key in ("roc", "risk"):
        if body.get(key) is not None:
            body[key] = np.asarray(body[key], dtype=np.float64)
    return AttackResult(**{**body, "flags": _flags(body["flags"])})


def _flags(plain: list[dict[str, str]]) -> tuple[Flag, ...]:
    return tuple(Flag(**flag) for flag in plain)
