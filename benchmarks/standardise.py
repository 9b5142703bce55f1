"""What each choice of standardisation costs and gives away. Writes the tables of docs/standardisation.md.

    python benchmarks/standardise.py --data ../shared/data --out tables.md          # 10 tasks, 8 models each
    python benchmarks/standardise.py --data ../shared/data --out tables.md --quick  # 2 small tasks that leaq ships

`--data` names a folder with ``molecules/*.csv`` (columns ``smiles``, ``target``), ``benchmarks/location30.npz`` and
``benchmarks/adult.npz``; the graph embedder needs LEAQ_WEIGHTS_DIR. Same halves, initial weights and batches under every
choice, so differences of the task metric are paired. Advantages are those of full precision and of sign weights.
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from leaq.attacks.base import Context
from leaq.attacks.decisions import cross_fitted_decisions, signed
from leaq.attacks.file import file_scores
from leaq.attacks.lira import Lira
from leaq.data import load
from leaq.data.splits import halves
from leaq.data.tables import from_arrays
from leaq.embedders import embed
from leaq.evaluation import evaluate, with_numbers
from leaq.measures.performance import drop, performance
from leaq.quantizers import Identity, Sign
from leaq.training import TrainingConfig, train
from leaq.types import Floats, LossTable, Samples

RULES = ("members", "pool", "none", "public", "rounded", "private")


@dataclass(frozen=True)
class Task:
    """One data set with its features, and the recipe it is trained with."""

    name: str
    make: Callable[[Path], Samples]
    epochs: int = 30


def molecules(name: str, embedder: str, public: str = "") -> Callable[[Path], Samples]:
    def make(folder: Path) -> Samples:
        def read(part: str) -> Samples:
            return load(folder / "molecules" / f"{part}.csv", target="target", smiles="smiles")

        samples = read(name)
        if public:
            samples = replace(samples, public=read(public))
        return embed(samples, embedder, skip_invalid=True)

    return make


def shipped(name: str) -> Callable[[Path], Samples]:
    return lambda _: embed(load(name))


def arrays(name: str, n: int = 1500) -> Callable[[Path], Samples]:
    def make(folder: Path) -> Samples:
        with np.load(folder / "benchmarks" / f"{name}.npz") as data:
            labels = data["y"].astype(np.int64)
            rows = np.random.default_rng(0).permutation(len(labels))[:n]
            if "X" in data:
                features = data["X"][rows].astype(np.float64)
            else:
                codes = data["X_cat"][rows].astype(int)
                hot = [np.eye(int(data["X_cat"][:, j].max()) + 1)[codes[:, j]] for j in range(codes.shape[1])]
                features = np.concatenate([data["X_num"][rows], *hot], axis=1)
            return embed(from_arrays(features, labels[rows], task="classification"))

    return make


GRAPH = "graphsage_contextpred"
TASKS = (
    Task("freesolv, ECFP4", molecules("freesolv", "ecfp4")),
    Task("esol, ECFP4", molecules("esol", "ecfp4"), 20),
    Task("dili, ECFP4", molecules("dili", "ecfp4")),
    Task("herg, ECFP4", molecules("herg", "ecfp4")),
    Task("bbbp, GraphSAGE (public: clintox)", molecules("bbbp", GRAPH, "clintox"), 30),
    Task("esol, GraphSAGE", molecules("esol", GRAPH), 30),
    Task("breast_cancer", shipped("breast_cancer")),
    Task("diabetes", shipped("diabetes")),
    Task("location30", arrays("location30"), 20),
    Task("adult", arrays("adult"), 20),
)
QUICK = (Task("breast_cancer", shipped("breast_cancer"), 10), Task("diabetes", shipped("diabetes"), 10))


def advantage(table: LossTable, scores: Floats) -> float:
    """Return the signed held-out advantage of scores (s, n), averaged over models."""
    inside = table.members
    called = cross_fitted_decisions(scores, inside, table.groups, seed=0)
    return float(signed(called, inside).mean())


def scalers_alone(table: LossTable) -> LossTable:
    numbers = {kind: values for kind, values in (table.numbers or {}).items() if kind.startswith(("scaler", "target"))}
    return replace(table, numbers=numbers)


def line(task: Task, rule: str, *, samples: Samples, reference: LossTable | None, models: int) -> tuple[str, LossTable]:
    members = halves(samples, models, seed=0)
    config = TrainingConfig(hidden=(64,), epochs=task.epochs, checkpoints=1, standardise=rule)
    model, checkpoints = train(samples, members, config, seed=0)
    tables = []
    for quantizer in (Identity(), Sign()):
        released = quantizer(checkpoints.last())
        table = evaluate(model, released, samples, members, quantizer=quantizer.spec())
        tables.append(with_numbers(table, released, samples))
    plain = tables[0]
    # No quantizer touches the scalers: what they give away alone is the same under both.
    cells = [f"{advantage(plain, file_scores(scalers_alone(plain), samples.inputs)):+.3f}"]
    for table in tables:
        context = Context(table)
        published = Lira(normalise=False).scores(context, context.chosen)
        cells.append(f"{advantage(table, published):+.3f}")
        cells.append(f"{advantage(table, file_scores(table, samples.inputs)):+.3f}")
    name = "roc_auc" if samples.task == "classification" else "r2"
    metric = performance(plain, draws=100)[name].value
    lost = "-"
    if reference is not None:
        estimate = drop(plain, reference, draws=100)[name]
        lost = f"{estimate.value:+.4f} [{estimate.low:+.4f}, {estimate.high:+.4f}]"
    return f"| {task.name} | {rule} | {metric:.3f} | {lost} | {' | '.join(cells)} |", plain


HEAD = (
    "| task | standardise | ROC-AUC or R2 | change from `members` | scalers alone | LiRA | whole file | LiRA, sign "
    "| whole file, sign |\n|---|---|---|---|---|---|---|---|---|\n"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--models", type=int, default=8)
    parser.add_argument("--rules", default=",".join(RULES), help="choices to measure, the first one the reference")
    parser.add_argument("--tasks", default="", help="only tasks whose name holds this")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    lines: list[str] = []
    for task in QUICK if options.quick else TASKS:
        if options.tasks not in task.name:
            continue
        samples, reference = task.make(options.data), None
        for rule in options.rules.split(","):
            text, table = line(task, rule, samples=samples, reference=reference, models=options.models)
            reference = table if reference is None else reference
            lines.append(text)
            print(text, flush=True)
            options.out.write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
