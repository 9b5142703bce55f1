"""With a guarantee: DP-SGD and private least squares at the same epsilon, and what public labels alone would give.

One JSON file a task. DP-SGD trains its models one after the other; so two models tell its metric, and the same two
that of the others.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.protect.collect import Made, metrics_of
from benchmarks.protect.settings import Cell
from leaq.evaluation import evaluate_checkpoints
from leaq.models.protocols import Model
from leaq.training import train
from leaq.training.private import PrivateTraining, train_private
from leaq.training.squares import PrivateSquares, train_squares
from leaq.types import Checkpoints

__all__ = ["EPSILONS", "keep_certified"]

EPSILONS = (1.0, 3.0, 8.0)
MODELS = 2


def keep_certified(task: str, folder: Path, results: Path) -> None:
    """Measure the metrics of a task, unless they are there."""
    path = results / f"{task}.json"
    if path.is_file():
        return
    made = Made.of(Cell(task, models=MODELS), folder)
    todo, training, seed = made.todo, made.config.training, made.config.seed

    def metrics(model: Model, released: Checkpoints) -> list[float]:
        return metrics_of(evaluate_checkpoints(model, released, todo.pool, todo.members))

    found: dict[str, Any] = {"none": metrics(made.model, made.released("none"))}
    everybody = np.ones((MODELS, len(made.public)), dtype=bool)
    found["public alone"] = metrics(*_last(train(made.public, everybody, training, seed=seed + 1)))
    for epsilon in EPSILONS:
        squares = PrivateSquares(epsilon=epsilon)
        found[squares.spec()] = metrics(*train_squares(todo.pool, todo.members, training, squares, seed=seed))
        private = PrivateTraining(epsilon=epsilon)
        found[private.spec()] = metrics(*train_private(todo.pool, todo.members, training, private, seed=seed)[:2])
        print(task, epsilon, *(round(float(np.mean(found[one.spec()])), 3) for one in (squares, private)), flush=True)
    kept = {**made.described, "rows": {name: [round(one, 5) for one in each] for name, each in found.items()}}
    path.write_text(json.dumps(kept) + "\n", encoding="utf-8")


def _last(made: tuple[Model, Checkpoints]) -> tuple[Model, Checkpoints]:
    return made[0], made[1].last()
