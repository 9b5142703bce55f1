"""What is found or built on first use: names, libraries, modules, values.

Naming a room does not load what it computes with, and a table of thousands of cells builds the few it looks at.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

__all__ = ["MODULES", "FormerModules", "Lazy", "Tensor", "found_in", "special", "torch"]

T = TypeVar("T")


class Lazy(Mapping[str, T], Generic[T]):
    """A mapping whose values are built when they are first looked at: a table of thousands of cells looks at few.

    Parameters
    ----------
    build : makes a value of its name and of what `raw` holds under it.

    Examples
    --------
    >>> Lazy({"lira": "0.3"}, lambda name, raw: float(raw))["lira"]
    0.3
    """

    def __init__(self, raw: Mapping[str, Any], build: Callable[[str, Any], T]) -> None:
        self._raw, self._build = raw, build
        self._built: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        if key not in self._built:
            self._built[key] = self._build(key, self._raw[key])
        return self._built[key]

    def __contains__(self, key: object) -> bool:
        return key in self._raw

    def __iter__(self) -> Iterator[str]:
        return iter(self._raw)

    def __len__(self) -> int:
        return len(self._raw)


def found_in(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the ``__getattr__`` of a package whose names live in other modules.

    Parameters
    ----------
    places : the module of each public name, in full; with a colon and its name there, where it has another.

    Examples
    --------
    >>> found_in("numbers", {"pi": "math"})("pi") > 3
    True
    """

    def find(name: str) -> Any:
        if name in places:
            module, _, other = places[name].partition(":")
            return getattr(import_module(module), other or name)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return find


_SAME = {
    ("leaq", "leaq.models"): ("losses", "protocols"),
    ("leaq", "leaq.pipeline"): ("cell", "measuring"),
    ("leaq", "leaq.system"): ("downloads", "environment", "files"),
    ("leaq.auditing", "leaq.pipeline.finished"): (
        "candidates", "evaluating", "files", "language", "records", "shipped",
    ),
    ("leaq.measures", "leaq.attacks"): (
        "epsilon", "forecast", "risk", "rmia", "scoring", "shadows", "tokens",
    ),
    ("leaq.study", "leaq.decisions"): ("evidence", "gating"),
    ("leaq.study", "leaq.system"): ("locks",),
}  # fmt: skip
"""Modules that kept their own name, by the room they stood in and the one they stand in."""
MODULES = {
    **{f"{old}.{name}": f"{new}.{name}" for (old, new), names in _SAME.items() for name in names},
    "leaq.auditing": "leaq.pipeline.finished",
    "leaq.auditing.finished": "leaq.pipeline.finished.modules",
    "leaq.auditing.rows": "leaq.pipeline.finished.modules",
    "leaq.auditing.losses": "leaq.evaluation.losses",
    "leaq.candidates": "leaq.quantizers.neighbours",
    "leaq.checkup": "leaq.system.doctor",
    "leaq.cli.clean": "leaq.cli.verify",
    "leaq.cli.doctor": "leaq.cli.listing",
    "leaq.cli.watching": "leaq.cli.console",
    "leaq.costing": "leaq.pipeline.cost",
    "leaq.data.shipped": "leaq.data.loading",
    "leaq.data.synthetic": "leaq.data.loading",
    "leaq.embedders.chemvae": "leaq.embedders.networks.chemvae",
    "leaq.embedders.weights": "leaq.models.nets.weights",
    "leaq.measures.foreseen": "leaq.attacks.forecast",
    "leaq.measures.gaps": "leaq.measures.loss_gaps",
    "leaq.measures.held_out": "leaq.measures.performance",
    "leaq.measures.indicators": "leaq.measures.distortion",
    "leaq.measures.others": "leaq.measures.resampled_sums",
    "leaq.measures.winners": "leaq.measures.argmin_counts",
    "leaq.measures.rate_band": "leaq.measures.rate",
    "leaq.quantizers.casts": "leaq.quantizers.float_formats",
    "leaq.quantizers.few_bits": "leaq.quantizers.binary_ternary",
    "leaq.quantizers.packing": "leaq.quantizers.files.packing",
    "leaq.quantizers.rounding": "leaq.quantizers.stochastic_rounding",
    "leaq.reporting.attack_tables": "leaq.reporting.attacks",
    "leaq.reporting.forecast_words": "leaq.reporting.asides",
    "leaq.reporting.structures": "leaq.reporting.molecule_risk",
    "leaq.reporting.summary": "leaq.reporting.study_tables",
    "leaq.reporting.reproduction": "leaq.pipeline.options",
    "leaq.reporting.choice": "leaq.decisions.standing",
    "leaq.reporting.redaction": "leaq.results.redaction",
    "leaq.reporting.notebook": "leaq.reporting.html",
    "leaq.reporting.look": "leaq.reporting.drawing",
    "leaq.reporting.many": "leaq.reporting.study_tables",
    "leaq.reporting.reading": "leaq.reporting.narrative",
    "leaq.reporting.words": "leaq.reporting.display_names",
    "leaq.stats.agreement": "leaq.stats.ranks",
    "leaq.study.engines.choice": "leaq.study.engines",
    "leaq.study.engines.local": "leaq.study.engines.base",
    "leaq.study.single": "leaq.study.running",
    "leaq.study.sources": "leaq.study.plan",
    "leaq.study.recommending": "leaq.decisions.choosing",
    "leaq.study.rows": "leaq.results.tidy",
    "leaq.study.sealed": "leaq.system.checksummed",
    "leaq.study.shelf": "leaq.study.chunks",
    "leaq.studying": "leaq.api.functions",
    "leaq.training.recorder": "leaq.training.steps",
    "leaq.training.recording.config": "leaq.training.recording.recorder",
    "leaq.training.recording.image": "leaq.training.recording.reading",
    "leaq.training.recording.thinning": "leaq.training.recording.recorder",
    "leaq.training.recording.shelves": "leaq.training.recording.stores",
    "leaq.verbs": "leaq.api.functions",
}
"""By module of version 0.1 the one that has its names now, as far as one has; accepted until 0.3."""


class FormerModules(MetaPathFinder, Loader):
    """Finds the names of former modules where they are now; asked last, for what is found nowhere else.

    Examples
    --------
    >>> from leaq.cell import AuditConfig
    >>> AuditConfig.__module__
    'leaq.pipeline.cell'
    """

    def find_spec(self, name: str, *_: Sequence[str] | ModuleType | None) -> ModuleSpec | None:
        """Return how a former module is loaded; None for every other."""
        if name not in MODULES:
            return None
        return ModuleSpec(name, self, is_package=any(other.startswith(f"{name}.") for other in MODULES))

    def exec_module(self, module: ModuleType) -> None:
        """Let the module look its names up in the one that has them."""

        def find(name: str) -> Any:
            if name.startswith("__"):  # of itself: whoever walks all modules must import none
                raise AttributeError(f"module {module.__name__!r} has no attribute {name!r}")
            return getattr(import_module(MODULES[module.__name__]), name)

        vars(module)["__getattr__"] = find


class _Late:
    """A library that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


# For modules whose names, options and refusals must be had at once: those of every quantizer and every attack.
if TYPE_CHECKING:
    import torch
    from scipy import special
    from torch import Tensor
else:
    special, torch = _Late("scipy.special"), _Late("torch")
    Tensor = Any  # for annotations alone
