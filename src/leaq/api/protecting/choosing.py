"""The search: accuracy on records that train no model, and the attack on the file where accuracy is kept."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np

from leaq.api.protecting.parts import Parts
from leaq.attacks.base import Context
from leaq.attacks.registry import build_attack
from leaq.attacks.scoring import Resampling
from leaq.errors import InvalidInput, NotEnoughEvidence, UnsupportedModel
from leaq.evaluation import evaluate_checkpoints
from leaq.evaluation.loss_table import loss_table
from leaq.measures.performance import drop, performance
from leaq.models.protocols import Model
from leaq.pipeline.cell import AuditConfig
from leaq.pipeline.planning import Asked, asked
from leaq.pipeline.subjects import origin_digest, subject_of
from leaq.quantizers import Identity, Scheme
from leaq.system.files import write_atomic
from leaq.types import AttackResult, Checkpoints, Estimate, Flag, LossTable, Progress

ATTACK = "combined(codes=True)"
"""What releases are ordered by: the attack of who holds the file and reads its codes too."""
CHOICE = "choice.json"


@dataclass(frozen=True)
class Tried:
    """One release that was tried: metric and drop on the records chosen on, advantage of who holds the file.

    `refused` says why it cannot be made of these models, where it cannot; there is no number then.
    """

    quantizer: str
    label: str
    metric: Estimate | None
    drop: Estimate | None = None
    advantage: Estimate | None = None
    refused: str = ""


def search(
    config: AuditConfig, parts: Parts, *, max_drop: float, folder: Path | None, progress: Progress
) -> tuple[Tried, ...]:
    """Return every release that was tried, least leak first; each is kept in `folder` once it is measured."""
    tried = _SearchFile.of(folder, f"{config.digest()} {origin_digest(config)} {max_drop!r}")
    todo = asked(config, parts.pool)
    # A release calibrated on members is followed by itself calibrated elsewhere, which has not seen them.
    wanted = [q for q in todo.quantizers if not (q.needs.calibration and q.calibrated == "members")]
    if any(quantizer.spec() not in tried.found for quantizer in wanted):
        everybody = slice(0, len(todo.members))
        made = subject_of(config).train(parts.pool, todo.members, which=everybody, progress=progress)
        trained = _Trained(config, parts, todo, made.model, made.checkpoints)
        for done, quantizer in enumerate(wanted, start=1):
            if quantizer.spec() not in tried.found:
                tried.put(trained.tried(quantizer, max_drop))
            progress("choosing", done, len(wanted))
    found = [tried.found[quantizer.spec()] for quantizer in wanted]
    return tuple(sorted(found, key=lambda one: np.inf if one.advantage is None else one.advantage.value))


@dataclass(frozen=True)
class _Trained:
    """Trained models of the pool, and what each release of them is worth."""

    config: AuditConfig
    parts: Parts
    todo: Asked
    model: Model
    checkpoints: Checkpoints

    def tried(self, quantizer: Scheme, max_drop: float) -> Tried:
        """Measure the metric on the records chosen on; attack only what is accurate enough to be chosen."""
        if quantizer.earlier and self.checkpoints.batch[1] == 1:
            why = "It looks at earlier weights, and the training recorded no earlier weights."
            return Tried(quantizer.spec(), quantizer.label(), None, refused=why)
        try:
            released, name = self._released(quantizer), self.parts.metric
        except UnsupportedModel as err:
            return Tried(quantizer.spec(), quantizer.label(), None, refused=str(err))
        table, level, seed = self._on_choosing(released), self.config.level, self.config.seed
        tried = Tried(quantizer.spec(), quantizer.label(), performance(table, level=level, seed=seed)[name])
        if quantizer != Identity():
            cost = drop(table, self._reference, level=level, seed=seed)[name]
            tried = replace(tried, drop=cost)
            if cost.value < -max_drop:
                return tried
        return replace(tried, advantage=self._attacked(released))

    def _attacked(self, released: Checkpoints) -> Estimate:
        judged = self.todo.judged
        table = self.todo.of_pool(
            loss_table(self.model, released, judged, self.todo.judged_members, whitebox=True, numbers=True, codes=True)
        )
        resampling = Resampling(**self.config.resampling)
        found = build_attack(ATTACK).run(Context(table, features=judged.inputs, resampling=resampling))
        if not isinstance(found, AttackResult):
            raise NotEnoughEvidence(f"protect chooses by the attack on the file. {found.reason}")
        return found.advantage

    def _released(self, quantizer: Scheme) -> Checkpoints:
        released = quantizer.recorded(self.checkpoints).last()
        everybody = slice(0, released.batch[0])
        calibration = self.todo.calibration(self.model, everybody, quantizer, seed=self.config.seed)
        return quantizer.fitted_to(released, calibration)(released)

    @cached_property
    def _reference(self) -> LossTable:
        return self._on_choosing(self._released(Identity()))

    def _on_choosing(self, released: Checkpoints) -> LossTable:
        nobody = np.zeros((released.batch[0], len(self.parts.choosing)), dtype=bool)
        table: LossTable = evaluate_checkpoints(self.model, released, self.parts.choosing, nobody)
        return table


@dataclass
class _SearchFile:
    """What was tried so far, kept in a file where there is a folder."""

    path: Path | None
    key: str
    found: dict[str, Tried]

    @classmethod
    def of(cls, folder: Path | None, key: str) -> Self:
        """Open what was kept under the same options.

        Raises
        ------
        InvalidInput
            If the folder belongs to other options.
        """
        if folder is None:
            return cls(None, key, {})
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / CHOICE
        if not path.exists():
            return cls(path, key, {})
        kept = json.loads(path.read_text(encoding="utf-8"))
        if kept["key"] != key:
            raise InvalidInput(
                f"{folder.name}: the folder must belong to the same options. Found those of another search. Name "
                "another folder with --out."
            )
        return cls(path, key, {item["quantizer"]: _tried(item) for item in kept["tried"]})

    def put(self, tried: Tried) -> None:
        """Keep one more."""
        self.found[tried.quantizer] = tried
        if self.path is not None:
            kept = {"key": self.key, "tried": [asdict(one) for one in self.found.values()]}
            write_atomic(self.path, json.dumps(kept, indent=1) + "\n")


def _tried(item: Mapping[str, Any]) -> Tried:
    metric, cost, advantage = (_estimate(item[name]) for name in ("metric", "drop", "advantage"))
    return Tried(item["quantizer"], item["label"], metric, cost, advantage, item.get("refused", ""))


def _estimate(item: Mapping[str, Any] | None) -> Estimate | None:
    return None if item is None else Estimate(**{**item, "flags": tuple(Flag(**flag) for flag in item["flags"])})
