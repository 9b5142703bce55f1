"""Is this machine ready: what is installed, what is missing and how to get it, and where leaq looks for data.

Nothing is imported and nothing is created to find out; package metadata, environment variables and the file system
are read, which takes milliseconds.
"""

import os
import platform
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import requires, version
from pathlib import Path

from leaq.system.downloads import cache_place
from leaq.system.environment import installed_version

PURPOSES = {
    "molecules": "SMILES, fingerprints, descriptors, drawings of molecules",
    "report": "HTML reports and plots",
    "parquet": "Parquet files",
    "huggingface": "embedders from a hub, language models",
    "torchao": "quantizers of torchao",
    "bitsandbytes": "quantizers of bitsandbytes",
    "brevitas": "quantizers of brevitas",
    "gguf": "GGUF files, and their types as quantizers",
    "compressed-tensors": "llm-compressor's integer formats as quantizers",
    "onnx": "ONNX files, run and read",
    "litert": "LiteRT (TFLite) models, run",
    "openvino": "OpenVINO models, run",
    "chemprop": "training and running chemprop beside leaq",
    "lightning": "recording checkpoints of Lightning trainings",
    "sign": "signing cards and checking them",
    "dp": "differentially private training",
    "ray": "studies on a cluster",
    "mlflow": "studies logged to MLflow",
}
"""What each extra is for. Extras for working on leaq itself (docs, dev) are no business of its users."""

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "LEAQ_JOBS")
DRIVERS = Path("/proc/driver/nvidia/gpus")


@dataclass(frozen=True)
class Package:
    """One distribution: what is needed of it, e.g. ``>=2.8,<3``, and the version found (None: not installed)."""

    name: str
    wanted: str
    found: str | None

    @property
    def ok(self) -> bool:
        """Installed, and not older than needed."""
        lowest = re.search(r">=\s*([\d.]+)", self.wanted)
        return self.found is not None and (lowest is None or _numbers(self.found) >= _numbers(lowest[1]))


@dataclass(frozen=True)
class Extra:
    """An optional part: what it is for, what it consists of, and the command that installs it."""

    name: str
    purpose: str
    packages: tuple[Package, ...]
    install: str

    @property
    def ok(self) -> bool:
        """Everything it consists of is there."""
        return all(package.ok for package in self.packages)


@dataclass(frozen=True)
class Place:
    """A folder leaq looks into: what for, the variable that names it, and what is there.

    Attributes
    ----------
    path : None where the variable is not set.
    state : "ready", "not set", "not there yet" (created when needed), "missing" or "not writable".
    files : how many data files, weights or cached files it holds.
    """

    what: str
    variable: str
    path: str | None
    state: str
    files: int

    @property
    def ok(self) -> bool:
        """Nothing has to be done about it."""
        return self.state not in ("missing", "not writable")


