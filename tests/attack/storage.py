"""Damage to what leaq stored, kills while it stores, links where it stores: nothing wrong is ever given back."""

import errno
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import torch
from torch import nn

from leaq.embedders import cache as embeddings
from leaq.embedders.base import Encoded
from leaq.embedders.fingerprints import Maccs
from leaq.errors import LeaqError, StoreError
from leaq.study import Rules, Store, run_study
from leaq.study.chunks import ChunkStore
from leaq.study.cleaning import clean
from leaq.study.verifying import verify
from leaq.training.recording import Recorder
from tests.attack.inputs import Rng, mangled
from tests.unit.study.small import small

SMILES = ["CCO", "CCN", "CCC"]
TINY, PAIR = small(data=("wine",), seeds=(0,)), small(data=("wine",))


@cache
def finished() -> Path:
    """A finished study with its losses, made once."""
    folder = Path(mkdtemp(prefix="leaq-attack-")) / "run"
    run_study(PAIR, folder, rules=Rules(keep_losses=True))
    return folder


def readings(folder: Path) -> dict[str, object]:
    """Everything that can be read of a run folder; what is refused or absent is left out."""
    found: dict[str, object] = {}
    try:
        store = Store(folder)
    except LeaqError:
        return {}
    for key in Store(finished()).stored():
        with suppress(StoreError):
            found[f"cell {key}"] = store.read(key).to_json(timings=False)
        with suppress(StoreError):
            found[f"private {key}"] = store.read_private(key)
    for path in sorted((folder / "chunks").glob("*/*.npz")):
        for spec, (table, _) in (ChunkStore(path.parent).get(path.stem) or {}).items():
            found[f"chunk {path.parent.name} {path.stem} {spec}"] = table.losses.tobytes()
    return found


@cache
def truth() -> dict[str, object]:
    return readings(finished())


def run_folder(rng: Rng, folder: Path) -> None:
    """One file damaged, cut, emptied, swapped with another, or another copied over it."""
    run = folder / "run"
    shutil.copytree(finished(), run)
    files = [path for path in sorted(run.rglob("*")) if path.is_file() and path.parent.name != "locks"]
    one, other = (files[int(at)] for at in rng.choice(len(files), 2, replace=False))
    before = {path: path.read_bytes() for path in (one, other)}
    way = rng.random()
    if way < 0.5:
        one.write_bytes(mangled(rng, before[one]))
    elif way < 0.6:
        one.write_bytes(b"")
    else:
        one.write_bytes(before[other])
        if way > 0.8:
            other.write_bytes(before[one])
    changed = [path for path in before if path.read_bytes() != before[path]]
    for name, value in readings(run).items():
        assert value == truth()[name], f"{name} is silently different after damage to {one.name}"
    if changed:
        try:
            assert not verify(run).whole, f"verify does not see the damage to {one.name}"
        except LeaqError:
            assert "config.json" in {path.name for path in changed}
    again = all(path.suffix == ".json" and path.name != "config.json" for path in changed)  # kept losses are not
    if changed and again and rng.random() < 0.5:
        run_study(PAIR, run, rules=Rules(keep_losses=True))
        assert readings(run) == truth(), f"not all is made again after damage to {one.name}"
        assert verify(run).whole, f"damage to {one.name} stays"


def embedding_cache(rng: Rng, folder: Path) -> None:
    """A damaged or exchanged embedding is made again."""
    right = np.arange(6.0).reshape(3, 2)
    os.environ.update(LEAQ_CACHE_DIR=str(folder), LEAQ_CACHE="all")
    try:
        embeddings.cached(Maccs(), SMILES, lambda: Encoded(right, {}))
        embeddings.cached(Maccs(), SMILES[::-1], lambda: Encoded(right + 1, {}))
        one, other = sorted((folder / "embeddings").iterdir())
        one.write_bytes(mangled(rng, one.read_bytes()) if rng.random() < 0.7 else other.read_bytes())
        for smiles, value in ((SMILES, right), (SMILES[::-1], right + 1)):
            found = embeddings.cached(Maccs(), smiles, lambda value=value: Encoded(value, {}))
            assert (found.features == value).all(), "another embedding"
    finally:
        for name in ("LEAQ_CACHE_DIR", "LEAQ_CACHE"):
            del os.environ[name]


