"""Train once a cell, release in every way, attack; one JSON file a cell, so that an interrupted run goes on."""

import json
import time
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, Self

import numpy as np
import pandas as pd

from benchmarks.protect.rivals import RIVALS
from benchmarks.protect.settings import ELSEWHERE, ENCODERS, EXISTING, NETWORKS, OURS, PUBLIC, RECORDS, Cell
from leaq.api.protecting.parts import joined_records
from leaq.attacks.base import Context
from leaq.attacks.decisions import signed, thresholds_by_others
from leaq.attacks.registry import build_attack
from leaq.evaluation import evaluate_checkpoints, with_numbers, with_whitebox
from leaq.measures.performance import performance
from leaq.models.protocols import Model
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import Asked, asked, set_aside, strangers
from leaq.pipeline.preparing import prepare
from leaq.pipeline.subjects import subject_of
from leaq.quantizers import build
from leaq.seeds import stream
from leaq.stats.roc import tpr_at_fpr
from leaq.types import Bools, Checkpoints, Floats, LossTable, Samples, silent

__all__ = ["Made", "achieved", "keep", "metrics_of"]

ATTACKS = {"outputs": "combined(sees=outputs)", "file": "combined", "codes": "combined(codes=True)", "reads": "file"}


def keep(cell: Cell, folder: Path, results: Path) -> None:
    """Measure the rows a cell lacks, one after the other, each written at once."""
    path, needed = results / f"{cell.name}.json", {"file", *cell.attacks}
    kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {"rows": {}}
    lacking = tuple(name for name in cell.rows if needed - kept["rows"].get(_spelled(name), {}).keys())
    if not lacking:
        return
    begun = time.process_time()
    made = Made.of(cell, folder)
    kept |= made.described
    for name in lacking:
        row = _measured(made.table(made.released(name)), made.features)
        kept["rows"][_spelled(name)] = row
        path.write_text(json.dumps(_short(kept)) + "\n", encoding="utf-8")
        took = time.process_time() - begun
        print(f"{cell.name:36s} {name:72s} {row['metric']:.3f} {row['outputs']:+.3f} {row['file']:+.3f} {took:6.1f} s", flush=True)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """Records by what they are for, and the models trained on them."""

    cell: Cell
    config: AuditConfig
    todo: Asked
    model: Model
    checkpoints: Checkpoints

    @classmethod
    def of(cls, cell: Cell, folder: Path) -> Self:
        """Read, split and train."""
        config = AuditConfig(
            source=str(folder / f"{cell.task}.csv"), target="target", smiles="smiles", skip_invalid=True,
            embedder=ENCODERS[cell.encoder], model=NETWORKS.get(cell.encoder, ""), replicates=cell.models,
            quantizers=(*EXISTING[1:], *OURS), training=cell.training, seed=cell.seed,
            public=str(_unlabelled(cell, folder)) if cell.unlabelled else "",
        )  # fmt: skip
        samples, config = prepare(config)
        more, samples = samples.public, replace(samples, public=None)
        if len(samples) > RECORDS:
            drawn = stream(cell.seed, "protect", cell.task).permutation(len(samples))[:RECORDS]
            samples = samples.take(np.sort(drawn))
        pool, public = set_aside(samples, share=PUBLIC, seed=cell.seed)
        if more is not None:
            public = joined_records(public, _nearest(strangers(more, samples), public, cell.unlabelled))
        todo = asked(config, replace(pool, public=public))
        everybody = slice(0, cell.models)
        made = subject_of(config).train(todo.pool, todo.members, which=everybody, progress=silent)
        return cls(cell, config, todo, made.model, made.checkpoints)

    @property
    def described(self) -> dict[str, Any]:
        """What the cell is about."""
        cell, pool = self.cell, self.todo.pool
        return {
            "task": cell.task, "encoder": cell.encoder, "models": cell.models, "seed": cell.seed, "kind": pool.task,
            "n": len(pool), "public": len(self.public), "unlabelled": cell.unlabelled, "members": round(float(self.todo.members.sum(1).mean())),
        }  # fmt: skip

    @property
    def features(self) -> Floats | None:
        """What the file attack reads columns by; None of graphs."""
        return None if self.cell.encoder in NETWORKS else self.todo.features

    @property
    def public(self) -> Samples:
        """Return the public records."""
        assert self.todo.aside is not None
        return self.todo.aside

    def released(self, name: str) -> Checkpoints:
        """Return the released models of a row."""
        if name in RIVALS:
            return RIVALS[name](self)
        quantizer = build(name)
        released = quantizer.recorded(self.checkpoints).last()
        calibration = self.todo.calibration(self.model, slice(0, self.cell.models), quantizer, seed=self.config.seed)
        return quantizer.fitted_to(released, calibration)(released)

    def table(self, released: Checkpoints) -> LossTable:
        """Return what attackers see of the released models."""
        pool = self.todo.pool
        table = evaluate_checkpoints(self.model, released, pool, self.todo.members)
        return with_numbers(with_whitebox(table, self.model, released, pool), released, pool, codes=True)


