"""All attacks by name.

A trial takes random numbers and an empty folder; anything it raises but `LeaqError` is a failure.
"""

import os
import shutil
import signal
import tempfile
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from leaq.errors import LeaqError
from tests.attack import commands, finished, inputs, models, names, soak, storage

Trial = Callable[[np.random.Generator, Path], None]
CAMPAIGNS: dict[str, Trial] = {
    "specifications of quantizers and embedders": inputs.specifications,
    "study files (TOML)": inputs.study_files,
    "CSV": inputs.file_of("csv"),
    "TSV": inputs.file_of("tsv"),
    "NPZ": inputs.file_of("npz"),
    "JSON lines": inputs.file_of("jsonl"),
    "Parquet": inputs.file_of("parquet"),
    "SDF": inputs.file_of("sdf"),
    "safetensors": inputs.file_of("safetensors"),
    "quantized layers (GPTQ, AWQ, int8)": models.layers,
    "GGUF": models.gguf_files,
    "ONNX": models.onnx_files,
    "arrays given to measures": inputs.arrays,
    "finished models, records and options": finished.finished,
    "command lines of every verb": commands.commands,
    "names that are markup, formulas or control characters": names.names,
    "bombs": inputs.bombs,
    "flips, cuts and swaps in a run folder": storage.run_folder,
    "flips and swaps of embeddings": storage.embedding_cache,
    "flips and swaps of recorded weights": storage.recordings,
    "links in a run folder": storage.links,
    "file operations that fail": storage.failing,
    "kills at any file operation": storage.kills,
    "soak: 300 cells in one process": soak.soak,
}


@dataclass
class Outcome:
    """How one campaign went: trials, of which so many were refused in leaq's own words, and what failed."""

    name: str
    trials: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)


def _spent() -> float:
    """Return the processor seconds of this process and of the children that it waited for."""
    return sum(os.times()[:4])


def attack(
    name: str, *, seconds: float = float("inf"), trials: int = 10**9, seed: int = 0, longest: int = 0
) -> Outcome:
    """Try until time or trials are up; the same seed tries the same things in the same order.

    Parameters
    ----------
    seconds : of processor time, child processes included: a busy machine tries no less.
    longest : seconds after which a trial is ended by SIGALRM, whose handler is the caller's; 0: never.
    """
    outcome, rng = Outcome(name), np.random.default_rng([seed, *name.encode()])
    end = _spent() + seconds
    while outcome.trials < trials and _spent() < end:
        folder = Path(tempfile.mkdtemp(prefix="leaq-attack-"))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                signal.alarm(longest)
                CAMPAIGNS[name](rng, folder)
        except LeaqError:
            outcome.refused += 1
        except Exception as err:
            where = traceback.extract_tb(err.__traceback__)[-1]
            outcome.failures.append(
                f"trial {outcome.trials}: {err!r:.300} at {Path(where.filename).name}:{where.lineno}"
            )
        finally:
            signal.alarm(0)
            shutil.rmtree(folder, ignore_errors=True)
        outcome.trials += 1
    return outcome