def recordings(rng: Rng, folder: Path) -> None:
    """A damaged or exchanged checkpoint is refused."""
    module = nn.Linear(4, 3)
    recorder = Recorder(module, folder=folder / "r")
    for step in (1, 2, 3):
        with torch.no_grad():
            module.weight.fill_(step)
        recorder.step(step)
    recorder.flush()
    right = recorder.checkpoints.params
    files = sorted((folder / "r").glob("*.safetensors"))
    one, other = (files[int(at)] for at in rng.choice(3, 2, replace=False))
    one.write_bytes(mangled(rng, one.read_bytes()) if rng.random() < 0.7 else other.read_bytes())
    found = Recorder(module, folder=folder / "r").checkpoints.params
    for name, tensor in right.items():
        assert torch.equal(found[name], tensor), "other weights"


OPERATIONS = ("open", "write", "fsync", "replace", "unlink", "mkdir", "rename")
ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EACCES, errno.ENOMEM)


@contextmanager
def disturbed(folder: Path, act: Callable[[int, str], None]) -> Iterator[list[int]]:
    """Call `act` with number and name before every file operation in a folder; of a write, half is done then."""
    real, seen = {name: getattr(os, name) for name in OPERATIONS}, [0]

    def counting(name):
        def counted(*args, **options):
            text = " ".join(str(arg) for arg in args if isinstance(arg, str | Path))
            seen[0] += name in ("write", "fsync") or str(folder) in text
            half = name == "write" and len(args[1]) > 1
            try:
                act(seen[0], name)
            except OSError:
                if half:
                    real["write"](args[0], bytes(args[1])[: len(args[1]) // 2])
                raise
            return real[name](*args, **options)

        return counted

    for name in OPERATIONS:
        setattr(os, name, counting(name))
    try:
        yield seen
    finally:
        for name, function in real.items():
            setattr(os, name, function)


def crash(folder: Path, at: int) -> None:
    """Run the study and die before the `at`-th file operation, every second time in the middle of a write."""

    def die(number: int, name: str) -> None:
        if number == at and (name != "write" or at % 2):
            os.kill(os.getpid(), signal.SIGKILL)
        if number == at:
            raise OSError(errno.EIO, "the write stops half-way, then the process")

    with disturbed(folder, die) as seen:
        try:
            run_study(TINY, folder)
        except LeaqError:
            os.kill(os.getpid(), signal.SIGKILL)
    (folder.parent / "operations").write_text(str(seen[0]))


@cache
def undisturbed() -> tuple[bytes, int]:
    """The table of the same study without a kill, and how many operations a run is."""
    folder = Path(mkdtemp(prefix="leaq-attack-")) / "whole"
    _in_child(folder, -1)
    return (folder / "results.csv").read_bytes(), int((folder.parent / "operations").read_text())


def _in_child(folder: Path, at: int) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.attack.storage"])
    process = context.Process(target=crash, args=(folder, at))
    process.start()
    process.join()


def kills(rng: Rng, folder: Path) -> None:
    """SIGKILL before any file operation, and in the middle of a write; then the same command."""
    table, operations = undisturbed()
    run = folder / "run"
    _in_child(run, int(rng.integers(1, operations + 1)))
    run_study(TINY, run)
    assert (run / "results.csv").read_bytes() == table, "another table"
    assert verify(run).whole
    halves = [path.name for path in run.rglob(".*") if not path.name.startswith((".config", ".study"))]
    assert halves == [], "half files stay"


def failing(rng: Rng, folder: Path) -> None:
    """A file system that fails at any operation, once or from then on; then the same command where it works again."""
    table, operations = undisturbed()
    run, at = folder / "run", int(rng.integers(1, operations + 1))
    error, once = int(rng.choice(ERRORS)), rng.random() < 0.5

    def fail(number: int, _name: str) -> None:
        if number == at or (number > at and not once):
            raise OSError(error, os.strerror(error))

    with disturbed(run, fail), suppress(LeaqError):
        run_study(TINY, run)
    run_study(TINY, run)
    assert (run / "results.csv").read_bytes() == table, "another table"
    assert verify(run).whole


def links(rng: Rng, folder: Path) -> None:
    """A link anywhere in a run folder: cleaning, running and reading change nothing outside it."""
    run, victim = folder / "run", folder / "thesis"
    shutil.copytree(finished(), run)
    (victim / "deep").mkdir(parents=True)
    for name in ("thesis.docx", "deep/photo.jpg", ".hidden"):
        (victim / name).write_text(name)
    places = [path for path in sorted(run.rglob("*")) if path.name != "config.json"]
    place = places[int(rng.integers(len(places)))]
    if place.is_dir():
        shutil.rmtree(place)
        place.symlink_to(victim)
    else:
        place.unlink()
        place.symlink_to(victim / "thesis.docx")
    before = {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()}
    for act in (lambda: clean(run), lambda: verify(run), lambda: Store.open(run, PAIR)):
        with suppress(LeaqError):
            act()
        assert {path: path.read_bytes() for path in victim.rglob("*") if path.is_file()} == before, f"{place} followed"
