"""Which tasks, which rows, and how models are trained."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from leaq.training import TrainingConfig

__all__ = [
    "ALONG", "CONTROLS", "ELSEWHERE", "ENCODERS", "EXISTING", "NETWORKS", "OURS", "PUBLIC", "RECORDS", "STAGES", "STOPS", "STUDENT", "STUDENTS", "TASKS", "Cell", "stage",
]  # fmt: skip

TASKS = (
    *("freesolv", "bbb_martins", "esol", "herg", "lipophilicity_astrazeneca", "bace"),
    *("caco2_wang", "hia_hou", "bace_pic50", "ames", "solubility_aqsoldb", "dili"),
)
"""Six regressions, six classifications."""
MANY = ("freesolv", "dili", "bbb_martins")
"""Tasks with 64 models."""
ENCODERS = {"ecfp4": "ecfp4(size=512)", "descriptors": "descriptors", "gin": "molgraph"}
"""What records are turned into: bits, real numbers, or graphs that a network reads."""
NETWORKS = {"gin": "gin(hidden=64)"}
ELSEWHERE = {"hiv": 6000, "solubility_aqsoldb": 6000}
"""Where molecules without labels come from, and how many are looked at: never from the task itself."""
RECORDS, PUBLIC = 600, 0.3
"""Records of a task at most, drawn once, and the share of them that is public: no model trains on it."""
EXISTING = (
    *("none", "uniform(bits=3)", "uniform(bits=2)", "stochastic(bits=2)", "gaussian(sd=0.5)"),
    *("sign", "ternary(sparsity=0.75)", "ternary(sparsity=0.9)"),
    *("none(stop=0.1)", "none(stop=0.25)", "uniform(bits=2, stop=0.1)", "sign(stop=0.1)"),
)
"""What there is without a refit: quantizers, noise, and training less. Beside them `STUDENT`."""
OURS = (
    *(
        f"sparse_refit(sparsity={sparsity}, calibrated=elsewhere{stop})"
        for stop in ("", ", stop=0.25")
        for sparsity in (0.7, 0.8, 0.85, 0.9, 0.95)
    ),
    "ternary(sparsity=0.9, calibrated=elsewhere, refit=outputs)",
)
CONTROLS = (
    "sparse_refit(sparsity=0.9)",
    "pruned(sparsity=0.9, keep=inputs, calibrated=elsewhere, refit=outputs)",
    "sign(calibrated=elsewhere, refit=last)",
    "ternary(sparsity=0.9, calibrated=elsewhere, refit=last)",
    "none(average=0.5)",
    "sparse_refit(sparsity=0.9, calibrated=elsewhere, average=0.5)",
    *("tuned", "selena"),
)
"""What the parts do alone, and what calibrating on members gives away; in neither front."""

STUDENT = "distilled(calibrated=elsewhere)"
STUDENTS = (STUDENT, *(f"distilled(calibrated=elsewhere, stop={stop})" for stop in (0.1, 0.25)))
"""What learns from public records alone, of more of them without labels."""

STOPS = (0.05, 0.1, 0.15, 0.25, 0.5)
ALONG = (
    *(f"none(stop={stop})" for stop in STOPS),
    *(f"sparse_refit(sparsity=0.9, calibrated=elsewhere, stop={stop})" for stop in STOPS),
)
"""What is given away along training; in neither front where it is not named above."""


@dataclass(frozen=True)
class Cell:
    """One training of all models, released in every way.

    Attributes
    ----------
    encoder : key of `ENCODERS`; of `NETWORKS` too where a network reads the records.
    unlabelled : molecules of other data sets that are public as well, those most like the public ones.
    rows : names of releases.
    """

    task: str
    encoder: str = "ecfp4"
    seed: int = 0
    models: int = 16
    standardise: Literal["auto", "public"] = "auto"
    unlabelled: int = 0
    rows: tuple[str, ...] = (STUDENT, *EXISTING, *OURS)

    @property
    def name(self) -> str:
        """Under which it is kept."""
        more = f"-{self.unlabelled}" * (self.unlabelled > 0)
        return f"{self.task}-{self.encoder}-{self.models}-{self.seed}{more}"

    @property
    def attacks(self) -> tuple[str, ...]:
        """Attacks that a row kept without is measured anew for."""
        return ("codes",) if (self.encoder, self.models, self.seed, self.unlabelled) == ("ecfp4", 16, 0, 0) else ()

    @property
    def training(self) -> TrainingConfig:
        """How each model is trained."""
        if self.encoder in NETWORKS:
            return TrainingConfig(epochs=50, schedule="warmup", checkpoints=20)
        return TrainingConfig(checkpoints=20, standardise=self.standardise)


def _seeds() -> Iterator[Cell]:
    yield from (Cell(task, rows=(STUDENT, *EXISTING, *OURS, *CONTROLS, *ALONG)) for task in TASKS)
    yield from (Cell(task, seed=seed) for seed in (1, 2) for task in TASKS)


STAGES = {
    "seeds": tuple(_seeds()),
    "embedder": tuple(Cell(task, "descriptors", seed) for seed in range(3) for task in TASKS),
    "network": tuple(Cell(task, "gin", rows=(*EXISTING, *OURS)) for task in MANY),
    "models": tuple(Cell(task, models=64) for task in MANY),
    "unlabelled": tuple(Cell(task, unlabelled=2000, rows=("none", *STUDENTS)) for task in TASKS),
}
"""Cells by what they are for."""


def stage(name: str, *, tasks: tuple[str, ...] = TASKS, seeds: tuple[int, ...] = (0, 1, 2)) -> tuple[Cell, ...]:
    """Return the cells of one stage, of some tasks and seeds."""
    return tuple(cell for cell in STAGES[name] if cell.task in tasks and cell.seed in seeds)