@dataclass(frozen=True)
class Checkup:
    """What was found; `todo` says what has to be done (empty: nothing), `hints` what can be done.

    Attributes
    ----------
    core, extras : packages leaq cannot do without, and optional parts.
    cores : processor cores this process may use.
    threads : environment variables that limit threads, None where not set.
    gpu : graphics processors seen, and whether this torch can use them.
    """

    version: str
    python: str
    platform: str
    core: tuple[Package, ...]
    extras: tuple[Extra, ...]
    cores: int
    threads: dict[str, str | None]
    gpu: str
    places: tuple[Place, ...]
    todo: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Nothing has to be done."""
        return not self.todo


def check() -> Checkup:
    """Look at packages, processor, graphics processor and folders, and say what to do.

    Examples
    --------
    >>> check().cores >= 1
    True
    """
    needed = requires("leaq") or []
    core = tuple(package for extra, package in _parsed(needed) if extra is None)
    extras = extras_of(needed)
    places = _places()
    return Checkup(
        version=version("leaq"),
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        core=core,
        extras=extras,
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        threads={name: os.environ.get(name) for name in THREADS},
        gpu=_gpu(next((package.found for package in core if package.name == "torch"), None)),
        places=places,
        todo=tuple(_todo(core, places)),
        hints=tuple(_hints(extras)),
    )


def extras_of(needed: Sequence[str]) -> tuple[Extra, ...]:
    """Return the optional parts among requirements such as ``rdkit>=2024.3; extra == 'molecules'``.

    Examples
    --------
    >>> [found] = extras_of(["no-such-package>=1; extra == 'onnx'", "numpy>=1.26"])
    >>> found.name, found.ok, found.install
    ('onnx', False, "pip install 'leaq[onnx]'")
    """
    parts: dict[str, list[Package]] = {}
    for extra, package in _parsed(needed):
        if extra in PURPOSES:
            parts.setdefault(extra, []).append(package)
    return tuple(
        Extra(name, PURPOSES[name], tuple(parts[name]), f"pip install 'leaq[{name}]'")
        for name in PURPOSES
        if name in parts
    )


_REQUIREMENT = re.compile(
    r"(?P<name>[\w.-]+)\s*(?:\[[^\]]*\])?\s*(?P<wanted>[^;]*)(?:;.*extra\s*==\s*['\"](?P<extra>[\w-]+)['\"])?"
)


def _parsed(needed: Sequence[str]) -> Iterator[tuple[str | None, Package]]:
    for text in needed:
        found = _REQUIREMENT.match(text)
        if found is not None and found["name"] != "leaq":  # leaq[...] only names other extras
            yield found["extra"], Package(found["name"], found["wanted"].strip(), installed_version(found["name"]))


def _numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: 2.13.0+cpu -> (2, 13, 0), without zeros at the end."""
    numbers = [int(part) for part in re.findall(r"\d+", text.partition("+")[0])[:3]]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)


def _gpu(torch: str | None) -> str:
    names = []
    for path in sorted(DRIVERS.glob("*/information")) if DRIVERS.is_dir() else ():
        found = re.search(r"Model:\s*(.+)", path.read_text(errors="replace"))
        names.append(found[1].strip() if found else "NVIDIA")
    if not names:
        return "none seen (NVIDIA driver); leaq computes on the processor"
    seen = ", ".join(names)
    if torch is not None and torch.endswith("+cpu"):
        return f"{seen}; this torch ({torch}) is built without it, so leaq computes on the processor"
    return f"{seen}; used where a configuration says device = 'cuda'"


def _places() -> tuple[Place, ...]:
    cache = cache_place()
    state = "not there yet" if not cache.exists() else _state(cache, writable=True)
    held = sum(1 for path in cache.rglob("*") if path.is_file()) if cache.is_dir() else 0
    return (
        _named("data sets", "LEAQ_DATA_DIR", "*.csv"),
        _named("pretrained weights", "LEAQ_WEIGHTS_DIR", "*.safetensors"),
        Place("cache of downloads and embeddings", "LEAQ_CACHE_DIR", str(cache), state, held),
    )


def _named(what: str, variable: str, pattern: str) -> Place:
    named = os.environ.get(variable)
    if not named:
        return Place(what, variable, None, "not set", 0)
    folder = Path(named)
    files = sum(1 for _ in folder.glob(pattern)) if folder.is_dir() else 0
    return Place(what, variable, named, _state(folder, writable=False), files)


def _state(folder: Path, *, writable: bool) -> str:
    if not folder.is_dir():
        return "missing"
    return "not writable" if writable and not os.access(folder, os.W_OK) else "ready"


def _todo(core: Sequence[Package], places: Sequence[Place]) -> Iterator[str]:
    for package in core:
        if not package.ok:
            found = "is not installed" if package.found is None else f"is {package.found}"
            yield f"{package.name} {found}, needed: {package.wanted or 'any version'}. Run: pip install --upgrade leaq"
    for place in places:
        if not place.ok:
            remedy = "Create it" if place.state == "missing" else "Change its rights"
            yield f"{place.path} ({place.what}) is {place.state}. {remedy}, or set {place.variable} to another folder."


def _hints(extras: Sequence[Extra]) -> Iterator[str]:
    absent = [extra.name for extra in extras if not extra.ok]
    if absent:
        yield f"Everything that is missing, at once: pip install 'leaq[{','.join(absent)}]'"
    unknown = [name for name in PURPOSES if name not in {extra.name for extra in extras}]
    if unknown:
        yield f"This installation was made from an older leaq and does not know {', '.join(unknown)}: install it again."
    yield "First audit: leaq audit breast_cancer"