def _unlabelled(cell: Cell, folder: Path) -> Path:
    """Write molecules of `ELSEWHERE` where they can be named as public, and return the file."""
    drawn = [
        pd.read_csv(folder / f"{source}.csv").sample(count, random_state=cell.seed)
        for source, count in ELSEWHERE.items()
        if source != cell.task
    ]
    path = Path(mkdtemp(prefix="leaq-unlabelled-")) / "public.csv"
    pd.concat(drawn)[["smiles"]].drop_duplicates().assign(target=lambda t: np.arange(len(t)) % 2).to_csv(
        path, index=False
    )
    return path


def _nearest(more: Samples, public: Samples, count: int) -> Samples:
    """Return the records whose bits are most like those of some public record, by Tanimoto's measure."""
    both = more.inputs @ public.inputs.T
    either = more.inputs.sum(1)[:, None] + public.inputs.sum(1) - both
    return more.take(np.argsort(-(both / either).max(1), kind="stable")[:count])


def _spelled(name: str) -> str:
    return name if name in RIVALS else build(name).spec()


def _short(value: Any) -> Any:
    """Round to five digits behind the point: more is noise, and ten times the bytes."""
    if isinstance(value, dict):
        return {key: _short(one) for key, one in value.items()}
    return (
        [_short(one) for one in value]
        if isinstance(value, list)
        else round(value, 5)
        if isinstance(value, float)
        else value
    )


def _measured(table: LossTable, features: Floats | None) -> dict[str, Any]:
    """Return the mean over models of metric, advantages and rates, and each model's own."""
    each = metrics_of(table)
    found: dict[str, Any] = {"metric": float(np.mean(each)), "metrics": each}
    context = Context(table, features=features)
    for key, spec in ATTACKS.items():
        if key == "reads" and features is None:
            continue
        advantages, tpr = achieved(build_attack(spec).scores(context, range(len(table.members))), table.members)
        found |= {key: float(advantages.mean()), f"{key}_each": advantages.tolist(), f"{key}_tpr": tpr}
    return found


def metrics_of(table: LossTable) -> list[float]:
    """Return the metric of each model on the records that did not train it."""
    name = "r2" if table.task == "regression" else "roc_auc"
    return [_metric(table, model, name) for model in range(len(table.members))]


def _metric(table: LossTable, model: int, name: str) -> float:
    one = slice(model, model + 1)
    assert table.outputs is not None
    assert table.scores is not None
    alone = replace(
        table, losses=table.losses[one], members=table.members[one], outputs=table.outputs[one],
        scores=table.scores[one], whitebox=None, numbers=None,
    )  # fmt: skip
    return performance(alone, draws=1)[name].value


def achieved(scores: Floats, members: Bools) -> tuple[Floats, float]:
    """Return each model's signed advantage at the threshold of the others, and the pooled TPR at 1 % FPR."""
    thresholds = thresholds_by_others(scores, members)
    assert thresholds is not None, "the models are too few to give each other thresholds"
    return signed(scores > thresholds[:, None], members), tpr_at_fpr(scores.ravel(), members.ravel(), 0.01)
